"""How a set of texts differs from real ones: diversity, similarity, what a classifier can tell."""
