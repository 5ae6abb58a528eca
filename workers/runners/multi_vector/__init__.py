"""Late interaction: a vector for each token or patch."""
