"""The embedded corpus: sentences spoken by espeak-ng, in rooms that are simulated."""
