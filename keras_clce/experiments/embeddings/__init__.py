"""Studies of the embeddings of trained models."""
