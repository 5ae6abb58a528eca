"""What is done to a run, and to what of it."""
