"""Real rows: the catalog of tasks, where their rows come from, how they are split and sampled."""
