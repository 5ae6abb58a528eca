"""Who does the work: the RQ batch worker, the batching decisions and the runners that call MLX."""
