"""Comparison: what the trials of a study say, with intervals, and how the generated texts differ from real ones."""
