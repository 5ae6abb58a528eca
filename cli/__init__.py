"""The `mlxq` command: the one place that may import everything and wire it together."""
