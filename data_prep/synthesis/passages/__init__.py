"""Written passages and what is asked about them: read, cleaned, and made speakable."""
