"""One nail: its outline and curved plate, the paint on it, patterns and parts, and how well they are made."""
