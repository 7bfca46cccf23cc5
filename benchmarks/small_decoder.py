"""A decoder of 20 million parameters, for machines on which a published one takes minutes a
step."""

from __future__ import annotations

import dataclasses

from sift_jax.models.decoder import DecoderConfig
from sift_jax.models.presets import DECODERS

NAME = "small"


def find_decoder(name: str) -> DecoderConfig:
    """The preset of that name, or the small one."""
    if name != NAME:
        if name not in DECODERS:
            raise SystemExit(
                f"error: no decoder {name!r}; choose {NAME} or a preset: "
                f"{', '.join(sorted(DECODERS))}"
            )
        return DECODERS[name]
    sizes = {"width": 384, "layers": 8, "heads": 6, "kv_heads": 2, "head_size": 64, "hidden": 1536}
    return dataclasses.replace(DECODERS["quickstart"], **sizes, vocab_size=16_384, rope_theta=1e6)
