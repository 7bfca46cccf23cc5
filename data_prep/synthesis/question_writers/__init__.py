"""Who writes questions from a transcript: the contract, a writer a file, and the registry."""
