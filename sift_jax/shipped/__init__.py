"""What travels with the package: a small model, and recordings to ask it about."""
