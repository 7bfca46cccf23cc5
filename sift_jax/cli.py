"""The command line, and the only importer of gin.

    python -m sift_jax.train --gin_file=configs/stage2.gin --gin.STEPS=100 --module_import=my_tasks
    --dry_run

A gin file binds the run function and the frozen dataclasses that it takes. Gin is silent on a
misspelt macro, on a binding nobody reads, on a wrong type: so the arguments are built first, what
was given is compared with what was used, types are checked, and only then does the run begin. A
knob that a later file made useless is no mistake: it is said. The resolved config is written beside
the run.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import importlib
import inspect
import io
import os
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gin

from sift_jax.config_files import (
    BINDING,
    ROOT,
    ConfigError,
    find_gin_file,
    find_repeated_keys,
    list_pieces,
)
from sift_jax.config_statements import check_unused, list_statements
from sift_jax.exits import flatten, report_errors
from sift_jax.launch import Launch
from sift_jax.older_configs import describe_missing, is_of_older_form, read_older_form, rename_moved
from sift_jax.quiet import hush


def parse_flags(argv: list[str], description: str) -> argparse.Namespace:
    """The flags all gin-driven commands share; --gin.NAME=value becomes a binding."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument(
        "--gin_file",
        action="append",
        required=True,
        help="a gin file; give several to lay them over each other",
    )
    parser.add_argument(
        "--module_import",
        action="append",
        default=[],
        help="a module of your own; its register(context) adds tasks and mixtures",
    )
    parser.add_argument("--dry_run", action="store_true", help="print what would run and stop")
    parser.add_argument(
        "--virtual_devices",
        type=int,
        help="see so many CPU devices, as --dry_run needs to compile for a pod",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument(
        "--distributed",
        action="store_true",
        help="one process of several; a TPU pod knows the others",
    )
    parser.add_argument(
        "--coordinator", help="where there is no pod: host:port of process 0, the same for all"
    )
    parser.add_argument("--processes", type=int, help="with --coordinator: how many there are")
    parser.add_argument(
        "--process_index", type=int, help="with --coordinator: which one this is, from 0"
    )
    flags, rest = parser.parse_known_args(argv)
    flags.bindings = []
    for word in rest:
        if not word.startswith("--gin.") or "=" not in word:
            parser.error(f"unknown flag {word}; bindings are written --gin.NAME=value")
        flags.bindings.append(read_binding(word.removeprefix("--gin.")))
    return flags


def read_binding(word: str) -> str:
    """NAME=value, as it stands behind --gin., as gin reads it."""
    name, _, value = word.partition("=")
    return f"{name.strip()} = {_quote(value.strip())}"


def _quote(value: str) -> str:
    """A shell has eaten the quotes of --gin.OUT_DIR=runs/x: what is no literal, reference or macro
    is a string."""
    try:
        gin.config_parser.ConfigParser(f"x = {value}\n", gin.config.ParserDelegate()).__next__()
        return value
    except (SyntaxError, ValueError):
        return repr(value)


def find_dataclasses(function: Callable[..., Any]) -> list[type]:
    """The config dataclasses among a run function's parameters: by themselves, several in a tuple,
    or one or None; and those among their fields."""
    hints = typing.get_type_hints(function)
    # what the command line says beside the config is none of it
    given = [hint for name, hint in hints.items() if name not in ("return", "launch")]
    found = [
        cls
        for hint in given
        for cls in (hint, *typing.get_args(hint))
        if dataclasses.is_dataclass(cls)
    ]
    return found + [inner for cls in found for inner in find_dataclasses(cls)]


def _register(function: Callable[..., Any]) -> Callable[[], dict[str, Any]]:
    """Makes the function's arguments bindable; calling the result builds them without running
    it."""
    module, name = function.__module__, function.__name__
    for cls in find_dataclasses(function):
        _register_once(cls, cls.__name__, cls.__module__)
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.name != "launch"]

    def collect(**arguments: Any) -> dict[str, Any]:
        return arguments

    collect.__signature__ = signature.replace(parameters=parameters)
    return _register_once(collect, name, module)


def _register_once(thing: Callable, name: str, module: str) -> Callable:
    try:
        return gin.get_configurable(f"{module}.{name}")
    except ValueError:
        return gin.external_configurable(thing, name=name, module=module)


class _Piece(io.StringIO):
    """A part of a file as gin reads it: an error names the file, and the line in it."""

    def __init__(self, path: Path, first_line: int, text: str):
        super().__init__("\n" * (first_line - 1) + text)
        self.name = str(path)


def _names(config: str) -> set[str]:
    return set(BINDING.findall(config))


def _find_used() -> set[str]:
    used = _names(gin.operative_config_str())
    # what is bound for all scopes is read under the name of each
    return used | {name.rpartition("/")[2] for name in used}


def describe_config() -> str:
    """Every binding that does something, as a gin file."""
    text = gin.config_str()
    for name in _names(text) - _find_used():
        # a long value goes on in lines that are set in
        text = re.sub(rf"^{re.escape(name)} =.*\n(?:[ \t].*\n)*", "", text, flags=re.MULTILINE)
    return text


def _fits(value: Any, hint: Any) -> bool:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, arg) for arg in args)
    if origin is tuple:
        return isinstance(value, tuple | list) and all(_fits(item, args[0]) for item in value)
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            _fits(k, args[0]) and _fits(v, args[1]) for k, v in value.items()
        )
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else True


def list_configs(values: Iterable[Any]) -> Iterator[Any]:
    """The dataclasses among some values, in tuples too, and those inside them."""
    for value in values:
        if isinstance(value, tuple):
            yield from list_configs(value)
        elif dataclasses.is_dataclass(value):
            yield value
            yield from list_configs(
                getattr(value, field.name) for field in dataclasses.fields(value)
            )


def check_types(arguments: Mapping[str, Any]) -> None:
    """Every field of every dataclass holds what its annotation says."""
    for config in list_configs(arguments.values()):
        hints = typing.get_type_hints(type(config))
        for field in dataclasses.fields(config):
            value, hint = getattr(config, field.name), hints[field.name]
            if not _fits(value, hint):
                said = getattr(hint, "__name__", None) if not typing.get_args(hint) else str(hint)
                raise ConfigError(
                    f"{type(config).__name__}.{field.name} = {value!r} is no {said}; "
                    "change it in the gin file or by --gin."
                )


def build_arguments(
    function: Callable[..., Any],
    gin_files: list[str],
    bindings: list[str],
    parts: Sequence[str] = (),
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """The run function's arguments as the gin files and bindings say, checked. `parts` are
    dataclasses, module:class, that a gin file may hand to the function though its module does not
    know them; unnamed, they are not imported. `say` takes a line about each choice that a later one
    made useless."""
    gin.clear_config()
    configured = _register(function)
    # all of it is found and looked over before gin reads anything
    pieces = [
        (path, line, rename_moved(text))
        for name in gin_files
        for path, line, text in list_pieces(find_gin_file(name))
    ]
    bindings = [rename_moved(binding) for binding in bindings]
    if is_of_older_form([*(text for _, _, text in pieces), *bindings]):
        pieces, bindings = read_older_form(pieces, bindings)
        say(
            "note: DataConfig.mixture and DataConfig.rates are read as those of "
            "MixtureConfig, where they are today"
        )
    for binding in bindings:
        for _, key in find_repeated_keys(binding):
            raise ConfigError(f"--gin.{binding}: the key {key} is given a second time; keep one")
    for module_name, _, name in (part.partition(":") for part in parts):
        if any(name in text for text in (*(text for _, _, text in pieces), *bindings)):
            part = getattr(import_quietly(module_name), name)
            for cls in (part, *find_dataclasses(part)):
                _register_once(cls, cls.__name__, cls.__module__)
    try:
        for piece in pieces:
            gin.parse_config(_Piece(*piece))
        gin.parse_config(bindings)
        arguments = configured()
    except (
        ValueError,
        TypeError,
        NameError,
        SyntaxError,
        AttributeError,
        RuntimeError,
        OSError,
    ) as error:
        is_incomplete = isinstance(error, TypeError) and "missing" in str(error)
        missing = (
            describe_missing(find_dataclasses(function), _names(gin.config_str()))
            if is_incomplete
            else None
        )
        raise ConfigError(missing or _explain(error)) from error
    wanted = inspect.signature(configured).parameters.values()
    missing = [p.name for p in wanted if p.default is p.empty and p.name not in arguments]
    if missing:
        raise ConfigError(
            f"the gin files do not bind {function.__name__}.{missing[0]}; include a file that does"
        )
    # every binding that was given must have been read by what was built, or have made room for a
    # later one
    for note in check_unused(
        _names(gin.config_str()), _find_used(), list_statements(pieces, bindings)
    ):
        say(note)
    check_types(arguments)
    return arguments


def _explain(error: BaseException) -> str:
    """Gin's words for a macro that nobody defined are about its own insides; these are about the
    config."""
    text = flatten(error)
    macro = re.search(r"configurable 'macro'.* in scope '([^']+)'", text)
    if not macro:
        # what was being made when it happened is named already
        return text.partition(" In call to configurable ")[0]
    defined = sorted(n for n in _names(gin.config_str()) if "." not in n)
    close = difflib.get_close_matches(macro.group(1), defined, 1, 0.5)
    hint = f"did you mean %{close[0]}?" if close else f"give it a value by --gin.{macro.group(1)}=…"
    return f"gin macro %{macro.group(1)} is not defined; {hint}"


def import_quietly(module_name: str) -> types.ModuleType:
    """Imports with the start-up messages of TensorFlow's C++ side, and SeqIO's advice, kept off the
    terminal."""
    from absl import logging

    logging.set_verbosity(logging.ERROR)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with hush():
        return importlib.import_module(module_name)


def join_processes(flags: argparse.Namespace) -> None:
    """Joins the other processes of the run, if there are any; or makes this one's devices out of
    nothing."""
    if flags.virtual_devices is not None:
        from sift_jax.parallel.hardware import use_virtual_devices

        use_virtual_devices(flags.virtual_devices)
    if (
        flags.distributed
        or flags.coordinator
        or flags.processes is not None
        or flags.process_index is not None
    ):
        from sift_jax.parallel.distributed import start_distributed

        start_distributed(flags.coordinator, flags.processes, flags.process_index)


def run_gin(path: str, argv: list[str] | None = None, *, parts: Sequence[str] = ()) -> None:
    """`path` names the run function, as module:function; flags come from the command line."""
    module_name, _, name = path.partition(":")
    flags = parse_flags(sys.argv[1:] if argv is None else argv, f"runs {module_name}.{name}")

    def run() -> None:
        sys.path.insert(0, str(Path.cwd()))
        join_processes(flags)
        try:
            modules = tuple(importlib.import_module(m) for m in flags.module_import)
        except ImportError as error:
            raise ConfigError(
                f"--module_import: {error}; it must be importable from here"
            ) from error
        function = getattr(import_quietly(module_name), name)
        arguments = build_arguments(function, flags.gin_file, flags.bindings, parts)
        # the run writes config.gin itself, once it knows that the folder is its own
        launch = Launch(dry_run=flags.dry_run, modules=modules, config_text=describe_config())
        function(**arguments, launch=launch)

    report_errors(run, is_debug=flags.debug)


def run_short(
    path: str,
    *,
    knobs: Mapping[str, tuple[str, str]],
    gin_file: str = "",
    folder: str = "",
    choice: str = "",
) -> None:
    """`run_gin` with short flags: each is a knob of the gin file, which --<choice> may choose among
    a folder's."""
    parser = argparse.ArgumentParser(
        description=f"runs {path}; --gin_file, --gin.NAME=value too", allow_abbrev=False
    )
    files: dict[str, Path] = {}
    if choice:
        paths = sorted((ROOT / folder).glob("*.gin"))
        files = {path.stem: path for path in paths if f"\n{choice.upper()} = " in path.read_text()}
        parser.add_argument(f"--{choice}", choices=files, help=f"takes {folder}/<{choice}>.gin")
    for flag, (_, what) in knobs.items():
        parser.add_argument(f"--{flag}", help=what)
    given, rest = parser.parse_known_args()
    chosen = files.get(getattr(given, choice, None), gin_file)
    bindings = [
        f"--gin.{knob}={value}"
        for flag, (knob, _) in knobs.items()
        if (value := getattr(given, flag))
    ]
    run_gin(path, [*([f"--gin_file={chosen}"] if chosen else []), *rest, *bindings])
