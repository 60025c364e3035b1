"""Artist identification (paper A): works, folds, predictions, metrics and the paper's tables."""
