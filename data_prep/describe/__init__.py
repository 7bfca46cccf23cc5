"""What tells others of a dataset: its card and its page."""
