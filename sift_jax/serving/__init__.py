"""An OpenAI-compatible server over the slots of decoding.slots: requests, limits, streams."""
