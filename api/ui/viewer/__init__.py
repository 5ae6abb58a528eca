"""One page of a document: its image, and what of a query is where on it."""
