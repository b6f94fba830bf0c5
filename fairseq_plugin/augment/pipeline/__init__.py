"""What ``scripts/augment.py`` runs, one stage after the other."""
