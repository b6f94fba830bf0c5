"""Units of work, where they are done, and exactly N accepted rows of them."""
