"""What ``fairseq-generate`` has left: read, verified, gathered, collected."""
