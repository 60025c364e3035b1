"""What the images of each `--kind` show: subjects, artists, pairs of attributes, votes."""
