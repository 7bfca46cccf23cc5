"""X-codec2's units: 65,536 codes, 50 a second at 16 kHz, spoken by the published decoder.

    folder of the hub ─► adopt ─► codec folder (weights copied) ─► ids ─► rows of a few static lengths ─► samples

Units are spoken here; to make them is the business of transformers' Xcodec2Model until its encoders are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from sift_jax.models.hubert_files import find_files, read_tensors
from sift_jax.models.xcodec2 import decode_codes
from sift_jax.models.xcodec2_files import make_config, make_params
from sift_jax.units.codec import Codec, CodecConfig, CodecFolder, write_folder

# codes of the shortest row; a longer one is twice, four times, … as long, so that few shapes are compiled
_SHORTEST_ROW = 64


def adopt_xcodec2(source: str | Path, out: str | Path) -> CodecFolder:
    """Writes a codec that holds the weights of a hub folder, after these were read once."""
    source = Path(source)
    found = find_files(source)
    config = make_config(found.raw, source)
    make_params(read_tensors(found.files, source), config, source)
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
        self._config = make_config(folder.config.options["config"], folder.path)
        tensors = read_tensors(sorted(folder.path.glob("model_*.safetensors")), folder.path)
        self._params = jax.device_put(make_params(tensors, self._config, folder.path))

    def _encode(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        raise ValueError(f"{self.path}: units of X-codec2 are not made here; make them with transformers' Xcodec2Model "
                         "and decode them here")

    def _decode(self, batch: Sequence[np.ndarray], reference: np.ndarray | None, seed: int) -> list[np.ndarray]:
        return [self._speak(ids) for ids in batch]

    def _speak(self, ids: np.ndarray) -> np.ndarray:
        row = np.zeros((1, max(1 << (len(ids) - 1).bit_length(), _SHORTEST_ROW)), np.int32)
        row[0, : len(ids)] = ids
        samples = decode_codes(self._config, self._params, row, np.array([len(ids)]))
        return np.asarray(samples[0])[: len(ids) * self._config.hop]
