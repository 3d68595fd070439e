"""Generated data sets: modes with their prompts, parsers of answers, filters that reject texts."""
