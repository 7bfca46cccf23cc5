"""The flags of the commands that run a gin file.

--gin_file=configs/stage2.gin --gin.STEPS=100     flags.gin_file, flags.bindings ["STEPS=100"]
--suite=librispeech --limit=10                    short: configs/evaluation/librispeech.gin, LIMIT=10
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from sift_jax.config_files import ROOT
from sift_jax.flags import Parser, describe_unknown, list_options


@dataclasses.dataclass(frozen=True, kw_only=True)
class Short:
    """What short flags stand for: each a knob and its help, --<choice> a file of `folder` that has
    the knob; or the one `gin_file`."""

    knobs: Mapping[str, tuple[str, str]]
    choice: str = ""
    folder: str = ""
    gin_file: str = ""

    def list_files(self) -> dict[str, Path]:
        """The files to choose from, by the name that the flag takes."""
        if not self.choice:
            return {}
        paths = sorted((ROOT / self.folder).glob("*.gin"))
        return {
            path.stem: path
            for path in paths
            if f"\n{self.choice.upper()} = " in path.read_text(encoding="utf-8")
        }


def make_gin_parser(
    module: str, *, description: str, examples: Sequence[str] = (), short: Short | None = None
) -> Parser:
    """The flags all gin-driven commands share, behind those that are short for its knobs."""
    parser = Parser(
        module,
        description=description,
        examples=examples,
        takes_others=True,
        allow_abbrev=False,
        usage=f"%(prog)s {_list_usual(short)} [--gin.NAME=value …] [flags]",
    )
    add = parser.add_argument
    if short is not None:
        if short.choice:
            add(
                f"--{short.choice}",
                choices=list(short.list_files()),
                metavar=short.choice.upper(),
                help=f"takes {short.folder}/<{short.choice}>.gin: %(choices)s",
            )
        for flag, (knob, what) in short.knobs.items():
            add(f"--{flag}", metavar=knob, help=what)
    add(
        "--gin_file",
        action="append",
        default=[],
        metavar="FILE",
        help="a gin file; repeat it to override bindings by those of a later file",
    )
    parser.add_argument_group(
        "bindings", "--gin.NAME=value sets a knob (STEPS) or a field (RunConfig.steps) of the file"
    )
    add(
        "--module_import",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module of your own; its register(context) adds tasks and mixtures",
    )
    add("--dry_run", action="store_true", help="print what would run and stop")
    add(
        "--virtual_devices",
        type=int,
        metavar="N",
        help="see N CPU devices, as --dry_run needs to compile for a pod",
    )
    add(
        "--distributed",
        action="store_true",
        help="one process of several; a TPU pod knows the others",
    )
    add("--coordinator", help="where there is no pod: host:port of process 0, the same for all")
    add("--processes", type=int, metavar="N", help="with --coordinator: how many there are")
    add(
        "--process_index",
        type=int,
        metavar="I",
        help="with --coordinator: which one this is, from 0",
    )
    return parser


def _list_usual(short: Short | None) -> str:
    if short is None:
        return "--gin_file=FILE"
    first = short.choice or next(iter(short.knobs))
    return f"--{first}={first.upper()}"


def read_gin_flags(
    parser: Parser, argv: Sequence[str], short: Short | None = None
) -> argparse.Namespace:
    """Flags, with the files in `gin_file` and what --gin.NAME=value and short flags bind in
    `bindings`, as NAME=value."""
    flags, rest = parser.parse_known_args(list(argv))
    flags.bindings = [read_gin_word(parser, word) for word in join_values(rest)]
    if short is not None:
        files = short.list_files()
        chosen = files.get(getattr(flags, short.choice, None) or "", short.gin_file)
        flags.gin_file = [*([str(chosen)] if chosen else []), *flags.gin_file]
        flags.bindings += [
            f"{knob}={value}"
            for flag, (knob, _) in short.knobs.items()
            if (value := getattr(flags, flag))
        ]
    if not flags.gin_file:
        parser.error(
            f"no --{short.choice} and no --gin_file is given"
            if short is not None and short.choice
            else "--gin_file=FILE is required"
        )
    return flags


def join_values(words: Sequence[str]) -> list[str]:
    """--gin.STEPS 3, in two words, as --gin.STEPS=3: both are how flags are written."""
    joined: list[str] = []
    for word in words:
        last = joined[-1] if joined else ""
        is_value = last.startswith("--gin.") and "=" not in last and not word.startswith("--")
        if is_value:
            joined[-1] = f"{last}={word}"
        else:
            joined.append(word)
    return joined


def read_gin_word(parser: Parser, word: str) -> str:
    """STEPS=3 of --gin.STEPS=3; the parser's error for any other word that it does not know."""
    if word.startswith("--gin.") and "=" in word:
        return word.removeprefix("--gin.")
    if word.startswith("--gin."):
        parser.error(f"{word} binds nothing; write {word}=VALUE")
    said = describe_unknown(word, list_options(parser))
    if said.endswith("?") or not word.startswith("-"):
        parser.error(said)
    parser.error(f"unknown flag {word}; bindings are written --gin.NAME=value")
    raise AssertionError("an error ends it")
