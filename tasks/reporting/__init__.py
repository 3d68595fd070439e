"""The output for people and scripts: results.json, the page, the terminal, Markdown, exports."""
