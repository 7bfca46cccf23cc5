"""Servers that are asked over HTTP: what holds for all of them."""
