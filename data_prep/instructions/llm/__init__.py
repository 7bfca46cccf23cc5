"""Instructions written by a language model from the metadata."""
