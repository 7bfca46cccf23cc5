"""Speech instruction tuning in JAX: data, models, training, evaluation."""
