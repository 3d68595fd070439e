"""Trials: train a classifier on given rows, test it on real ones."""
