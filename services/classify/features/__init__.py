"""What the models make of one work, its photo and its text, and the reference vectors of artists."""
