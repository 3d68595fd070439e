"""Conclusions from gaps: the verdict of each comparison, and whether an LLM is better than the best one so far."""
