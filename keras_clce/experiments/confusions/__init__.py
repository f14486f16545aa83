"""Which classes a trained model confuses."""
