"""A codec's folder: everything that belongs together, and two fingerprints that say so.

    runs/codec/codec.json                   kind, codes, frame_rate, sample_rate, is_deduplicated, options
               book.safetensors, …          each file's sha256 ─► fingerprint: whose units they are
               vocoder_<digest>.safetensors the vocoder's shape and sha256, with the fingerprint ─► seal

A vocoder may be added or exchanged later: units stay the same codec's, and still every byte of the
folder is accounted for. It speaks the units that it has learnt, and is added to no codec of others.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from sift_jax.storage.whole_files import write_whole

FORMAT = 1
_CONFIG = "codec.json"
# ahead of the digest in the name of a vocoder's file
_VOCODER = "vocoder_"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodecConfig:
    """What a codec's user must know of it; `options` is its kind's own business, in values that
    JSON has."""

    kind: str
    # units are 0 … codes − 1
    codes: int
    # units a second, before runs are joined
    frame_rate: float
    # of what `decode` gives
    sample_rate: int
    # whether a run of the same unit is one
    is_deduplicated: bool
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name in ("codes", "frame_rate", "sample_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"a codec's {name} must be above 0, not {getattr(self, name)}; fix {_CONFIG}"
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodecFolder:
    """A folder that was found whole: its config, its fingerprint, and tensors when they are asked
    for."""

    path: Path
    config: CodecConfig
    # of the units: what makes them, and what they mean
    fingerprint: str
    # each file's sha256, but for the vocoder's
    files: Mapping[str, str]
    # {"config", "digest", "seal"} of a vocoder, if there is one
    vocoder: Mapping[str, Any] | None

    @property
    def seal(self) -> str:
        """Of everything in the folder: two that have the same speak alike."""
        return self.vocoder["seal"] if self.vocoder else self.fingerprint

    def read_vocoder(self) -> dict[str, np.ndarray]:
        """Its tensors."""
        if self.vocoder is None:
            raise ValueError(
                f"{self.path} has no vocoder; add one by `python -m sift_jax.units add_vocoder`"
            )
        return self.read_tensors(_name_vocoder(self.vocoder["digest"]).removesuffix(".safetensors"))

    def read_tensors(self, name: str) -> dict[str, np.ndarray]:
        """Every tensor of <name>.safetensors."""
        try:
            return load_file(self.path / f"{name}.safetensors")
        except (OSError, SafetensorError) as error:
            raise ValueError(
                f"{self.path / name}.safetensors cannot be read ({error}); fit or copy the "
                "codec again"
            ) from None


def read_folder(path: str | Path) -> CodecFolder:
    """codec.json, and whether the files beside it are those that it was written with."""
    path = Path(path)
    if not (path / _CONFIG).is_file():
        raise ValueError(
            f"{path}: no {_CONFIG} there; give a folder that `python -m sift_jax.units fit` wrote"
        )
    try:
        held = json.loads((path / _CONFIG).read_text(encoding="utf-8"))
        form, files, fingerprint = held["format"], dict(held["files"]), str(held["fingerprint"])
        fields, vocoder = held["codec"], held.get("vocoder")
        spoken = {_name_vocoder(vocoder["digest"]): str(vocoder["digest"])} if vocoder else {}
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{path / _CONFIG} is torn or no codec's; fit or copy the codec again"
        ) from None
    if form != FORMAT:
        raise ValueError(
            f"{path}: a codec of format {form}, and this release reads {FORMAT}; fit it again"
        )
    try:
        config = CodecConfig(**fields)
    except TypeError as error:
        raise ValueError(
            f"{path / _CONFIG}: fields are missing or strange ({error}); fit it again"
        ) from None
    for name, digest in sorted({**files, **spoken}.items()):
        if not (path / name).is_file():
            raise ValueError(f"{path}: {name} is missing; copy the codec's whole folder again")
        if _hash_file(path / name) != digest:
            raise ValueError(
                f"{path / name} is not the file that {_CONFIG} was written with; copy the folder "
                "again"
            )
    # a vocoder that has just given way to another may still be there
    there = {
        found.name for found in path.glob("*.safetensors") if not found.name.startswith(_VOCODER)
    }
    if strange := sorted(there - set(files)):
        raise ValueError(
            f"{path}: {strange[0]} is not part of this codec; keep each codec in a folder of its own"
        )
    if make_fingerprint(config, files) != fingerprint:
        raise ValueError(
            f"{path / _CONFIG} was changed since it was written; fit or copy the codec again"
        )
    if vocoder and make_seal(fingerprint, vocoder.get("config"), vocoder["digest"]) != vocoder.get(
        "seal"
    ):
        raise ValueError(
            f"{path}: its vocoder was made for the units of another codec, or changed; add one by "
            "`python -m sift_jax.units add_vocoder`"
        )
    return CodecFolder(
        path=path, config=config, fingerprint=fingerprint, files=files, vocoder=vocoder
    )


def write_folder(
    path: str | Path, config: CodecConfig, tensors: Mapping[str, Mapping[str, np.ndarray] | Path]
) -> CodecFolder:
    """Writes name → tensors (or an existing file of them, copied) beside codec.json; whole or not
    at all.

    A codec that is there already gives way; any other folder that holds something is left alone.
    """
    path = Path(path)
    if path.exists() and (
        not path.is_dir() or (any(path.iterdir()) and not (path / _CONFIG).is_file())
    ):
        raise ValueError(f"{path} holds something that is not a codec; write to another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = path.with_name(f".{path.name}.part")
    shutil.rmtree(waiting, ignore_errors=True)
    waiting.mkdir()
    files = {}
    for name, held in tensors.items():
        file = waiting / f"{name}.safetensors"
        if isinstance(held, Path):
            shutil.copyfile(held, file)
        else:
            save_file({key: np.ascontiguousarray(value) for key, value in held.items()}, file)
        files[file.name] = _hash_file(file)
    folder = CodecFolder(
        path=path,
        config=config,
        fingerprint=make_fingerprint(config, files),
        files=files,
        vocoder=None,
    )
    (waiting / _CONFIG).write_text(_format(folder), encoding="utf-8")
    if path.exists():
        shutil.rmtree(path)
    waiting.rename(path)
    return folder


def copy_folder(folder: CodecFolder, path: str | Path) -> CodecFolder:
    """The codec without its vocoder in another place."""
    return write_folder(
        path, folder.config, {Path(name).stem: folder.path / name for name in folder.files}
    )


def add_vocoder(
    folder: CodecFolder,
    config: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    *,
    fingerprint: str,
) -> CodecFolder:
    """Lays a vocoder into the folder, which has learnt the units of `fingerprint`; one that is
    there gives way.

    Until codec.json is exchanged, which happens at once, the folder is what it was.
    """
    if fingerprint != folder.fingerprint:
        raise ValueError(
            f"this vocoder learnt the units of the codec {fingerprint[:12]}…, and {folder.path} is "
            f"{folder.fingerprint[:12]}…; add it to a copy of the codec that it was trained for"
        )
    waiting = folder.path / ".vocoder.part"
    save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, waiting)
    digest = _hash_file(waiting)
    waiting.replace(folder.path / _name_vocoder(digest))
    vocoder = {
        "config": dict(config),
        "digest": digest,
        "seal": make_seal(fingerprint, config, digest),
    }
    added = dataclasses.replace(folder, vocoder=vocoder)
    write_whole(folder.path / _CONFIG, _format(added))
    for old in folder.path.glob(f"{_VOCODER}*.safetensors"):
        if old.name != _name_vocoder(digest):
            old.unlink()
    return added


def _format(folder: CodecFolder) -> str:
    document = {
        "format": FORMAT,
        "fingerprint": folder.fingerprint,
        "codec": dataclasses.asdict(folder.config),
        "files": dict(folder.files),
    }
    document |= {"vocoder": folder.vocoder} if folder.vocoder else {}
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _name_vocoder(digest: str) -> str:
    return f"{_VOCODER}{digest[:16]}.safetensors"


def make_seal(fingerprint: str, config: Mapping[str, Any], digest: str) -> str:
    """sha256 over the units' fingerprint and the vocoder that speaks them."""
    return hashlib.sha256(
        json.dumps([FORMAT, fingerprint, config, digest], sort_keys=True).encode()
    ).hexdigest()


def make_fingerprint(config: CodecConfig, files: Mapping[str, str]) -> str:
    """sha256 over the config and every file's own sha256."""
    told = json.dumps([FORMAT, dataclasses.asdict(config), dict(files)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
