"""Codecs turn a waveform into discrete units of one code book, and units into a waveform."""
