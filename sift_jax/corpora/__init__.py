"""The layouts in which corpora are published, read alike for training data and for evaluation."""
