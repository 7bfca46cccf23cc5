"""The command line as every command reads it: one parser, one form of help and of errors.

    parser = Parser("sift_jax.ask", description="…", examples=('--audio=x.wav "How fast?"',))

    --help          flags with their defaults, then the examples
    --checkpoit=x   error: unknown flag --checkpoit; did you mean --checkpoint? see … --help     status 2

A config of a command is a dataclass, and its flags are the fields:

    add_fields(parser, Plan, {"pairs": "questions about an utterance", "languages": "comma-separated"})
        Plan.pairs: int = 10                        --pairs       an int, 10 by default
        Plan.languages: tuple[str, ...] = ("en",)   --languages   en,de becomes ("en", "de")
    Plan(**read_fields(Plan, flags))

It is called by the name under which the command was started: python -m sift_jax.ask, or
sift-jax ask. Nothing heavy is imported here, so that a slip is answered at once.
"""

from __future__ import annotations

import argparse
import contextlib
import contextvars
import dataclasses
import difflib
import itertools
import sys
import types
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

# under which name the command runs; None: as a module
_PROGRAM: contextvars.ContextVar[str | None] = contextvars.ContextVar("program", default=None)


@contextlib.contextmanager
def call_as(program: str) -> Iterator[None]:
    """Parsers made within are those of this program: sift-jax ask."""
    token = _PROGRAM.set(program)
    try:
        yield
    finally:
        _PROGRAM.reset(token)


def name_program(module: str) -> str:
    """What the user has typed to start it."""
    return _PROGRAM.get() or f"python -m {module.removesuffix('.__main__')}"


# of a flag, a knob or a field, in letters
LONGEST_WORD = 64


def find_nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was meant, if one is near."""
    return next(iter(difflib.get_close_matches(word, list(known), 1, 0.6)), None)


def suggest(word: str, known: Iterable[str]) -> str:
    """'; did you mean --audio?', or nothing where no known word is near."""
    # of a word longer than any that there is, comparing takes long and finds nothing
    near = find_nearest(word, known) if len(word) <= LONGEST_WORD else ""
    return f"; did you mean {near}?" if near else ""


def point_to_help(message: str, program: str) -> str:
    """An error, and where to read more."""
    return f"{message}{' S' if message.endswith('?') else '; s'}ee {program} --help"


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows a default that says something, unless the help does so itself."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        says_nothing = default is None or default is False or default in ("", argparse.SUPPRESS)
        if says_nothing or default in ([], {}) or "default" in (action.help or ""):
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """`module` is the command's; its subcommands are parsers of the same kind. With `takes_others`
    unknown flags are the caller's to read: all, or those that begin so."""

    def __init__(
        self,
        module: str = "",
        *,
        examples: Sequence[str] = (),
        takes_others: bool | str = False,
        **options: Any,
    ):
        if module:
            options.setdefault("prog", name_program(module))
        options.setdefault("formatter_class", _Formatter)
        super().__init__(**options)
        self.examples = tuple(examples)
        self._takes_others = takes_others
        # a group of its own comes last in the help
        self.add_argument_group("errors").add_argument(
            "--debug",
            action="store_true",
            # a subcommand must not unsay what stands before its name
            default=argparse.SUPPRESS,
            help="show the traceback of an error",
        )

    def format_help(self) -> str:
        """Flags and defaults, then the examples, each in a line that can be pasted."""
        shown = "".join(f"  {self.prog} {example}".rstrip() + "\n" for example in self.examples)
        return super().format_help() + (f"\nexamples:\n{shown}" if shown else "")

    def error(self, message: str) -> Any:
        """One line and status 2, as of every error that the user can fix."""
        self.exit(2, f"error: {point_to_help(message, self.prog)}\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """A misspelt flag is told before the required one that it was meant to be."""
        words = None if args is None else list(args)
        if unknown := next(self._find_unknown(words or ()), None):
            self.error(describe_unknown(unknown, list_options(self)))
        return super().parse_known_args(words, namespace)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's; what is left over is named with the nearest flag."""
        flags, rest = self.parse_known_args(_read_words(args), namespace)
        if rest:
            self.error(describe_unknown(rest[0], list_options(self)))
        return flags

    def parse_intermixed_args(self, args: Any = None, namespace: Any = None) -> Any:
        return super().parse_intermixed_args(_read_words(args), namespace)

    def _find_unknown(self, words: Sequence[str]) -> Iterator[str]:
        if self._takes_others is True or list_subcommands(self):
            return
        options = list_options(self)
        for word in itertools.takewhile(lambda word: word != "--", words):
            name = word.partition("=")[0]
            # with a space it is the value of the flag before it: --writer "--model=x --seed=1"
            is_flag = word.startswith("--") and " " not in word
            if self._takes_others and word.startswith(str(self._takes_others)):
                continue
            if is_flag and not any(option.startswith(name) for option in options):
                yield word

    # argparse's own, of all versions: what it says lists the choices and no more
    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            names = [str(choice) for choice in action.choices]
            near = suggest(str(value), names)
            if isinstance(action.choices, dict):
                raise argparse.ArgumentError(
                    None, f"unknown command {value}{near or '; give ' + ', '.join(names)}"
                )
            raise argparse.ArgumentError(
                action, f"{value!r} is not one of {', '.join(names)}{near}"
            )


def split_words(text: str) -> tuple[str, ...]:
    """("en", "de") of "en,de,en,": each word once, in the order given."""
    return tuple(dict.fromkeys(filter(None, text.split(","))))


def add_fields(
    parser: argparse.ArgumentParser,
    kind: type,
    helps: Mapping[str, str],
    *,
    choices: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """A flag for each field of the dataclass that has a help here, of the field's type and with its
    default; without a default it is required."""
    hints, fields = typing.get_type_hints(kind), {f.name: f for f in dataclasses.fields(kind)}
    for name, said in helps.items():
        default = fields[name].default
        options: dict[str, Any] = {"help": said}
        if default is dataclasses.MISSING:
            options["required"] = True
        else:
            # argparse reads a default that is text as if it had been typed
            options["default"] = ",".join(default) if isinstance(default, tuple) else default
        if choices and name in choices:
            options["choices"] = choices[name]
        parser.add_argument(f"--{name}", type=_find_reader(hints[name]), **options)


def _find_reader(hint: Any) -> Any:
    """What makes a value of a field's type from a flag's text: of int | None, int."""
    if isinstance(hint, types.UnionType):
        hint = next(kind for kind in hint.__args__ if kind is not types.NoneType)
    return split_words if typing.get_origin(hint) is tuple else hint


def read_fields(kind: type, flags: argparse.Namespace) -> dict[str, Any]:
    """The fields of the dataclass that the command has flags for, with what was given."""
    given = vars(flags)
    return {f.name: given[f.name] for f in dataclasses.fields(kind) if f.name in given}


def _read_words(args: Sequence[str] | None) -> Sequence[str]:
    return sys.argv[1:] if args is None else args


def describe_unknown(word: str, known: Collection[str]) -> str:
    """The error for a flag, or another word, that nobody reads."""
    name = word.partition("=")[0]
    kind = "flag" if word.startswith("-") else "argument"
    # without the hyphens: they would make --steps as near to --help as is steps to stop
    bare = {option.lstrip("-"): option for option in known}
    near = find_nearest(name.lstrip("-"), bare)
    return f"unknown {kind} {name}" + (f"; did you mean {bare[near]}?" if near else "")


def is_debug(flags: argparse.Namespace) -> bool:
    """Whether --debug was given, before or behind a subcommand's name."""
    return getattr(flags, "debug", False)


def list_actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """What a parser reads, in the order of its help. (argparse has no public name for it.)"""
    return list(parser._actions)


def list_options(parser: argparse.ArgumentParser) -> list[str]:
    """The flags: --audio, …"""
    return [option for action in list_actions(parser) for option in action.option_strings]


def list_subcommands(parser: argparse.ArgumentParser) -> dict[str, Parser]:
    """Its subcommands by name; none for most commands."""
    found: dict[str, Parser] = {}
    for action in list_actions(parser):
        if isinstance(action.choices, dict):
            found |= {
                name: choice
                for name, choice in action.choices.items()
                if isinstance(choice, Parser)
            }
    return found
