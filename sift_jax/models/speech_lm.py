"""The speech language model: encoder → projector → decoder, with speech spliced among the tokens by
a gather.

    mel_basf ─► encoder ─► projector ─► frames (b, a·s', d) ──┐ slot_bt ≥ 0
    token_bt ─► embedding ─────────────────────────────────────┴─► x_btd ─► decoder ─► hidden ─► logits at predict_bm

With a CrossConfig speech stays outside: the embeddings attend to the frames (cross_attention.py),
and a clip's slot is its place in the row.

Params: {"encoder": …, "projector": …, "decoder": …[, "cross": …]}, plain nested dicts; of a model
without an encoder the decoder's alone.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from sift_jax.models.attention import AttentionMask, make_mask, make_row_mask
from sift_jax.models.cross_attention import (
    CrossAttention,
    CrossConfig,
    find_heard_frames,
    find_hearing,
)
from sift_jax.models.decoder import Decoder, DecoderConfig, compute_logits, embed_tokens
from sift_jax.models.fast_conformer import FastConformerConfig, FastConformerEncoder
from sift_jax.models.joined_encoder import JoinedConfig, JoinedEncoder
from sift_jax.models.layers import (
    Array,
    Counts,
    LoraConfig,
    apply_module,
    make_rotation,
    make_sinusoids,
    spread,
)
from sift_jax.models.no_encoder import NoEncoder
from sift_jax.models.projectors import ProjectorConfig, make_projector
from sift_jax.models.quantization import quantize_decoder
from sift_jax.models.soft_tokens import init_rest, read_table, soften
from sift_jax.models.whisper_encoder import EncoderConfig, WhisperEncoder

Params = dict


class Dropout(NamedTuple):
    """What training leaves out of the adapter: which values, and how many of all."""

    key: Array
    rate: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeechLMConfig:
    """Everything that decides the shape of the parameters, and nothing else but the arithmetic."""

    encoder: EncoderConfig | FastConformerConfig | JoinedConfig | NoEncoder
    projector: ProjectorConfig
    decoder: DecoderConfig
    # how speech comes to the tokens; None is among them
    cross: CrossConfig | None
    lora: LoraConfig
    # "int8": the projections of the decoder's blocks, see quantization.py
    quantized: str | None
    # of the encoder, that a recording had in training, at most: more are refused
    windows: int
    dtype: str
    remat: str
    attention: str
    # of the kernel that works in blocks: positions of one
    attention_block: int

    def count_frames(self, mel_frames: int) -> int:
        """Decoder positions that a clip of `mel_frames` takes: here data, model and export agree on
        it."""
        return 1 if self.cross else self.count_positions(mel_frames)

    @property
    def longest_seconds(self) -> float:
        """The longest recording that it takes, in one window or in several that follow each
        other."""
        return self.windows * self.encoder.window_seconds

    @property
    def hears_units(self) -> bool:
        """Whether recordings come as units among the tokens, see no_encoder.py."""
        return isinstance(self.encoder, NoEncoder)

    def count_positions(self, mel_frames: Counts) -> Counts:
        """Projected frames of a clip, wherever they go; the same for ints and arrays."""
        if self.hears_units:
            return 0 * mel_frames
        return self.projector.count_positions(self.encoder.count_frames(mel_frames))

    @property
    def asked_cross(self) -> CrossConfig:
        """Of a model that has cross-attention."""
        if self.cross is None:
            raise ValueError("this model has no cross-attention; set ModelConfig.fusion = 'cross'")
        return self.cross

    @property
    def slots_per_clip(self) -> int:
        return self.count_frames(self.encoder.mel_frames)


def make_encoder(
    config: SpeechLMConfig,
) -> WhisperEncoder | FastConformerEncoder | JoinedEncoder:
    dtype, pool = jnp.dtype(config.dtype), config.projector.pool
    if isinstance(config.encoder, NoEncoder):
        raise ValueError("this model has no encoder: recordings come as units, among the tokens")
    if isinstance(config.encoder, FastConformerConfig):
        return FastConformerEncoder(
            config=config.encoder, dtype=dtype, remat=config.remat, pool=pool
        )
    if isinstance(config.encoder, JoinedConfig):
        if pool > 1:
            raise ValueError(
                "the pooled projector averages within a Whisper or a FastConformer, and this "
                "encoder is two; set PROJECTOR (ModelConfig.projector) to 'salmonn' or 'stacked'"
            )
        return JoinedEncoder(
            config=config.encoder, dtype=dtype, remat=config.remat, attention=config.attention
        )
    return WhisperEncoder(
        config=config.encoder,
        dtype=dtype,
        remat=config.remat,
        pool=pool,
        attention=config.attention,
    )


def _projector(config: SpeechLMConfig, dropout: float = 0.0) -> nn.Module:
    dtype = jnp.dtype(config.dtype)
    return make_projector(config.projector, config.decoder.width, dtype, dropout=dropout)


def _cross(config: SpeechLMConfig) -> CrossAttention:
    dtype = jnp.dtype(config.dtype)
    return CrossAttention(
        config=config.asked_cross, width=config.decoder.width, dtype=dtype, remat=config.remat
    )


def make_decoder(config: SpeechLMConfig) -> Decoder:
    return Decoder(
        config=config.decoder, lora=config.lora, dtype=jnp.dtype(config.dtype), remat=config.remat
    )


def init_params(config: SpeechLMConfig, key: Array) -> Params:
    """Random parameters; call it under jit or eval_shape for large models."""
    encoder_key, projector_key, decoder_key = jax.random.split(key, 3)
    x = jnp.zeros((1, 2, config.decoder.width))
    position, mask = jnp.zeros((1, 2), jnp.int32), jnp.ones((1, 2, 2), bool)
    params = {}
    if not isinstance(config.encoder, NoEncoder):
        mel = jnp.zeros((1, config.encoder.mel_frames, config.encoder.mel_bins))
        frames = jnp.zeros((1, config.projector.frames, config.encoder.width))
        heard = jnp.ones((1,), jnp.int32)
        params["encoder"] = make_encoder(config).init(encoder_key, mel, heard)["params"]
        params["projector"] = _projector(config).init(projector_key, frames)["params"]
        if config.projector.soft_tokens:
            params["projector"]["rest"] = init_rest(config.decoder.width)
    decoder = make_decoder(config).init(decoder_key, x, position, AttentionMask.of(mask))
    params["decoder"] = decoder["params"]
    if config.quantized:
        params["decoder"] = quantize_decoder(params["decoder"])
    if config.cross:
        inputs = (x, rotate_for_cross(config, position), mask, x, mask)
        params["cross"] = _cross(config).init(jax.random.fold_in(decoder_key, 1), *inputs)["params"]
    return params


def project_speech(
    config: SpeechLMConfig,
    params: Params,
    mel_basf: Array,
    frames_ba: Array,
    dropout: Dropout | None = None,
) -> Array:
    """Clips to the projector's frames, (b, a · projected frames of a clip, d)."""
    b, a, s, f = mel_basf.shape
    frames = frames_ba.reshape(-1)
    mel = mel_basf.reshape(b * a, s, f)
    encoded = apply_module(make_encoder(config), params["encoder"], mel, frames)
    heard = config.encoder.count_frames(frames)
    key, rate = dropout or (None, 0.0)
    project = _projector(config, rate)
    projected = apply_module(project, params["projector"], encoded, heard, dropout_key=key)
    if config.cross and config.cross.is_placed:
        places = make_sinusoids(*projected.shape[1:])
        projected = projected + places.astype(projected.dtype)
    return spread(projected.reshape(b, a * projected.shape[1], projected.shape[2]))


def encode_speech(
    config: SpeechLMConfig,
    params: Params,
    mel_basf: Array,
    frames_ba: Array,
    dropout: Dropout | None = None,
) -> Array:
    """Clips to decoder embeddings, (b, a · projected frames of a clip, d)."""
    frames = project_speech(config, params, mel_basf, frames_ba, dropout)
    if not config.projector.soft_tokens:
        return frames
    table = read_table(config.decoder, params["decoder"])
    return spread(soften(frames, params["projector"]["rest"], table))


def splice(
    config: SpeechLMConfig,
    params: Params,
    batch: dict[str, Array],
    dropout: Dropout | None = None,
) -> Array:
    """Token embeddings, with an audio frame wherever slot_bt names one."""
    x_btd = embed_tokens(
        config.decoder, params["decoder"], batch["token_bt"], jnp.dtype(config.dtype)
    )
    if config.hears_units:
        return spread(x_btd)
    frames = encode_speech(config, params, batch["mel_basf"], batch["frames_ba"], dropout)
    slot_bt = batch["slot_bt"]
    speech_btd = jnp.take_along_axis(frames, jnp.maximum(slot_bt, 0)[:, :, None], axis=1)
    return spread(jnp.where(slot_bt[:, :, None] >= 0, speech_btd, x_btd))


def rotate_for_cross(config: SpeechLMConfig, position_bt: Array) -> tuple[Array, Array]:
    head_size = config.asked_cross.head_size(config.decoder.width)
    return make_rotation(position_bt, head_size, config.decoder.rope_theta)


def hear_speech(
    config: SpeechLMConfig,
    params: Params,
    batch: dict[str, Array],
    mask_bts: Array,
    dropout: Dropout | None = None,
) -> tuple[Array, Array]:
    """(projected frames (b, s, d), which of them a position hears (b, t, s)) for
    cross-attention."""
    speech_bsd = encode_speech(config, params, batch["mel_basf"], batch["frames_ba"], dropout)
    clips = batch["frames_ba"].shape[1]
    hears_bta = find_hearing(mask_bts, batch["slot_bt"], jnp.arange(clips)[None])
    positions_ba = config.count_positions(batch["frames_ba"])
    return speech_bsd, find_heard_frames(hears_bta, positions_ba, speech_bsd.shape[1] // clips)


def embed_batch(
    config: SpeechLMConfig,
    params: Params,
    batch: dict[str, Array],
    mask: AttentionMask,
    dropout: Dropout | None = None,
) -> Array:
    """What the decoder reads: tokens, with the speech among them or attended to."""
    if config.cross is None:
        return splice(config, params, batch, dropout)
    x_btd = embed_tokens(
        config.decoder, params["decoder"], batch["token_bt"], jnp.dtype(config.dtype)
    )
    mask_bts = (
        make_mask(batch["group_bt"], batch["segment_bt"])
        if mask.mask_bts is None
        else mask.mask_bts
    )
    speech_bsd, hears_bts = hear_speech(config, params, batch, mask_bts, dropout)
    rotation = rotate_for_cross(config, batch["position_bt"])
    inputs = (x_btd, rotation, mask_bts, speech_bsd, hears_bts)
    return spread(apply_module(_cross(config), params["cross"], *inputs))


def compute_hidden(
    config: SpeechLMConfig,
    params: Params,
    batch: dict[str, Array],
    dropout: Dropout | None = None,
) -> Array:
    """The decoder's hidden states at predict_bm, (b, m, d); only training drops anything."""
    head_size = config.decoder.head_size
    mask = make_row_mask(
        config.attention,
        batch["group_bt"],
        batch["segment_bt"],
        head_size=head_size,
        dtype=config.dtype,
        block=config.attention_block,
    )
    hidden = apply_module(
        make_decoder(config),
        params["decoder"],
        embed_batch(config, params, batch, mask, dropout),
        batch["position_bt"],
        mask,
    )
    return spread(jnp.take_along_axis(hidden, batch["predict_bm"][:, :, None], axis=1))


def compute_target_logits(config: SpeechLMConfig, params: Params, batch: dict[str, Array]) -> Array:
    return compute_logits(params["decoder"], compute_hidden(config, params, batch))


def describe_params(config: SpeechLMConfig) -> Params:
    """Shapes and dtypes of the parameters, without making them."""
    return jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
