"""Running text: reading, cutting into documents, encoding in bounded memory, and the prepared folder."""
