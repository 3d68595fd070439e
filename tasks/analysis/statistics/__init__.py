"""Scores, gaps and their intervals from predictions, and how many seeds or test rows would decide."""
