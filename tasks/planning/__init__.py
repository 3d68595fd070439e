"""Plans a study: its names checked, its grid, what it costs, what the store already holds. Nothing here is paid for."""
