"""What models that look at pages read: pictures cut up, and where the pieces are."""
