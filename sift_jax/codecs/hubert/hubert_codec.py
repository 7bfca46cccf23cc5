"""HuBERT units: the hidden states of one layer, each as the nearest of a k-means code book.

    waves ─► mean 0, variance 1 (if the encoder was trained so) ─► layers up to `layer` ─► [frames, d] ─► nearest code
    groups of waves ─► features ─► as many frames as asked, drawn evenly from all ─► k-means ─► book [codes, d]

The folder says which encoder it heard with, by a fingerprint of its weights and where they lay; it
holds them itself where it was asked to. A recording beyond 30 s is heard in pieces with 3 s of what
is around them.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from sift_jax.codecs.chunked_batches import run_over
from sift_jax.codecs.code_book import find_nearest, fit_book, make_mesh
from sift_jax.codecs.codec import INPUT_RATE, Codec
from sift_jax.codecs.codec_folder import CodecConfig, CodecFolder, write_folder
from sift_jax.codecs.hubert.hubert_checkpoint import make_config, make_params
from sift_jax.codecs.hubert.network import HubertConfig, Params, compute_features
from sift_jax.codecs.network_folder import NetworkFolder, find_files, read_tensors
from sift_jax.codecs.vocoder.unit_vocoder import UnitVocoder, explain_missing


@dataclasses.dataclass(frozen=True, kw_only=True)
class HubertOptions:
    """What a fit of HuBERT units may choose."""

    layer: int
    codes: int
    # frames that the book is fitted on; what is kept in memory is twice that at most
    frames: int
    is_deduplicated: bool
    # whether the codec's folder takes a copy of the encoder's weights
    has_weights: bool

    def __post_init__(self) -> None:
        if self.frames < self.codes:
            raise ValueError(
                f"{self.frames} frames cannot fill a book of {self.codes} codes; ask for more "
                "frames"
            )


class Encoder:
    """The network up to one layer, on all devices."""

    def __init__(self, found: NetworkFolder, layer: int, source: Path):
        self.config = make_config(found.raw, source)
        if not 0 < layer <= self.config.num_hidden_layers:
            raise ValueError(
                f"{source} has layers 1 … {self.config.num_hidden_layers}, not {layer}; ask for "
                "another"
            )
        params = make_params(
            read_tensors(found.files, source), self.config, source, has_head=False, layers=layer
        )
        self._params = jax.device_put(params, NamedSharding(make_mesh(), PartitionSpec()))
        self._layer, self._is_normalised = layer, found.is_normalised

    def run(
        self, waves: Sequence[np.ndarray], end: Callable[[jax.Array], jax.Array]
    ) -> list[np.ndarray]:
        """What `end`, a jitted function, makes of the hidden states [b, t, d]; cut to each wave's
        own frames."""
        heard = [_normalise(wave) for wave in waves] if self._is_normalised else waves

        def run_batch(waves: jax.Array, lengths: jax.Array) -> tuple[jax.Array]:
            return (end(_hear(self.config, self._layer, self._params, waves, lengths)),)

        found = run_over(heard, self.config.stride, run_batch, is_heavy=True)
        return [
            rows[: self.count_frames(len(wave))] for (rows,), wave in zip(found, waves, strict=True)
        ]

    def count_frames(self, samples: int) -> int:
        """Never none: a wave shorter than a frame is followed by silence."""
        return max(self.config.count_frames(samples), 1)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _hear(
    config: HubertConfig, layer: int, params: Params, waves: jax.Array, lengths: jax.Array
) -> jax.Array:
    shortest = 1
    for kernel, stride in zip(config.conv_kernel[::-1], config.conv_stride[::-1], strict=True):
        shortest = (shortest - 1) * stride + kernel
    return compute_features(config, params, waves, jnp.maximum(lengths, shortest), layer=layer)


def _normalise(wave: np.ndarray) -> np.ndarray:
    wide = wave.astype(np.float64)
    return ((wide - wide.mean()) / np.sqrt(wide.var() + 1e-7)).astype(np.float32)


class HubertCodec(Codec):
    """Ids of a code book over one layer. The way back to samples is a vocoder of these units, in
    any voice."""

    has_reference = True

    def __init__(self, folder: CodecFolder):
        super().__init__(folder)
        options = folder.config.options
        if options["has_weights"]:
            source, files = folder.path, tuple(sorted(folder.path.glob("encoder_*.safetensors")))
            found = NetworkFolder(
                files=files, raw=options["config"], is_normalised=options["is_normalised"]
            )
        else:
            source = Path(options["encoder"])
            found = _find_again(source, options, folder.path)
        self._encoder = Encoder(found, options["layer"], source)
        book = jax.device_put(
            folder.read_tensors("book")["points"], NamedSharding(make_mesh(), PartitionSpec())
        )
        assign = jax.jit(lambda features, book: find_nearest(features, book)[0])
        self._assign = lambda features: assign(features, book)
        self._vocoder = UnitVocoder(folder) if folder.vocoder else None

    def count_units(self, samples: int) -> int:
        return self._encoder.count_frames(samples)

    def _encode(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        return self._encoder.run(waves, self._assign)

    def _decode(
        self, batch: Sequence[np.ndarray], reference: np.ndarray | None, seed: int
    ) -> list[np.ndarray]:
        if self._vocoder is None:
            raise ValueError(explain_missing(self.path))
        voice = self._vocoder.hear(reference)
        return [self._vocoder.speak(ids, voice) for ids in batch]


def _find_again(source: Path, options: Mapping[str, Any], codec: Path) -> NetworkFolder:
    if not source.is_dir():
        raise ValueError(
            f"{codec} was fitted on the encoder {source}, which is not there; put it there again, "
            "or fit with --copy_encoder"
        )
    found = find_files(source)
    if fingerprint_encoder(found) != options["encoder_fingerprint"]:
        raise ValueError(
            f"{source} is not the encoder that {codec} was fitted on "
            f"({options['encoder_fingerprint'][:12]}…); put that one there again"
        )
    return found


def fingerprint_encoder(found: NetworkFolder) -> str:
    """sha256 over its config, how it wants its waves, and the bytes of its weights, whatever the
    files are called."""
    digests = []
    for path in found.files:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    told = json.dumps([found.raw, found.is_normalised, sorted(digests)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def fit_hubert(
    encoder: str | Path,
    groups: Iterable[Sequence[np.ndarray]],
    out: str | Path,
    options: HubertOptions,
    *,
    seed: int,
) -> CodecFolder:
    """Writes the codec whose code book these waves ask for; the groups are read once, one at a
    time."""
    source = Path(encoder).resolve()
    found = find_files(source)
    network = Encoder(found, options.layer, source)
    points = draw_frames(
        (rows for waves in groups for rows in network.run(waves, lambda features: features)),
        options.frames,
        seed=seed,
    )
    book = fit_book(points, np.ones(len(points)), options.codes, seed=seed)
    config = CodecConfig(
        kind="hubert",
        codes=options.codes,
        frame_rate=INPUT_RATE / network.config.stride,
        sample_rate=INPUT_RATE,
        is_deduplicated=options.is_deduplicated,
        options={
            "encoder": str(source),
            "encoder_fingerprint": fingerprint_encoder(found),
            "layer": options.layer,
            "is_normalised": found.is_normalised,
            "has_weights": options.has_weights,
            "config": dict(found.raw) if options.has_weights else {},
            "frames": len(points),
        },
    )
    tensors: dict[str, Any] = {"book": {"points": book}}
    if options.has_weights:
        tensors |= {f"encoder_{i:05}": path for i, path in enumerate(found.files)}
    return write_folder(out, config, tensors)


def draw_frames(features: Iterable[np.ndarray], count: int, *, seed: int) -> np.ndarray:
    """`count` rows, each as likely as any other, in their order; all of them where there are no
    more."""
    random = np.random.default_rng(seed)
    keys, rows = np.empty(0), None
    for new in features:
        drawn = random.random(len(new))
        # once there are enough, only what beats the worst of them may enter
        is_in = drawn < (np.partition(keys, count - 1)[count - 1] if len(keys) >= count else np.inf)
        keys = np.concatenate([keys, drawn[is_in]])
        rows = [new[is_in]] if rows is None else [*rows, new[is_in]]
        if len(keys) >= 2 * count:
            kept = np.sort(np.argpartition(keys, count - 1)[:count])
            keys, rows = keys[kept], [np.concatenate(rows)[kept]]
    if rows is None:
        raise ValueError("there are no recordings to fit on; give more --audio")
    every = np.concatenate(rows)
    return every[np.sort(np.argpartition(keys, count - 1)[:count])] if len(every) > count else every
