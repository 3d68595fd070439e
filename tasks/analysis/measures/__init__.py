"""How a set of texts differs from real texts: diversity, similarity, and whether a classifier can tell them apart."""
