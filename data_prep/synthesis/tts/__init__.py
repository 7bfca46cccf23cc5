"""What speaks a text: the contract, an engine a file, and the registry."""
