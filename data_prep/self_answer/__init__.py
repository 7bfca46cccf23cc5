"""Targets that a decoder writes by itself: it answers instructions about utterances that it reads as
text."""
