"""Which hosts may be reached."""
