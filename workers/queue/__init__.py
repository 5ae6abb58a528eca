"""The worker's side of the queue in Redis."""
