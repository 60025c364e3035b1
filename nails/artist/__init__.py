"""Artists (paper A): fusion of photo and text, candidate ranking, few-shot artists, and the unknown class."""
