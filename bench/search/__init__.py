"""What a search costs, from its words to its page of hits."""
