"""The networks that make samples of units, in the voice of a reference recording."""
