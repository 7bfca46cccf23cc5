"""Reinforcement by rewards that are measured: rollouts of the cached decoder, GRPO over LoRA."""
