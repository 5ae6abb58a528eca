"""What the queue costs, measured with models that compute nothing."""
