"""Every command of the project with its flags, from its argument parser.

    python -m docs.tools.find_commands          the same as JSON, one object: {module: {subcommand: {flag: …}}}

A module that runs by itself is started up to the moment in which it reads its flags; there its
parser is taken, and nothing else of it is carried out.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import json
import os
import runpy
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from sift_jax.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("sift_jax", "data_prep", "benchmarks")
# a machine's number of cores, while parsers are made: no machine has so many
CORES = 65_521
# what reads flags, in a module's own words
READERS = ("argparse", "parse_flags", "run_gin", "run_short", "sift_jax.flags", "make_parser")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flag:
    """A flag or a word of a command line: how it is spelt, what it takes, its default, its help."""

    names: tuple[str, ...]
    takes: str
    default: str
    is_required: bool
    help: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """A module that is run by `python -m`; without subcommands its flags stand under "". `names` are
    those behind sift-jax."""

    module: str
    names: tuple[str, ...]
    description: str
    examples: tuple[str, ...]
    subcommands: dict[str, tuple[str, tuple[Flag, ...]]]
    # it takes --gin.NAME=value
    is_bindable: bool


class _Found(BaseException):
    """Carries a parser out of the command that was about to use it."""

    def __init__(self, parser: argparse.ArgumentParser):
        super().__init__()
        self.parser = parser


def list_modules() -> list[str]:
    """Modules with a command line, in the order of their packages and names."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path == ROOT / "sift_jax" / "__main__.py":
                # sift-jax itself, which reads a command's name and no flags
                continue
            text = path.read_text(encoding="utf-8")
            runs = any(
                isinstance(node, ast.If) and "__main__" in ast.dump(node.test)
                for node in ast.parse(text).body
            )
            if runs and any(reader in text for reader in READERS):
                parts = path.relative_to(ROOT).with_suffix("").parts
                found.append(".".join(part for part in parts if part != "__main__"))
    return found


def take_parser(module: str) -> argparse.ArgumentParser:
    """The parser that a command is about to read its flags with."""

    def stop(parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _Found(parser)

    methods = {name: stop for name in ("parse_args", "parse_known_args")}
    with (
        mock.patch.multiple(argparse.ArgumentParser, **methods),
        mock.patch.object(sys, "argv", [module, "--help"]),
        mock.patch.object(os, "cpu_count", lambda: CORES),
        mock.patch.object(os, "sched_getaffinity", lambda _: range(CORES), create=True),
        warnings.catch_warnings(),
    ):
        # a module that another has imported is run a second time
        warnings.simplefilter("ignore")
        try:
            runpy.run_module(module, run_name="__main__")
        except _Found as found:
            return found.parser
    raise RuntimeError(f"{module} read no flags; see READERS in {Path(__file__).name}")


def _say_default(action: argparse.Action) -> str:
    value = action.default
    if value is None or value is False or value in (argparse.SUPPRESS, "", []):
        return ""
    if value == CORES:
        return "the number of cores"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    # a file of the repository is named from its root, wherever that lies
    return f"{value:g}" if isinstance(value, float) else str(value).removeprefix(f"{ROOT}{os.sep}")


def _say_value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return "switch"
    if action.choices is not None:
        return ", ".join(f"`{choice}`" for choice in action.choices)
    names = {int: "integer", float: "number", Path: "path"}
    return names.get(action.type, "text") if isinstance(action.type, type) else "text"


def read_flags(parser: argparse.ArgumentParser) -> tuple[Flag, ...]:
    """A parser's flags but --help, in its order."""
    flags = []
    for action in sorted(parser._actions, key=lambda action: "--debug" in action.option_strings):
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        if action.help == argparse.SUPPRESS:
            continue
        text = " ".join((action.help or "").split())
        if "%(" in text:
            text = " ".join(parser._get_formatter()._expand_help(action).split())
        flags.append(
            Flag(
                names=tuple(action.option_strings) or (action.dest,),
                takes=_say_value(action),
                default=_say_default(action),
                is_required=action.required and action.nargs != "*",
                help=text,
            )
        )
    return tuple(flags)


def _list_subcommands(
    parser: argparse.ArgumentParser,
) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            said = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, inner in action.choices.items():
                yield name, said.get(name, ""), inner


def read_command(module: str) -> Command:
    """A command with all that its parsers say."""
    path = ROOT / Path(*module.split("."))
    source = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
    text = source.read_text(encoding="utf-8")
    parser = take_parser(module)
    inner = {name: (said, read_flags(sub)) for name, said, sub in _list_subcommands(parser)}
    return Command(
        module=module,
        names=tuple(command.name for command in COMMANDS if command.module == module),
        description=" ".join((parser.description or "").split()),
        examples=tuple(getattr(parser, "examples", ())),
        subcommands=inner or {"": ("", read_flags(parser))},
        is_bindable="run_gin" in text
        or "run_short" in text
        or module.endswith("examples_per_step"),
    )


def read_commands() -> list[Command]:
    """All of them."""
    return [read_command(module) for module in list_modules()]


def main() -> None:
    """Prints every command's flags as JSON."""
    json.dump({c.module: dataclasses.asdict(c) for c in read_commands()}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
