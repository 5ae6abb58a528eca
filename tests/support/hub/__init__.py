"""A stand-in for the model hub on this machine, which misbehaves as told."""
