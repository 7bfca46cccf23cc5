"""Optimizer, losses, step, metrics, hooks and the loop that joins them."""
