"""The plan: which examples stand in which batch, computed from the number of the step alone."""
