"""The engine that reads files of weights; it knows no architecture."""
