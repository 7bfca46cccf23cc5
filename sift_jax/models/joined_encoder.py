"""Two encoders that hear the same clip, SALMONN's: Whisper for speech, BEATs for any sound.

mel (clips, frames, 80 + 128) ─┬► Whisper ─► norm ─┐
                               └► BEATs   ─► norm ─┴► side by side (clips, tokens, 1280 + 768)

Both have 50 frames a second. Whisper hears its window, silence included, and BEATs the clip: behind
its end are zeros. A window has as many frames as BEATs has tokens, of whole patches of 160 ms: of
Whisper's 1,500 in 30 s the last 4 are left out, which SALMONN's windows of 17 do not reach (88 · 17 =
1,496). However short the clip, all of them are read.
"""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax.numpy as jnp

from sift_jax.models.beats_encoder import BeatsConfig, BeatsEncoder
from sift_jax.models.layers import Array, Counts, LayerNorm
from sift_jax.models.whisper_encoder import EncoderConfig, WhisperEncoder

# of the picture that stands behind Whisper's bins, see audio/joined_mel.py
KALDI_BINS = 128
# hops of a clip that no frame of that picture begins with
KALDI_LACKS = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class JoinedConfig:
    """Whisper's geometry and BEATs'."""

    whisper: EncoderConfig
    beats: BeatsConfig
    frame_mask: str

    def __post_init__(self) -> None:
        if self.frame_mask != "none" or self.whisper.frame_mask != "none":
            raise ValueError(
                f"frame_mask is {self.frame_mask!r}, and SALMONN's Whisper hears the silence behind "
                "a clip; set ModelConfig.frame_mask = None"
            )
        if self.beats.mel_bins != KALDI_BINS:
            raise ValueError(
                f"BEATs has {self.beats.mel_bins} mel bins beside a Whisper, and they are "
                f"{KALDI_BINS}; change the preset"
            )

    @property
    def front_end(self) -> str:
        return "joined"

    @property
    def mel_bins(self) -> int:
        return self.whisper.mel_bins + self.beats.mel_bins

    @property
    def mel_frames(self) -> int:
        return self.whisper.mel_frames

    @property
    def window_seconds(self) -> float:
        return self.whisper.window_seconds

    @property
    def stride(self) -> int:
        """Mel frames that become one."""
        return self.whisper.stride

    @property
    def width(self) -> int:
        return self.whisper.width + self.beats.width

    @property
    def layers(self) -> int:
        """Of the longer of the two."""
        return max(self.whisper.layers, self.beats.layers)

    def count_frames(self, mel_frames: Counts) -> Counts:
        """Those of the window, whatever the clip; the same for ints and arrays."""
        return 0 * mel_frames + self.beats.count_tokens(self.mel_frames - KALDI_LACKS)

    @property
    def kernel_uses(self) -> dict[str, float]:
        """How often each kernel is multiplied for a frame that comes out, by pattern of its
        path."""
        whisper = {f"whisper/{path}": times for path, times in self.whisper.kernel_uses.items()}
        # a gate is asked for every head; the convolution's kernel has its groups' inputs alone
        return whisper | {
            "beats/blocks/([qkvo]|up|down)/kernel": 1,
            "beats/blocks/gate/kernel": self.beats.heads,
            "beats/(patch|projection|places)/kernel": 1,
        }


class JoinedEncoder(nn.Module):
    """Params {"whisper": …, "beats": …, "whisper_norm": …, "beats_norm": …}: the norms are SALMONN's
    own, and train with its projector."""

    config: JoinedConfig
    dtype: jnp.dtype
    remat: str
    attention: str = "auto"

    @nn.compact
    def __call__(self, mel_bsf: Array, frames_b: Array) -> Array:
        c = self.config
        bins = c.whisper.mel_bins
        whisper = WhisperEncoder(
            config=c.whisper,
            dtype=self.dtype,
            remat=self.remat,
            attention=self.attention,
            name="whisper",
        )
        speech = LayerNorm(eps=1e-5, name="whisper_norm")(whisper(mel_bsf[..., :bins], frames_b))
        own_b = jnp.maximum(frames_b - KALDI_LACKS, 0)
        beats = BeatsEncoder(config=c.beats, dtype=self.dtype, remat=self.remat, name="beats")
        sound = LayerNorm(eps=1e-5, name="beats_norm")(beats(mel_bsf[..., bins:], own_b))
        tokens = c.beats.count_tokens(mel_bsf.shape[1] - KALDI_LACKS)
        # behind the clip's end there is nothing, a norm's bias neither
        is_heard_bs = jnp.arange(tokens)[None] < c.beats.count_tokens(own_b)[:, None]
        sound = jnp.where(is_heard_bs[:, :, None], sound[:, :tokens], 0)
        return jnp.concatenate([speech[:, :tokens], sound], axis=-1)
