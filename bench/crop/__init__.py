"""What cropping a photo costs."""
