"""Readers of published checkpoints, one module a source."""
