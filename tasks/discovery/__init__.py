"""New LLMs: who serves what, what has been seen before, and whether a new one writes at all."""
