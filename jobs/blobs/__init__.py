"""Pages on their way to workers: too large for a job, they lie beside the queue and are named by their content."""
