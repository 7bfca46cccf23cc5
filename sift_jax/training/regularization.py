"""What training hides from the model, so that it does not lean on any one part of what it hears.

SpecAugment    mel (frames × bins) ─► the same with bands of bins and spans of frames at zero, drawn in each step
dropout        some values inside the conformer adapter at zero                 (models/fast_conformer.py)

          bins │ ······▓▓···            two frequency masks would be two bands of rows, each at most
               │ ▓▓▓▓▓▓▓▓▓▓  ◄─ band    `frequency_mask_bins` high;
               │ ······▓▓···            a time mask is at most `time_mask_share` of its clip wide
               └───────────── frames
                       ▲ span

Which they are follows from the run's seed and the step, so that a run that was stopped resumes
with the same ones. Zero is the mean of a FastConformer's normalised mel, and near the middle of
Whisper's. Held-out batches and answers are never masked.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sift_jax.models.layers import Array
from sift_jax.models.speech_lm import Dropout, SpeechLMConfig
from sift_jax.training.run_config import RegularizationConfig


def check_regularization(config: RegularizationConfig | None, model: SpeechLMConfig) -> None:
    """ValueError where a model has nothing that the config speaks of."""
    if config is None:
        return
    if config.adapter_dropout and model.projector.kind != "conformer":
        raise ValueError(
            f"adapter_dropout is {config.adapter_dropout}, and the {model.projector.kind} projector "
            "has no dropout; set RegularizationConfig.adapter_dropout = 0.0, or choose a conformer"
        )
    if config.frequency_masks and config.frequency_mask_bins > model.encoder.mel_bins:
        raise ValueError(
            f"frequency_mask_bins is {config.frequency_mask_bins}, and the encoder hears "
            f"{model.encoder.mel_bins} mel bins; set RegularizationConfig.frequency_mask_bins to "
            "about a third of them"
        )


def mask_mel(config: RegularizationConfig, key: Array, mel_basf: Array, frames_ba: Array) -> Array:
    """The clips with their bands and spans at zero; each clip has its own."""
    b, a, frames, bins = mel_basf.shape
    band_key, span_key = jax.random.split(key)
    # widths of 0 to the greatest, as SpecAugment draws them; what they come to on average is half
    heights = jnp.full((b, a), config.frequency_mask_bins)
    widths = jnp.maximum(frames_ba * config.time_mask_share, 1).astype(jnp.int32)
    # of no clip nothing
    widths = jnp.minimum(widths, frames_ba)
    bands = _draw_masks(band_key, config.frequency_masks, jnp.full((b, a), bins), heights, bins)
    spans = _draw_masks(span_key, config.time_masks, frames_ba, widths, frames)
    is_hidden = spans[:, :, :, None] | bands[:, :, None, :]
    return jnp.where(is_hidden, 0, mel_basf)


def _draw_masks(key: Array, count: int, lengths_ba: Array, widest_ba: Array, places: int) -> Array:
    """(b, a, places): which places any of `count` masks covers, each somewhere inside a clip's
    length."""
    if not count:
        return jnp.zeros((*lengths_ba.shape, places), bool)
    width_key, first_key = jax.random.split(key)
    shape = (*lengths_ba.shape, count)
    # 0, 1, …, widest: all equally likely
    widths = jax.random.randint(width_key, shape, 0, widest_ba[:, :, None] + 1)
    room = jnp.maximum(lengths_ba[:, :, None] - widths, 0)
    first = jax.random.randint(first_key, shape, 0, room + 1)
    place = jnp.arange(places)
    is_inside = (place >= first[..., None]) & (place < (first + widths)[..., None])
    return jnp.any(is_inside, axis=2)


def draw_noise(
    config: RegularizationConfig | None, seed: int, step: Array, batch: dict[str, Array]
) -> tuple[dict[str, Array], Dropout | None]:
    """(the batch with its clips masked, the adapter's dropout) of a step."""
    if config is None:
        return batch, None
    mask_key, dropout_key = jax.random.split(jax.random.fold_in(jax.random.key(seed), step))
    masked = mask_mel(config, mask_key, batch["mel_basf"], batch["frames_ba"])
    dropout = Dropout(dropout_key, config.adapter_dropout) if config.adapter_dropout else None
    return {**batch, "mel_basf": masked}, dropout
