"""Scores and gaps from predictions, their intervals, and how many seeds or test rows would decide."""
