"""State, optimizer, losses, step, checkpoints, metrics and the loop that joins them."""
