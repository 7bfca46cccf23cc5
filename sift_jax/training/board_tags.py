"""Names of figures as boards group them: TensorBoard and W&B put what stands before a stroke under one
heading.

    metrics.jsonl   loss, grad_norm       tokens_per_second   token_padding     dev_loss   dev_loss/<task>   eval/…
    boards          train/loss, train/…   speed/…             packing/…         dev/loss   dev/<task>/loss   eval/…
"""

from __future__ import annotations

from collections.abc import Mapping

from sift_jax.training.dev_metrics import GAIN, LOSS, TOKENS

_GROUPS = {
    "speed": (
        "tokens_per_second",
        "examples_per_second",
        "model_teraflops",
        "mfu",
        "data_wait_share",
        "seconds",
        "eta_seconds",
        "compilations",
        "recompilations",
        "compiled_before",
        "memory_gb",
        "memory_peak_gb",
        "goodput",
    ),
    "packing": ("token_efficiency", "token_padding", "audio_padding"),
}
_GROUP_OF = {name: group for group, names in _GROUPS.items() for name in names}
_OF_DEV = {
    "dev_loss": "dev/loss",
    "audio_gain": "dev/audio_gain",
    # of pairs of answers (preference.py)
    "dev_margin": "dev/margin",
    "dev_pair_accuracy": "dev/pair_accuracy",
    "dev_chosen_reward": "dev/chosen_reward",
    "dev_rejected_reward": "dev/rejected_reward",
}
_OF_TASK = {LOSS: "loss", GAIN: "audio_gain", TOKENS: "tokens"}


def name_tag(name: str) -> str:
    """A figure's tag; what has a stroke and is not a task's keeps its name."""
    for prefix, what in _OF_TASK.items():
        if name.startswith(prefix):
            return f"dev/{name.removeprefix(prefix)}/{what}"
    if name in _OF_DEV or "/" in name:
        return _OF_DEV.get(name, name)
    return f"{_GROUP_OF.get(name, 'train')}/{name}"


def group_figures(values: Mapping[str, float]) -> dict[str, float]:
    return {name_tag(name): value for name, value in values.items()}
