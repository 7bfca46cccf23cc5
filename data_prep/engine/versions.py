"""Files that a command line names, told apart by what decides a result."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


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
