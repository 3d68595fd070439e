"""Wiring: the Prefect flows, the command line, and what ``synthgap up`` runs."""
