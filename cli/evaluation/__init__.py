"""What `mlxq eval` is made of: judgements for a collection, and the table of figures."""
