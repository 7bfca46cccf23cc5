"""A run's folder: what is saved in it, how it is checked, and whose it is."""
