"""How subjective tasks and texts are, and the paper's findings about it."""
