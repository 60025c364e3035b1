"""What identifying an artist costs."""
