"""Flax modules: speech encoders, projectors, decoder, and the speech language model made of
them."""
