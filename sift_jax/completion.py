"""Tab completion of `sift-jax`: a script for a shell, written from the table of commands and their
flags.

    eval "$(sift-jax completion bash)"        sift-jax data bu<TAB>            ─► build
                                              sift-jax data build --corp<TAB>  ─► --corpus=
                                              sift-jax data build --corpus=vo<TAB>  ─► voxpopuli

The script knows everything when it is written: completing starts no Python.
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from collections.abc import Iterator

from sift_jax.commands import COMMANDS, PROGRAM, make_parser
from sift_jax.flags import list_actions, list_subcommands

SHELLS = ("bash", "zsh")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """What may follow the words of `path`: further words, flags (with = where one takes a value),
    and the values of a flag that has a fixed choice."""

    path: str
    words: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()


def list_places() -> list[Place]:
    """The root, each first word of two, each command and each of its subcommands."""
    names = [command.name.split() for command in COMMANDS]
    firsts = dict.fromkeys(name[0] for name in names)
    places = [Place(path="", words=(*firsts, "completion"), flags=("--help", "--version"))]
    for first in firsts:
        seconds = tuple(name[1] for name in names if name[0] == first and len(name) == 2)
        places += [Place(path=first, words=seconds, flags=("--help",))] if seconds else []
    places.append(Place(path="completion", words=SHELLS))
    for command in COMMANDS:
        places += _read_parser(command.name, make_parser(command))
    return places


def _read_parser(path: str, parser: argparse.ArgumentParser) -> Iterator[Place]:
    actions = [action for action in list_actions(parser) if action.option_strings]
    subcommands = list_subcommands(parser)
    yield Place(
        path=path,
        words=tuple(subcommands),
        flags=tuple(
            option if action.nargs == 0 else f"{option}="
            for action in actions
            for option in action.option_strings
            if option.startswith("--")
        ),
        choices=tuple(
            (option, tuple(map(str, action.choices)))
            for action in actions
            if action.choices is not None
            for option in action.option_strings
        ),
    )
    for name, subparser in subcommands.items():
        yield from _read_parser(f"{path} {name}", subparser)


def write_script(shell: str) -> str:
    """The script of a shell in SHELLS."""
    places = list_places()
    tables = "\n".join(
        [
            _write_table("words", [(p.path, p.words) for p in places]),
            _write_table("flags", [(p.path, p.flags) for p in places]),
            _write_table(
                "choices",
                [(f"{p.path} {flag}", values) for p in places for flag, values in p.choices],
            ),
        ]
    )
    opening = f"# {shell} completion of {PROGRAM}, written by: {PROGRAM} completion {shell}\n"
    return opening + tables + (_BASH if shell == "bash" else _ZSH)


def _write_table(name: str, rows: list[tuple[str, tuple[str, ...]]]) -> str:
    """A function that prints what belongs to a key: shells without arrays by name have no other
    table."""
    cases = "".join(
        f"    {shlex.quote(key)}) echo {shlex.quote(' '.join(values))} ;;\n"
        for key, values in rows
        if values
    )
    return f'_sift_jax_{name}() {{\n  case "$1" in\n{cases}  esac\n}}\n'


# bash has split the line at = : "--corpus=vo" is three words
_BASH = r"""
_sift_jax() {
  local current="${COMP_WORDS[COMP_CWORD]}" place="" word known flag="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    for known in $(_sift_jax_words "$place"); do
      [[ "$word" == "$known" ]] && place="${place:+$place }$word" && break
    done
  done
  if [[ "$current" == "=" ]]; then
    flag="${COMP_WORDS[COMP_CWORD-1]}" current=""
  elif [[ "${COMP_WORDS[COMP_CWORD-1]}" == "=" ]]; then
    flag="${COMP_WORDS[COMP_CWORD-2]}"
  fi
  COMPREPLY=()
  if [[ -n "$flag" ]]; then
    COMPREPLY=($(compgen -W "$(_sift_jax_choices "$place $flag")" -- "$current"))
  elif [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$(_sift_jax_flags "$place")" -- "$current"))
    [[ "${COMPREPLY[0]}" == *= ]] && compopt -o nospace 2>/dev/null
  else
    COMPREPLY=($(compgen -W "$(_sift_jax_words "$place")" -- "$current"))
  fi
}
complete -o default -F _sift_jax sift-jax
"""

# in zsh "path" is the search path: hence "place"
_ZSH = r"""
_sift_jax() {
  local current="${words[CURRENT]}" place="" word known flag
  local -a found
  for word in "${(@)words[2,CURRENT-1]}"; do
    for known in $(_sift_jax_words "$place"); do
      [[ "$word" == "$known" ]] && place="${place:+$place }$word" && break
    done
  done
  if [[ "$current" == --*=* ]]; then
    flag="${current%%=*}"
    found=(${=$(_sift_jax_choices "$place $flag")})
    compset -P '*='
    if (( $#found )); then compadd -- $found; else _files; fi
  elif [[ "$current" == -* ]]; then
    found=(${=$(_sift_jax_flags "$place")})
    compadd -S '' -- ${(M)found:#*=}
    compadd -- ${found:#*=}
  else
    found=(${=$(_sift_jax_words "$place")})
    if (( $#found )); then compadd -- $found; else _files; fi
  fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
compdef _sift_jax sift-jax
"""
