"""Graphs of encoders that are written here, one module an architecture."""
