"""The children of `mlxq`: what they are started with, how they run together and stop in order."""
