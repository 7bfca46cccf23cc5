"""Figures from answers and verdicts.

answers ─ text, classes ─► counts of each item ─ bootstrap ─► value, interval      of any group of items
verdicts ───────────────────────────┘          └ paired ────► difference, p        of two systems
"""
