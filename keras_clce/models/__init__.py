"""Models: the registry of encoders and the heads on them."""
