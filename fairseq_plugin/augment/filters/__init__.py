"""Which generated samples are kept, and why each other one is not."""
