"""From cells to symbols and back, and which symbols may come next."""
