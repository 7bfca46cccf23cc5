"""All commands of the project under one name: sift-jax, or python -m sift_jax.

sift-jax                             the list of commands
sift-jax ask --help                  the flags of one
sift-jax data build --corpus=mls …   the same as python -m data_prep.build --corpus=mls …
sift-jax completion bash             a script that completes commands and flags
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from sift_jax.commands import COMMANDS, PROGRAM, Command, find_command, load
from sift_jax.completion import SHELLS, write_script
from sift_jax.exits import end, report_errors
from sift_jax.flags import call_as, find_nearest, point_to_help, suggest
from sift_jax.version import __version__

_EXAMPLES = (
    "quickstart",
    "train --gin_file=configs/quickstart/stage2.gin",
    'ask --checkpoint=runs/quickstart/stage2 --audio=x.wav "How fast does she speak?"',
    "data build --corpus=embedded --out=runs/quickstart/data",
)
_COMPLETION = "completion"


def format_help(commands: Sequence[Command] = COMMANDS) -> str:
    """The commands by group, a line each."""
    first = "" if len(commands) == len(COMMANDS) else f"{commands[0].name.split()[0]} "
    lines = [f"usage: {PROGRAM} {first}COMMAND [flags]", ""]
    width = max(len(command.name) for command in commands)
    for group in dict.fromkeys(command.group for command in commands):
        lines += [f"{group}:"]
        lines += [
            f"  {command.name:{width}}  {command.summary}"
            for command in commands
            if command.group == group
        ]
        lines += [""]
    if len(commands) == len(COMMANDS):
        shells = "|".join(SHELLS)
        lines += [
            "Shell:",
            f"  {f'{_COMPLETION} {shells}':{width}}  Print a script for tab completion.",
            "",
            "examples:",
            *(f"  {PROGRAM} {example}" for example in _EXAMPLES),
            "",
        ]
    return "\n".join([*lines, f"{PROGRAM} {first}COMMAND --help lists the flags of a command."])


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that the first words name."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    report_errors(lambda: _run(words), is_debug="--debug" in words)


def _run(words: list[str]) -> None:
    if words[:1] == ["--version"]:
        print(f"{PROGRAM} {__version__}")
        return
    command, rest = find_command(words)
    if command is not None:
        with call_as(command.program):
            load(command).main([*command.arguments, *rest])
    elif words[:1] == [_COMPLETION]:
        _print_completion(words[1:])
    else:
        _print_help(words)


def _print_help(words: Sequence[str]) -> None:
    """Of all commands, or of those under a word such as data; an error where a word means
    nothing."""
    asked = [word for word in words if word not in ("-h", "--help", "help")]
    chosen = [c for c in COMMANDS if asked and c.name.split()[0] == asked[0]]
    if not asked or (chosen and len(asked) == 1):
        print(format_help(chosen or COMMANDS))
        return
    # sift-jax data biuld, sift-jax biuld: the nearest of the second words, or of all
    end(2, point_to_help(_describe_unknown(asked, chosen or COMMANDS), PROGRAM))


def _describe_unknown(asked: Sequence[str], commands: Iterable[Command]) -> str:
    """With the nearest command: by its whole name, or by the second word of it alone."""
    if asked[0].startswith("-"):
        return f"unknown flag {asked[0]}; a command comes first"
    names = [command.name for command in commands]
    known = {name.split()[-1]: name for name in names} | {name: name for name in names}
    near = find_nearest(" ".join(asked[:2]), known) or find_nearest(asked[0], known)
    hint = f"; did you mean {known[near]}?" if near else ""
    return f"unknown command {_quote(asked, names)}{hint}"


def _quote(asked: Sequence[str], names: Sequence[str]) -> str:
    """As much of it as is the command's name."""
    is_long = any(name.split()[0] == asked[0] and " " in name for name in names)
    return " ".join(word for word in asked[: 2 if is_long else 1] if not word.startswith("-"))


def _print_completion(words: Sequence[str]) -> None:
    if len(words) != 1 or words[0] not in SHELLS:
        known = " or ".join(SHELLS)
        if words and words[0] not in ("-h", "--help"):
            end(2, f"no completion for {words[0]}{suggest(words[0], SHELLS)}; give {known}")
        print(
            f"usage: {PROGRAM} {_COMPLETION} {'|'.join(SHELLS)}\n\n"
            f'  eval "$({PROGRAM} {_COMPLETION} bash)"     in ~/.bashrc, or zsh in ~/.zshrc'
        )
        return
    print(write_script(words[0]))


if __name__ == "__main__":
    main()
