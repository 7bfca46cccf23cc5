"""Which statement of the gin files reads which, so that what a later file made useless is told from
what is misspelt.

configs/sift_llm.gin      STEPS = 200_000      RunConfig.steps = %STEPS
--gin.RunConfig.steps=10                       RunConfig.steps = 10         STEPS was read, and is no more

list_statements(pieces, bindings) ─► Statement…, in gin's order
find_successor("STEPS", statements) ─► the command line's binding of RunConfig.steps
find_successor("STEPZ", statements) ─► None: nothing has ever read it
"""

from __future__ import annotations

import dataclasses
import difflib
import io
import tokenize
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from sift_jax.config_files import BINDING, ConfigError

COMMAND_LINE = "the command line"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Statement:
    """A binding as it stands in a file, or on the command line; `reads` are the macros and classes
    that it names."""

    order: int
    place: str
    name: str
    reads: frozenset[str]

    def binds(self, name: str) -> bool:
        """Gin lists the shortest name that is clear: train.run for
        sift_jax.training.loop.train.run."""
        return self.name == name or self.name.endswith(f".{name}") or name.endswith(f".{self.name}")

    def is_reader_of(self, name: str) -> bool:
        """%STEPS reads STEPS; @asr/SuiteConfig() reads asr/SuiteConfig.root, and SuiteConfig.root,
        which is of all."""
        owner = name.rpartition(".")[0] or name
        return any(
            read == owner or read.endswith((f".{owner}", f"/{owner}")) for read in self.reads
        )


def list_statements(
    pieces: Iterable[tuple[Path, int, str]], bindings: Sequence[str]
) -> list[Statement]:
    """Those of all files, then those of the command line."""
    texts = [(str(path), text) for path, _, text in pieces] + [
        (COMMAND_LINE, text) for text in bindings
    ]
    split = [(place, name, text) for place, whole in texts for name, text in _split(whole)]
    return [
        Statement(order=order, place=place, name=name, reads=frozenset(_list_reads(text)))
        for order, (place, name, text) in enumerate(split)
    ]


def _split(text: str) -> Iterator[tuple[str, str]]:
    """Each binding's name and text."""
    found = list(BINDING.finditer(text))
    ends = [*(match.start() for match in found[1:]), len(text)]
    for match, end in zip(found, ends, strict=False):
        yield match[1], text[match.start() : end]


def _list_reads(text: str) -> Iterator[str]:
    """What stands behind % and @, outside of strings and comments. Gin reads by the same
    tokenizer."""
    mark, name = "", ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            # names, dots and scopes in one go: @asr/SuiteConfig, %a.B
            if mark and (token.type == tokenize.NAME or token.string in (".", "/")):
                name += token.string
                continue
            if mark and name:
                yield name
            mark, name = (token.string if token.string in ("%", "@") else ""), ""
    except (tokenize.TokenError, SyntaxError):
        # gin, which reads the text too, has the words for it
        return


def find_last(name: str, statements: Sequence[Statement]) -> Statement:
    """The one that holds: of several bindings gin takes the last."""
    return [statement for statement in statements if statement.binds(name)][-1]


def find_knob(name: str, statements: Sequence[Statement]) -> str | None:
    """STEPS for RunConfig.steps, where its binding is RunConfig.steps = %STEPS."""
    found = [statement for statement in statements if statement.binds(name)]
    reads = found[-1].reads if found else frozenset()
    return next(iter(reads)) if len(reads) == 1 else None


def find_successor(
    name: str, statements: Sequence[Statement], asked: frozenset[str] = frozenset()
) -> Statement | None:
    """The statement that took the place of what read `name`; None where nothing has ever read
    it."""
    found = []
    for reader in {
        statement.name for statement in statements if statement.is_reader_of(name)
    } - asked:
        last = find_last(reader, statements)
        # one that still reads the name is itself read by nobody
        after = (
            find_successor(reader, statements, asked | {reader})
            if last.is_reader_of(name)
            else last
        )
        found += [after] if after else []
    return max(found, key=lambda statement: statement.order, default=None)


def check_unread(statements: Sequence[Statement]) -> None:
    """An error for a knob of the command line that no statement reads, if one that is read is near:
    what else may be wrong with it is for `check_unused`, which knows what the run takes."""
    read = {name for statement in statements for name in statement.reads}
    knobs = {statement.name for statement in statements if "." not in statement.name}
    for statement in statements:
        name = statement.name
        is_knob = statement.place == COMMAND_LINE and not set(name) & {".", "/"}
        if not is_knob or any(other.is_reader_of(name) for other in statements):
            continue
        if close := difflib.get_close_matches(name, sorted(read & knobs - {name}), 1, 0.5):
            raise ConfigError(f"gin binding {name} is used by nothing; did you mean {close[0]}?")


def check_unused(
    given: Collection[str], used: Collection[str], statements: Sequence[Statement]
) -> list[str]:
    """A line for each binding that put something else in the place of others that were given; an
    error for what nothing has ever read, and for what is given beside the binding that makes it
    useless: which of them is meant?"""
    idle = {name: find_successor(name, statements) for name in sorted(set(given) - set(used))}
    unused = {name: successor for name, successor in idle.items() if successor is not None}
    for name in idle:
        if name not in unused:
            # the nearest may be useless here, and still be what was meant
            known = sorted({*used, *unused})
            raise ConfigError(f"gin binding {name} is used by nothing; {_hint(name, known)}")
    for name, successor in unused.items():
        last = find_last(name, statements)
        if last.place == successor.place or last.order > successor.order:
            raise ConfigError(
                f"gin binding {name} ({last.place}) is used by nothing: {successor.name}, which "
                f"read it, is bound without it ({successor.place}); leave one of the two out"
            )
    by_successor: dict[Statement, list[str]] = {}
    for name, successor in unused.items():
        by_successor.setdefault(successor, []).append(name)
    return [
        f"note: {', '.join(names)} {'does' if len(names) == 1 else 'do'} nothing here, since "
        f"{successor.place} binds {successor.name}"
        for successor, names in by_successor.items()
    ]


def _hint(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1, 0.5)
    return (
        f"did you mean {close[0]}?"
        if close
        else f"this run reads {', '.join(n for n in known if '.' not in n)}"
    )
