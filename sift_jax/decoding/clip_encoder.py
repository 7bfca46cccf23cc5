"""Speech made into the decoder's embeddings apart from the questions, so that a clip is encoded
once for all of them.

clips: samples [n] ─► mel, padded to few lengths ─► encoder, projector, `rows` clips a call ─► frames [positions, d]
                         └ a clip that was heard before is remembered ──────────────────────────► (host memory)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import numpy as np
from jax.sharding import Mesh

from sift_jax.audio.front_ends import FRONT_ENDS
from sift_jax.decoding.decoder_sharding import place_params
from sift_jax.models.layers import Array
from sift_jax.models.speech_lm import Params, SpeechLMConfig, encode_speech
from sift_jax.parallel.distributed import fetch
from sift_jax.parallel.mesh import shard_rows

# Into so many lengths a window is cut, where a clip sounds the same in windows of any length.
LENGTHS = 6
# What is remembered, samples and frames together.
KEPT_BYTES = 1 << 31


@partial(jax.jit, static_argnames=("config", "mesh"))
def _encode(
    config: SpeechLMConfig, mesh: Mesh, params: Params, mel_usf: Array, frames_u: Array
) -> Array:
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
        return encode_speech(config, params, mel_usf[:, None], frames_u[:, None])


class ClipEncoder:
    """Hears `rows` clips at once, over the devices of a mesh, and remembers `kept_bytes` of them,
    KEPT_BYTES where nothing is said."""

    def __init__(
        self,
        config: SpeechLMConfig,
        params: Params,
        mesh: Mesh,
        *,
        rows: int,
        kept_bytes: int | None = None,
    ):
        self.config, self.mesh, self.rows = config, mesh, rows
        self._kept_bytes = KEPT_BYTES if kept_bytes is None else kept_bytes
        self._front_end = FRONT_ENDS[config.encoder.front_end]
        # a model that hears units has neither
        heard = {part: params[part] for part in ("encoder", "projector") if part in params}
        if config.projector.soft_tokens:
            heard["decoder"] = {"embedding": params["decoder"]["embedding"]}
        self._params = place_params(heard, mesh)
        # by identity: whoever asks about a clip again hands in the same array, which is held here
        self._heard: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._bytes = 0

    def hear(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The frames (positions, d) of each clip."""
        new = {id(clip): clip for clip in clips if id(clip) not in self._heard}
        found = {id(clip): self._heard[id(clip)][1] for clip in clips if id(clip) in self._heard}
        by_length: dict[int, list[np.ndarray]] = {}
        for clip in new.values():
            by_length.setdefault(self._choose_length(clip), []).append(clip)
        for length, group in by_length.items():
            for start in range(0, len(group), self.rows):
                part = group[start : start + self.rows]
                for clip, frames in zip(part, self._encode(part, length), strict=True):
                    found[id(clip)] = frames
                    self._remember(clip, frames)
        return [found[id(clip)] for clip in clips]

    def warm_up(self) -> None:
        """Compiles the encoder for every length that a clip is padded to."""
        # a model that hears units has nothing to compile
        for length in self._list_lengths() if self._params else ():
            self._encode([], length)

    def _list_lengths(self) -> list[int]:
        """Mel frames that clips are padded to: the window alone, or whole steps up to it."""
        window = self.config.encoder.mel_frames
        if self.config.encoder.frame_mask != "all":
            return [window]
        # whole groups of the projector: a last one with zeros in it would sound otherwise than in a
        # longer window
        group = self.config.encoder.stride * self.config.projector.frames
        step = -(-window // LENGTHS // group) * group
        return [*range(step, window, step), window]

    def _choose_length(self, clip: np.ndarray) -> int:
        """The length that a clip is padded to."""
        # with two frames to spare: at the very end of a window the features mirror the clip
        need = self._front_end.count_frames(len(clip)) + 2
        lengths = self._list_lengths()
        return next((length for length in lengths if length >= need), lengths[-1])

    def _encode(self, clips: list[np.ndarray], length: int) -> list[np.ndarray]:
        mel = np.zeros((self.rows, length, self.config.encoder.mel_bins), np.float32)
        frames = np.zeros(self.rows, np.int32)
        for place, clip in enumerate(clips):
            frames[place] = self._front_end.fill(clip, mel[place])
        put = partial(jax.device_put, device=shard_rows(self.mesh))
        encoded = fetch(_encode(self.config, self.mesh, self._params, put(mel), put(frames)))
        positions = self.config.count_positions(frames).tolist()
        return [encoded[place, : positions[place]].copy() for place in range(len(clips))]

    def _remember(self, clip: np.ndarray, frames: np.ndarray) -> None:
        self._heard[id(clip)] = (clip, frames)
        self._bytes += clip.nbytes + frames.nbytes
        while self._bytes > self._kept_bytes and len(self._heard) > 1:
            oldest = self._heard.pop(next(iter(self._heard)))
            self._bytes -= sum(array.nbytes for array in oldest)
