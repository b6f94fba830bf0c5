"""Augmentation in Python: ``from fairseq_plugin import Augmenter``."""
