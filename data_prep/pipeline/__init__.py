"""A build from a corpus to records: its config, its stages, its splits."""
