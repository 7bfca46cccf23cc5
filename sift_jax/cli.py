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

from sift_jax.config_errors import describe_type, explain_gin
from sift_jax.config_files import (
    BINDING,
    ConfigError,
    find_gin_file,
    find_repeated_keys,
    list_pieces,
)
from sift_jax.config_statements import (
    Statement,
    check_unread,
    check_unused,
    find_knob,
    list_statements,
)
from sift_jax.exits import flatten, report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.gin_flags import Short, make_gin_parser, read_gin_flags
from sift_jax.launch import Launch
from sift_jax.older_configs import describe_missing, is_of_older_form, read_older_form, rename_moved
from sift_jax.quiet import hush, keep_interrupt


def read_binding(word: str) -> str:
    """NAME=value, as it stands behind --gin., as gin reads it."""
    name, _, value = word.partition("=")
    return f"{name.strip()} = {_quote(value.strip())}"


def _quote(value: str) -> str:
    """A shell has eaten the quotes of --gin.OUT_DIR=runs/x: what is not a literal, reference or
    macro is a string."""
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
        if isinstance(cls, type) and dataclasses.is_dataclass(cls)
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

    bindable = signature.replace(parameters=parameters)
    # inspect, which gin asks, reads this attribute; no stub knows that a function may have it
    collect.__signature__ = bindable  # type: ignore[attr-defined]
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


def check_types(arguments: Mapping[str, Any], statements: Sequence[Statement] = ()) -> None:
    """Every field of every dataclass holds what its annotation says; `statements` tell which knob a
    field takes its value from."""
    for config in list_configs(arguments.values()):
        hints = typing.get_type_hints(type(config))
        for field in dataclasses.fields(config):
            value, hint = getattr(config, field.name), hints[field.name]
            if not _fits(value, hint):
                said = getattr(hint, "__name__", None) if not typing.get_args(hint) else str(hint)
                name = f"{type(config).__name__}.{field.name}"
                raise ConfigError(
                    describe_type(name, value, str(said), find_knob(name, statements))
                )


def _read_pieces(gin_files: Sequence[str]) -> list[tuple[Path, int, str]]:
    """(file, first line, text) of all that the files are made of, in the names of today."""
    return [
        (path, line, rename_moved(text))
        for name in gin_files
        for path, line, text in list_pieces(find_gin_file(name))
    ]


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
    pieces = _read_pieces(gin_files)
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
        said = (
            describe_missing(find_dataclasses(function), _names(gin.config_str()))
            if is_incomplete
            else None
        )
        macros = sorted(name for name in _names(gin.config_str()) if "." not in name)
        raise ConfigError(
            said or explain_gin(flatten(error), _list_fields(function), macros)
        ) from error
    wanted = inspect.signature(configured).parameters.values()
    missing = [p.name for p in wanted if p.default is p.empty and p.name not in arguments]
    if missing:
        raise ConfigError(
            f"the gin files do not bind {function.__name__}.{missing[0]}; include a file that does"
        )
    # every binding that was given must have been read by what was built, or have made room for a
    # later one
    statements = list_statements(pieces, bindings)
    for note in check_unused(_names(gin.config_str()), _find_used(), statements):
        say(note)
    check_types(arguments, statements)
    return arguments


def _list_fields(function: Callable[..., Any]) -> dict[str, list[str]]:
    """What a config may bind: each class with its fields, the run function with its arguments."""
    fields = {
        cls.__name__: [field.name for field in dataclasses.fields(cls)]
        for cls in find_dataclasses(function)
    }
    return {**fields, function.__name__: list(inspect.signature(function).parameters)}


def import_quietly(module_name: str) -> types.ModuleType:
    """Imports with the start-up messages of TensorFlow's C++ side, and SeqIO's advice, kept off the
    terminal."""
    from absl import logging

    logging.set_verbosity(logging.ERROR)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # buckets by fsspec, as Orbax and the run's files have them; asked for once, at the first path
    os.environ.setdefault("EPATH_USE_TF", "false")
    with keep_interrupt(), hush():
        return importlib.import_module(module_name)


def import_modules(names: Sequence[str]) -> tuple[types.ModuleType, ...]:
    """What --module_import names; it may lie in the working directory, as what a config names
    may."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        return tuple(importlib.import_module(name) for name in names)
    except ImportError as error:
        raise ConfigError(f"--module_import: {error}; it must be importable from here") from error


def find_topology(flags: argparse.Namespace) -> str | None:
    """The devices to compile for, of a command that has such a flag."""
    topology = getattr(flags, "topology", None)
    if topology is not None and not flags.dry_run:
        raise ConfigError(
            f"--topology={topology} compiles for devices that are not here; add --dry_run"
        )
    if topology is not None and flags.virtual_devices is not None:
        raise ConfigError("--topology and --virtual_devices both name devices; keep one")
    return topology


def join_processes(flags: argparse.Namespace) -> None:
    """Joins the other processes of the run, if there are any; or makes this one's devices out of
    nothing; or readies the compiler for devices that are not here."""
    topology = find_topology(flags)
    if topology is not None:
        # jax is imported here, and with it the GPUs' plugin, which misses its driver aloud
        import_quietly("sift_jax.compiled.topologies").prepare_to_compile(topology)
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


def parse_flags(
    argv: Sequence[str], description: str, parser: Parser | None = None, short: Short | None = None
) -> argparse.Namespace:
    """The flags of a command; `bindings` are as gin reads them: NAME = 'value'."""
    parser = parser or make_gin_parser("", description=description)
    flags = read_gin_flags(parser, argv, short)
    flags.bindings = [read_binding(binding) for binding in flags.bindings]
    return flags


def run_gin(
    path: str,
    argv: Sequence[str] | None = None,
    *,
    parts: Sequence[str] = (),
    parser: Parser | None = None,
    short: Short | None = None,
    can_resume: bool = False,
) -> None:
    """`path` names the run function, as module:function; flags come from the command line.
    `can_resume` says that a command which was stopped continues where it was."""
    module_name, _, name = path.partition(":")
    words = sys.argv[1:] if argv is None else argv
    flags = parse_flags(words, f"Runs {module_name}.{name}.", parser, short)

    def run() -> None:
        check_knobs(flags.gin_file, flags.bindings)
        join_processes(flags)
        modules = import_modules(flags.module_import)
        function = getattr(import_quietly(module_name), name)
        arguments = build_arguments(function, flags.gin_file, flags.bindings, parts)
        # the run writes config.gin itself, once it knows that the folder is its own
        launch = Launch(
            dry_run=flags.dry_run,
            topology=find_topology(flags),
            profile=getattr(flags, "profile", None),
            modules=modules,
            config_text=describe_config(),
        )
        function(**arguments, launch=launch)

    report_errors(run, is_debug=is_debug(flags), can_resume=can_resume and not flags.dry_run)


def check_knobs(gin_files: Sequence[str], bindings: Sequence[str]) -> None:
    """What can be told of --gin.STEPZ=3 by the text of the files alone, before the libraries are
    loaded: that no line reads it, and which knob is near."""
    pieces = _read_pieces(gin_files)
    statements = list_statements(pieces, [rename_moved(binding) for binding in bindings])
    check_unread(statements)
