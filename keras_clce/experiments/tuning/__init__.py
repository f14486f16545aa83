"""Tuning: a search over settings under a budget."""
