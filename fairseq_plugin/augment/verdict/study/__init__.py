"""The study: do new rows help, for how many rows per class, and which? See ``scripts/verdict.py study``."""
