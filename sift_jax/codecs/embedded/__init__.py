"""The embedded codec, which is fitted in a minute and needs no network."""
