"""What decides a result: files that a command line names, and the code that makes it."""

import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def hash_files(path: Path) -> str:
    """A file by what is in it; a folder, of which there may be much, by the sizes and dates of its
    files."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return hash_listing(path, (file for file in sorted(path.rglob("*")) if file.is_file()))


def hash_listing(folder: Path, files: Iterable[Path]) -> str:
    """Some files of a folder, by their sizes and dates."""
    digest = hashlib.sha256()
    for file in files:
        found = file.stat()
        digest.update(f"{file.relative_to(folder)} {found.st_size} {found.st_mtime_ns} ".encode())
    return digest.hexdigest()


@functools.cache
def hash_sources(sources: tuple[str, ...]) -> str:
    """The code and data of some files, folders and patterns below the root of the repository."""
    digest = hashlib.sha256()
    for file in list_sources(sources):
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def list_sources(sources: tuple[str, ...]) -> list[Path]:
    """Their code and data."""
    found = [path for source in sources for path in sorted(ROOT.glob(source))]
    files = [
        file for path in found for file in ([path] if path.is_file() else sorted(path.rglob("*")))
    ]
    return [file for file in files if file.suffix in {".py", ".json", ".tsv", ".css"}]
