"""What the commands do: recordings are found, read a few at a time, and told by their paths where
they fail.

--audio: a file, a folder, a metadata.jsonl ─► paths ─► groups of some minutes ─► codec ─► units.jsonl
units.jsonl ─► lines, each of this codec ─► <name>.wav
"""

from __future__ import annotations

import argparse
import collections
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sift_jax.audio.files import read_audio, write_audio
from sift_jax.codecs.codec import Codec
from sift_jax.codecs.find_recordings import find_audio, read_groups
from sift_jax.codecs.registry import load_codec

_RATE = 16_000


def fit(flags: argparse.Namespace) -> str:
    """The embedded codec, out of the training recordings alone where a build says which they
    are."""
    from sift_jax.codecs.embedded.embedded_codec import EmbeddedOptions
    from sift_jax.codecs.embedded.fit import fit_embedded

    if flags.sound_ms % 10:
        raise ValueError(
            f"--sound_ms={flags.sound_ms} is not a number of steps of 10 ms; give 30, 40, 50 or "
            "the like"
        )
    options = EmbeddedOptions(
        tones=flags.tones,
        sounds=flags.sounds,
        sound_steps=flags.sound_ms // 10,
        slices=flags.slices,
        sounds_a_tone=flags.sounds_a_tone,
    )
    paths = _draw_paths(flags)
    waves = [read_audio(path, max_seconds=flags.max_seconds) for path in paths]
    folder = fit_embedded(waves, flags.out, options, seed=flags.seed)
    seconds = sum(map(len, waves)) / _RATE
    return (
        f"{flags.out}: {folder.config.codes} units, {folder.config.frame_rate:g} a second, from "
        f"{len(paths)} recordings of {seconds / 60:.1f} minutes; fingerprint "
        f"{folder.fingerprint[:12]}"
    )


def fit_hubert(flags: argparse.Namespace) -> str:
    """A code book over a layer of HuBERT; recordings are read a few minutes at a time."""
    from sift_jax.codecs.hubert.hubert_codec import HubertOptions, fit_hubert

    options = HubertOptions(
        layer=flags.layer,
        codes=flags.codes,
        frames=flags.frames,
        is_deduplicated=flags.deduplicate,
        has_weights=flags.copy_encoder,
    )
    paths = _draw_paths(flags)
    groups = (waves for _, waves in read_groups(paths, flags.max_seconds))
    folder = fit_hubert(flags.encoder, groups, flags.out, options, seed=flags.seed)
    return (
        f"{flags.out}: {folder.config.codes} units, {folder.config.frame_rate:g} a second, from "
        f"{folder.config.options['frames']} frames of {len(paths)} recordings; "
        f"fingerprint {folder.fingerprint[:12]}"
    )


def adopt_xcodec2(flags: argparse.Namespace) -> str:
    """A codec out of a published X-codec2."""
    from sift_jax.codecs.xcodec2.xcodec2_codec import adopt_xcodec2

    folder = adopt_xcodec2(flags.weights, flags.out)
    return (
        f"{flags.out}: {folder.config.codes} units, {folder.config.frame_rate:g} a second; "
        f"fingerprint {folder.fingerprint[:12]}"
    )


def add_vocoder(flags: argparse.Namespace) -> str:
    """The codec, or a copy of it, with what a run of train_vocoder has learnt."""
    from sift_jax.codecs.codec_folder import read_folder
    from sift_jax.vocoder_training.install_vocoder import add_to_codec

    added = add_to_codec(
        read_folder(flags.codec),
        Path(flags.run),
        flags.step,
        Path(flags.out) if flags.out else None,
    )
    return (
        f"{added.path}: speaks its {added.config.codes} units now; their fingerprint is "
        f"{added.fingerprint[:12]} as before, the folder's seal {added.seal[:12]}"
    )


def _draw_paths(flags: argparse.Namespace) -> list[Path]:
    paths = find_audio(flags.audio, "train")
    if not 0 < flags.clips < len(paths):
        return paths
    chosen = np.random.default_rng(flags.seed).choice(len(paths), flags.clips, replace=False)
    return [paths[i] for i in np.sort(chosen)]


def encode(flags: argparse.Namespace) -> str:
    """A line of units for each recording; the file appears whole or not at all."""
    codec, out = load_codec(flags.codec), Path(flags.out)
    paths = find_audio(flags.audio, flags.split)
    out.parent.mkdir(parents=True, exist_ok=True)
    waiting = out.with_name(f".{out.name}.part")
    samples = units = 0
    try:
        with waiting.open("w", encoding="utf-8") as file:
            for names, waves in read_groups(paths, flags.max_seconds):
                for name, ids in zip(
                    names, codec.encode(waves, names=[str(name) for name in names]), strict=True
                ):
                    row = {"audio": str(name), "codec": codec.fingerprint, "units": ids.tolist()}
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    units += len(ids)
                samples += sum(map(len, waves))
        waiting.replace(out)
    finally:
        waiting.unlink(missing_ok=True)
    return (
        f"{out}: {units} units of {len(paths)} recordings, {units * _RATE / samples:.1f} a second"
    )


def decode(flags: argparse.Namespace) -> str:
    """A .wav for each line of units."""
    codec, out = load_codec(flags.codec), Path(flags.out)
    rows = list(_read_units(Path(flags.units), codec))
    names = [f"{Path(name).stem}.wav" for _, name, _ in rows]
    name, times = collections.Counter(names).most_common(1)[0]
    if times > 1:
        raise ValueError(
            f"{flags.units}: {times} recordings would become {name}; decode them apart"
        )
    reference = read_audio(flags.reference) if flags.reference else None
    out.mkdir(parents=True, exist_ok=True)
    seconds = 0.0
    for (place, _, ids), name in zip(rows, names, strict=True):
        try:
            wave = codec.decode(ids, reference=reference, seed=flags.seed)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
        write_audio(out / name, wave, rate=codec.config.sample_rate)
        seconds += len(wave) / codec.config.sample_rate
    return f"{out}: {len(rows)} recordings, {seconds:.1f} s"


def _read_units(path: Path, codec: Codec) -> Iterator[tuple[str, str, list[int]]]:
    """(where, recording, units) of each line, all of this codec."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(
            f"{path}: cannot be read ({error.strerror}); give what `encode` wrote"
        ) from None
    if not lines:
        raise ValueError(f"{path}: holds no units; give what `encode` wrote")
    for number, line in enumerate(lines, 1):
        place = f"{path}, line {number}"
        try:
            row = json.loads(line)
            name, fingerprint, ids = str(row["audio"]), str(row["codec"]), list(row["units"])
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{place}: no line of units; give what `encode` wrote") from None
        try:
            codec.check_fingerprint(fingerprint)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
        yield place, name, ids
