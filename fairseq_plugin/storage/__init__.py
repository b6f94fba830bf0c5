"""What every prepared folder is made of: whole folders, fairseq's dictionary and its binary items."""
