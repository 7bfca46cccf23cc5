"""X-codec2's units: 65,536 codes, 50 a second at 16 kHz, by the published network, both ways.

    folder of the hub ─► adopt ─► codec folder (weights copied)
    waves ─► silence to whole codes, one sample at least ─► pieces of a few static lengths ─► ids
    ids ─► rows of a few static lengths ─► samples

The encoder is read when it is first asked for: a codec that only speaks needs no memory for it. A
recording beyond 30 s is heard in pieces with 3 s of what is around them, each normalised by itself.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from sift_jax.codecs.chunked_batches import run_over
from sift_jax.codecs.code_book import make_mesh
from sift_jax.codecs.codec import INPUT_RATE, Codec
from sift_jax.codecs.codec_folder import CodecConfig, CodecFolder, write_folder
from sift_jax.codecs.network_folder import find_files, read_tensors
from sift_jax.codecs.xcodec2.decoder_checkpoint import make_config, make_params
from sift_jax.codecs.xcodec2.encoder_checkpoint import (
    has_encoder,
    make_encoder_config,
    make_encoder_params,
)
from sift_jax.codecs.xcodec2.xcodec2_decoder import decode_codes
from sift_jax.codecs.xcodec2.xcodec2_encoder import Params, Xcodec2EncoderConfig, encode_waves

# codes of the shortest row; a longer one is twice, four times, … as long, so that few shapes are
# compiled
_SHORTEST_ROW = 64


def adopt_xcodec2(source: str | Path, out: str | Path) -> CodecFolder:
    """Writes a codec that holds the weights of a hub folder, after these were read once."""
    source = Path(source)
    found = find_files(source)
    config = make_config(found.raw, source)
    tensors = read_tensors(found.files, source)
    make_params(tensors, config, source)
    if has_encoder(tensors):
        make_encoder_params(tensors, make_encoder_config(found.raw, source), source)
    codec = CodecConfig(
        kind="xcodec2",
        codes=config.codes,
        frame_rate=config.sampling_rate / config.hop,
        sample_rate=config.sampling_rate,
        is_deduplicated=False,
        options={"config": dict(found.raw)},
    )
    return write_folder(out, codec, {f"model_{i:05}": path for i, path in enumerate(found.files)})


class Xcodec2Codec(Codec):
    """The voice is in the units, and so is the pace: they are never joined."""

    def __init__(self, folder: CodecFolder):
        super().__init__(folder)
        self._raw = folder.config.options["config"]
        self._config = make_config(self._raw, folder.path)
        self._params = jax.device_put(make_params(self._read(), self._config, folder.path))

    def _read(self) -> dict[str, np.ndarray]:
        return read_tensors(sorted(self.path.glob("model_*.safetensors")), self.path)

    @functools.cached_property
    def _encoder(self) -> tuple[Xcodec2EncoderConfig, Params]:
        tensors = self._read()
        if not has_encoder(tensors):
            raise ValueError(
                f"{self.path} has X-codec2's decoder alone; adopt a checkpoint that has its "
                "encoders too, to make units"
            )
        if self.config.sample_rate != INPUT_RATE:
            raise ValueError(
                f"{self.path} hears {self.config.sample_rate} Hz, and its log-mel is made at "
                f"{INPUT_RATE} Hz alone; take another checkpoint"
            )
        config = make_encoder_config(self._raw, self.path)
        params = make_encoder_params(tensors, config, self.path)
        return config, jax.device_put(params, NamedSharding(make_mesh(), PartitionSpec()))

    def count_units(self, samples: int) -> int:
        return samples // self._config.hop + 1

    def _encode(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        config, params = self._encoder
        hop = config.hop

        def run(wave_bn: jax.Array, sample_b: jax.Array) -> tuple[jax.Array]:
            # rows that fill a batch hold nothing
            return (encode_waves(config, params, wave_bn, jnp.maximum(sample_b, hop)),)

        whole = [np.pad(wave, (0, hop - len(wave) % hop)) for wave in waves]
        return [ids for (ids,) in run_over(whole, hop, run, is_heavy=True)]

    def _decode(
        self, batch: Sequence[np.ndarray], reference: np.ndarray | None, seed: int
    ) -> list[np.ndarray]:
        return [self._speak(ids) for ids in batch]

    def _speak(self, ids: np.ndarray) -> np.ndarray:
        row = np.zeros((1, max(1 << (len(ids) - 1).bit_length(), _SHORTEST_ROW)), np.int32)
        row[0, : len(ids)] = ids
        samples = decode_codes(self._config, self._params, row, np.array([len(ids)]))
        return np.asarray(samples[0])[: len(ids) * self._config.hop]
