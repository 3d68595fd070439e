"""What people and scripts get to see: results.json, the page, the terminal, Markdown, exports."""
