"""Prefill and cached sampling."""
