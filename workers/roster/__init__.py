"""Models that come to a running worker and leave it, as the catalogue of its machine says."""
