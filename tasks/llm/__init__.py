"""The LLM client, whoever asks: one paid call with its pace, budget, journal, price and address."""
