"""Recipes: a list of commands, run one after the other, narrated, resumed."""
