"""From published weights and recordings of people to a small SIFT-LLM, on a laptop."""
