"""Code for PyTorch that an export brings along: its files are copied into the folder, where
transformers runs them, and nothing here imports them.

configuration_sift.py   config.json, and how many positions a recording takes
processing_sift.py      recordings and texts ─► what the model reads
modeling_sift.py        encoder ─► projector ─► decoder
"""
