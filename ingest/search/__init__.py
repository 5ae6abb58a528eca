"""Searching the collections: from the vectors of a query to pages."""
