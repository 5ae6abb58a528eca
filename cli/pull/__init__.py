"""What `mlxq pull` is made of."""
