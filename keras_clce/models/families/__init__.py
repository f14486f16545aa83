"""Families of encoders, one module a family: rows, builder, names of tensors, depth groups."""
