"""Sources of encoders from elsewhere, one module a source."""
