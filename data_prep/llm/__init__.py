"""Calls to language models behind OpenAI-compatible endpoints."""
