"""mlxq's own endpoints: jobs by id and their streams, similarity maps, health and queue figures."""
