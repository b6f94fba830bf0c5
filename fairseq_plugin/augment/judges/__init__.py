"""What a sentence's label is, by others than the one that wrote it: words, the model itself, a teacher."""
