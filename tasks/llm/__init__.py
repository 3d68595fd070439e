"""The LLM client: one paid call, with its pace, budget, journal, price and address."""
