"""What is concluded from gaps: verdicts in words, and whether a new LLM beats the best so far."""
