"""What is painted: designs, themes and what suits them, families that bind colours, bottles of colour."""
