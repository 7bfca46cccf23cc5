"""Benchmarks, scores and the report of a run."""
