"""New LLMs: which ones providers serve, which are known, and whether a new one produces usable texts."""
