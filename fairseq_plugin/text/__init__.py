"""Text to token ids and back, exactly: GPT-2's BPE, a byte-level BPE trained on the data, sentencepiece."""
