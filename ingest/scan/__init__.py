"""What is in the folders now, and what is to be done about it."""
