"""X-codec2 by its published weights, both ways."""
