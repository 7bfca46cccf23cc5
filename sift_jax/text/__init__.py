"""Text to tokens: chat templates, tokenizers, and where audio and units of speech stand among the
ids."""
