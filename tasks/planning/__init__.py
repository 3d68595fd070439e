"""Plans a study without paid calls: checks names, builds the grid, estimates costs, looks up what the store has."""
