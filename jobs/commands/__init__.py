"""What processes tell workers to do at once, besides the jobs in the queues."""
