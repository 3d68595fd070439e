"""Generated data sets: modes that write prompts, what an answer holds, filters that reject texts."""
