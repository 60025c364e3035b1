"""`lunula data ...` and `lunula train ...`: pass on to the training environment."""
