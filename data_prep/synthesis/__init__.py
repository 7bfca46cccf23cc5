"""Spoken question answering out of what one has: texts with questions, speech with transcripts,
speech alone."""
