"""Models that are pulled."""
