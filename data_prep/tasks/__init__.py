"""Stage 1's tasks: recognition, translation, emotion, who said what, intents, slots and speaking,
as SIFT files."""
