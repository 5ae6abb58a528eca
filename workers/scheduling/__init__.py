"""What runs next, and how much of it: the jobs in a worker and pure decisions about batches."""
