"""Speech as units: codecs that turn a waveform into ids of one code book, and ids into a waveform."""
