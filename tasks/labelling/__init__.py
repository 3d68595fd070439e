"""Questions to LLMs with a closed set of answers: labels of texts, and which of two tasks is more objective."""
