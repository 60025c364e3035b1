"""From RUN to the served artist models and their reference files."""
