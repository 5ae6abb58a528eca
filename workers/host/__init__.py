"""What is done for a machine as a whole, beside its worker: its models come and go."""
