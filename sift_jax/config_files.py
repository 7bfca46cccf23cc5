"""Gin files and what they include, found and looked over before gin sees any of it.

    include 'configs/train.gin'     sought from the working directory, the including file's folder and each folder
                                    above it, and the project's root: so a file works from wherever it is called

    list_pieces(path) ─► (file, its first line, text), in the order in which gin would come by them

What gin takes in silence is an error here: a name bound twice in a file, a key given twice in a
table.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# what holds configs/: in a checkout the folder above the package, in a wheel the package
ROOT = _PACKAGE if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent
BINDING = re.compile(r"^([A-Za-z_][\w./]*)\s*=", re.MULTILINE)
_INCLUDE = re.compile(r"^include\s+(['\"])(.+)\1")


class ConfigError(ValueError):
    """A config that cannot be run; one line, naming the binding and the remedy."""


def find_gin_file(name: str) -> Path:
    """A file that the command line names."""
    path = next((p for p in (Path(name), ROOT / name) if p.is_file()), None)
    if path is None:
        raise ConfigError(f"gin file {name} does not exist; see configs/")
    return path


def find_included(name: str, source: Path, line: int) -> Path:
    """A file that `source` includes."""
    folders = [Path(), *source.resolve().parents, ROOT]
    path = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if path is None:
        raise ConfigError(
            f"{source}:{line}: included file {name} does not exist; paths start at the working "
            "directory, at a folder above the including file, or at the project's root"
        )
    return path


def list_pieces(path: Path, including: tuple[Path, ...] = ()) -> Iterator[tuple[Path, int, str]]:
    """The text between includes. A name bound twice in one file is an error: gin takes the last in
    silence."""
    chain = (*including, path.resolve())
    if chain[-1] in including:
        raise ConfigError(
            f"{including[-1]} includes {path}, which includes it: take one of the includes out"
        )
    try:
        lines = path.read_text().splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"gin file {path} cannot be read: {error}") from error
    seen: dict[str, int] = {}
    first = 0
    for number, line in enumerate(lines):
        if (match := BINDING.match(line)) and seen.setdefault(match[1], number) != number:
            raise ConfigError(
                f"{path}:{number + 1}: {match[1]} is bound a second time (first in line "
                f"{seen[match[1]] + 1}); keep one"
            )
        if included := _INCLUDE.match(line):
            yield path, first + 1, "".join(lines[first:number])
            yield from list_pieces(find_included(included[2], path, number + 1), chain)
            first = number + 1
    for number, key in find_repeated_keys("".join(lines)):
        raise ConfigError(
            f"{path}:{number}: the key {key} is given a second time in one table; keep one"
        )
    yield path, first + 1, "".join(lines[first:])


def find_repeated_keys(text: str) -> Iterator[tuple[int, str]]:
    """(line, key) of each key of a table that has come before in it: the last would win, as in
    Python.

    Gin's text is no Python, but its words are Python's: "{", a key up to ":" and a value up to ","
    follow each other at the depth of a table, and what is deeper belongs to an inner one.
    """
    # of each open bracket: whether it is a table, the keys of before, the words of the key that is
    # being read
    open_tables: list[tuple[bool, set[object], list[str] | None]] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in (
                tokenize.NL,
                tokenize.NEWLINE,
                tokenize.COMMENT,
                tokenize.INDENT,
                tokenize.DEDENT,
            ):
                continue
            for depth, (_, _, words) in enumerate(open_tables, 1):
                # a key may be a tuple, and goes on within it
                if words is not None and (
                    depth < len(open_tables) or token.string not in ("}", ":")
                ):
                    words.append(token.string)
            if token.string in "([{" and token.type == tokenize.OP:
                open_tables.append(
                    (token.string == "{", set(), [] if token.string == "{" else None)
                )
            elif token.string in ")]}" and token.type == tokenize.OP and open_tables:
                open_tables.pop()
            elif open_tables and open_tables[-1][0] and token.type == tokenize.OP:
                _, keys, words = open_tables[-1]
                if token.string == "," and words is None:
                    open_tables[-1] = (True, keys, [])
                elif token.string == ":" and words is not None:
                    key = _read_key(" ".join(words))
                    if key in keys:
                        yield token.start[0], repr(key)
                    keys.add(key)
                    open_tables[-1] = (True, keys, None)
    except (tokenize.TokenError, IndentationError, SyntaxError):
        # gin says what is wrong with a text that does not even come apart
        return


def _read_key(words: str) -> object:
    """'a' and "a" are one key; what is not a literal is itself."""
    try:
        return ast.literal_eval(words)
    except (ValueError, SyntaxError):
        return words
