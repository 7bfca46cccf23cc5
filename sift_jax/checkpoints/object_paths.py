"""Folders of checkpoints on a disk and in a bucket, which has objects and no folders.

on a disk      a folder is whole once it has its name, and is moved by another name
in a bucket    a folder is whole once its commit file is there, and is moved object by object
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

# Orbax's: the last object of a checkpoint, and of each of its items
COMMIT = "commit_success.txt"


def is_object_path(path: Any) -> bool:
    return "://" in os.fspath(path)


def make_absolute(path: Any) -> Any:
    """A path that does not depend on the working directory."""
    return path if is_object_path(path) else path.resolve()


def is_whole(path: Any) -> bool:
    """Whether Orbax has finished what it saved there."""
    return (path / COMMIT).is_file() if is_object_path(path) else path.is_dir()


def remove_folder(path: Any) -> None:
    """The folder with all that is in it, if it is there."""
    if not is_object_path(path):
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        path.rmtree()


def move_folder(source: Any, target: Any) -> None:
    """The commit file goes first: a move that is broken off leaves no checkpoint, rather than half a
    one that passes for whole."""
    if not is_object_path(source):
        source.rename(target)
        return
    (source / COMMIT).unlink(missing_ok=True)
    for path in list(_list_files(source)):
        path.copy(target / path.relative_to(source))
    remove_folder(source)


def _list_files(folder: Any) -> Iterator[Any]:
    for path in folder.iterdir():
        if path.is_dir():
            yield from _list_files(path)
        else:
            yield path
