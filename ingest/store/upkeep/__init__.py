"""What the store does when nobody writes: flushing, and compacting collections with many dead points."""
