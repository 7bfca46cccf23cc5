"""From nothing to a model that answers, speaks and is measured: nine steps, told as they run."""
