"""The one door to buckets: gs://, s3:// and whatever else fsspec has a driver for, copied through
the engine.

    gs://speech/mls/…  ─ fetch ─►    <out>/corpus/…           before a corpus is read: its readers know folders only
    <out>/{sift,records,…} ─ publish ─►  gs://speech/built/…  when a build is done

Files are copied in runs of a hundred; a finished run is not copied again. A copy has the size of
what it was made from, or it is none. Drivers are packages of their own: gcsfs for gs://, s3fs for
s3://.
"""

import dataclasses
import functools
import json
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import fsspec

from data_prep.engine.beam_engine import Engine, run_chunks
from data_prep.engine.chunks import BuildError
from sift_jax.storage.whole_files import write_whole

_RUN, _FETCHED = 100, "fetched"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """Some files of a tree: (path below both ends, bytes) each."""

    source: str
    target: str
    out: Path
    number: int
    files: tuple[tuple[str, int], ...]

    @property
    def size(self) -> int:
        return len(self.files)

    def path(self, kind: str) -> Path:
        return self.out / "parts" / kind / f"{self.number:06d}.json"


def is_url(text: str) -> bool:
    return "://" in text


def fetch(url: str, folder: Path, out: Path, engine: Engine) -> None:
    """Copies all that is under the address into a folder; a build that goes on copies what is
    missing."""
    listed = out / "parts" / "fetched.json"
    if not listed.exists():
        listed.parent.mkdir(parents=True, exist_ok=True)
        write_whole(listed, json.dumps(_list_files(url)))
    _copy(url, str(folder), json.loads(listed.read_text(encoding="utf-8")), out, _FETCHED, engine)


def publish(folders: Iterable[str], url: str, out: Path, engine: Engine) -> int:
    """Copies files and folders of a build to the address and returns how many files there are."""
    files = [(name, size) for folder in folders for name, size in _list_local(out, folder)]
    # Of another build, or to another place, nothing is done yet.
    mark = uuid.uuid5(uuid.NAMESPACE_URL, f"{url} {(out / 'stages.json').read_text()} {files}").hex[
        :12
    ]
    _copy(str(out), url, files, out, f"published_{mark}", engine)
    return len(files)


def _copy(source: str, target: str, files: list[Any], out: Path, kind: str, engine: Engine) -> None:
    runs = [
        Run(
            source=source,
            target=target,
            out=out,
            number=first // _RUN,
            files=tuple((name, size) for name, size in files[first : first + _RUN]),
        )
        for first in range(0, len(files), _RUN)
    ]
    run_chunks(runs, kind, functools.partial(copy_run, kind=kind), engine)


def copy_run(run: Run, kind: str) -> None:
    """Copies some files, each to a name of its own first; object stores show none before it is
    whole."""
    (source, source_root), (target, target_root) = (
        _open(place) for place in (run.source, run.target)
    )
    for name, size in run.files:
        place = f"{target_root}/{name}"
        draft = place if is_url(run.target) else f"{place}.{uuid.uuid4().hex}.part"
        if kind == _FETCHED and Path(place).is_file() and Path(place).stat().st_size == size:
            continue
        target.makedirs(place.rsplit("/", 1)[0], exist_ok=True)
        with source.open(f"{source_root}/{name}", "rb") as whole, target.open(draft, "wb") as copy:
            shutil.copyfileobj(whole, copy, 1 << 20)
        if target.size(draft) != size:
            raise OSError(
                f"{run.source}/{name}: {target.size(draft)} of {size} bytes arrived; start again"
            )
        if draft != place:
            Path(draft).replace(place)
    write_whole(run.path(kind), json.dumps(len(run.files)))


def _open(place: str) -> tuple[fsspec.AbstractFileSystem, str]:
    try:
        return fsspec.core.url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise BuildError(
            f"{place}: {error}; install the driver, gcsfs for gs:// and s3fs for s3://"
        ) from None


def _list_files(url: str) -> list[tuple[str, int]]:
    system, root = _open(url)
    found = system.find(root, detail=True)
    if not found:
        raise BuildError(
            f"{url}: nothing is there; give --root=<the address of the folder of the corpus>"
        )
    files = sorted((path[len(root) :].lstrip("/"), info["size"]) for path, info in found.items())
    if stray := next((name for name, _ in files if ".." in name.split("/")), None):
        raise BuildError(f"{url}: {stray!r} leads out of the folder; rename it")
    return files


def _list_local(out: Path, name: str) -> list[tuple[str, int]]:
    place = out / name
    paths = (
        [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    )
    return [(path.relative_to(out).as_posix(), path.stat().st_size) for path in paths]
