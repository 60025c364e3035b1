"""Artists (paper A): fusing what a photo and words say, ranking candidates, and the unknown class."""
