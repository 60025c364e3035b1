"""Rendering that knows no subject: cones to depth images, light and shadows, the faults of a camera."""
