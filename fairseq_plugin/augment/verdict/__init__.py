"""Whether new rows are worth using, by what classifiers learn from them."""
