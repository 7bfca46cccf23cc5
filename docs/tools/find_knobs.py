"""Every field of every config dataclass, and every knob of every gin file.

    class RunConfig(CheckedConfig):
        # what the comment says                      ─►  Field(name="steps", kind="integer, 1 or more",
        steps: Count                                           knob="STEPS", default="200000", note="what …")

A field's line is the comment above it, else the one in knob_notes.json. Its default is the value
that a shipped config resolves to, as in tests/golden: of training stage 1, of an evaluation
EvalSIFT, and so on.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from sift_jax.field_ranges import Items, Line, OneOf, Plain, Rule

ROOT = Path(__file__).resolve().parents[2]
NOTES = Path(__file__).with_name("knob_notes.json")
# the first of these that binds a class has its defaults: what a config resolves to, or its file
SOURCES = {
    "configs/stage1.gin": "tests/golden/stage1.gin",
    "configs/evaluation/evalsift.gin": "tests/golden/evaluation_evalsift.gin",
    "configs/evaluation/judge.gin": "tests/golden/evaluation_judge.gin",
    "configs/vocoder/hubert.gin": "tests/golden/vocoder_hubert.gin",
    "configs/sweeps/salm.gin": "tests/golden/sweeps_salm.gin",
    "configs/evaluating.gin": "configs/evaluating.gin",
    "configs/regularization.gin": "configs/regularization.gin",
    "configs/grpo/labels.gin": "tests/golden/grpo_labels.gin",
    "configs/dpo/pairs.gin": "tests/golden/dpo_pairs.gin",
    "configs/dpo/make_pairs.gin": "tests/golden/dpo_make_pairs.gin",
    "configs/laptop/warm_start.gin": "tests/golden/laptop_warm_start.gin",
    "configs/self_generated/kl.gin": "tests/golden/self_generated_kl.gin",
}
TYPES = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "True or False",
    object: "value",
    type(None): "None",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a config dataclass."""

    name: str
    kind: str
    knob: str
    default: str
    note: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A config dataclass: where it stands, what it is, whose values are shown as defaults."""

    name: str
    module: str
    doc: str
    source: str
    fields: tuple[Field, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GinFile:
    """A file of configs/: its opening comment, what it includes, its KNOBS with value and comment."""

    path: str
    note: str
    includes: tuple[str, ...]
    knobs: tuple[tuple[str, str, str], ...]


def _say_rule(rule: Rule) -> str:
    if isinstance(rule, OneOf):
        return ", ".join(f"`{value}`" for value in rule.values)
    if isinstance(rule, Line | Plain):
        return ""
    text = str(rule).removeprefix("give ").replace(f"{2**32:g}", "2³²")
    return (
        re.sub(r"^0 or more, (?=each once)|^0 or more$", "", text)
        if isinstance(rule, Items)
        else text
    )


def say_kind(hint: Any) -> str:
    """A type hint with its rules, in words."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        rules = [_say_rule(rule) for rule in args[1:]]
        plain = say_kind(args[0])
        said = [rule for rule in rules if rule]
        return ", ".join(said if said and plain == "text" else [plain, *said])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(say_kind(arg) for arg in args)
    if origin is tuple:
        return f"tuple of ({say_kind(args[0])})"
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return f"table: {say_kind(args[0])} → {say_kind(args[1])}"
    return TYPES.get(hint, getattr(hint, "__name__", str(hint)))


def _comment_above(lines: list[str], number: int) -> str:
    """The comment that ends above line `number` (from 1)."""
    found: list[str] = []
    for line in reversed(lines[: number - 1]):
        if not line.strip().startswith("#"):
            break
        found.insert(0, line.strip().lstrip("#").strip())
    return " ".join(found)


def _read_resolved() -> list[tuple[str, dict[str, str], dict[str, str]]]:
    """Of each resolved config: its name, what its fields are bound to, the values of its macros."""
    found = []
    for name, resolved in SOURCES.items():
        text = (ROOT / resolved).read_text(encoding="utf-8")
        text = re.sub(r"\\\n\s*", "", text)
        bound = re.findall(r"^([\w.]+) = (.*(?:\n[ \t].*)*)", text, re.MULTILINE)
        values = {key: re.sub(r"\n\s*", " ", value) for key, value in bound}
        macros = {key: value for key, value in values.items() if "." not in key}
        found.append((name, values, macros))
    return found


def _find_config_nodes() -> list[tuple[Path, ast.ClassDef]]:
    found = []
    for path in sorted((ROOT / "sift_jax").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and any(
                isinstance(base, ast.Name) and base.id == "CheckedConfig" for base in node.bases
            ):
                found.append((path, node))
    return found


def read_configs() -> list[Config]:
    """All config dataclasses, in the order of their modules."""
    notes, resolved = json.loads(NOTES.read_text(encoding="utf-8")), _read_resolved()
    configs = []
    for path, node in _find_config_nodes():
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        hints = typing.get_type_hints(
            getattr(importlib.import_module(module), node.name), include_extras=True
        )
        lines = path.read_text(encoding="utf-8").splitlines()
        source, values, macros = next(
            (r for r in resolved if any(key.startswith(f"{node.name}.") for key in r[1])),
            ("", {}, {}),
        )
        fields = []
        for item in node.body:
            if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
                continue
            name = item.target.id
            value = values.get(f"{node.name}.{name}", "")
            knob = value[1:] if value.startswith("%") else ""
            fields.append(
                Field(
                    name=name,
                    kind=say_kind(hints[name]),
                    knob=knob,
                    default=macros.get(knob, value),
                    note=notes.get(f"{node.name}.{name}") or _comment_above(lines, item.lineno),
                )
            )
        doc = " ".join((ast.get_docstring(node) or notes.get(node.name, "")).split())
        configs.append(
            Config(name=node.name, module=module, doc=doc, source=source, fields=tuple(fields))
        )
    return configs


def read_gin_file(path: Path) -> GinFile:
    """One gin file as a reader sees it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    opening = []
    for line in lines:
        if not line.startswith("#") or line.startswith("# KNOBS"):
            break
        opening.append(line.lstrip("# "))
    knobs = []
    for number, line in enumerate(lines, start=1):
        if match := re.match(r"([A-Z][A-Z0-9_]*) = (.*)", line):
            value, rest = match[2], number
            while value.count("(") + value.count("{") + value.count("[") > sum(
                value.count(end) for end in ")}]"
            ):
                value += " " + lines[rest].strip()
                rest += 1
            note = _comment_above(lines, number)
            knobs.append((match[1], value, re.sub(r"^KNOBS ?", "", note)))
    includes = re.findall(r"^include '([^']+)'", "\n".join(lines), re.MULTILINE)
    return GinFile(
        path=str(path.relative_to(ROOT)),
        note=" ".join(opening),
        includes=tuple(includes),
        knobs=tuple(knobs),
    )


def read_gin_files() -> list[GinFile]:
    """All files of configs/, those on top first."""
    paths = sorted((ROOT / "configs").rglob("*.gin"), key=lambda path: (len(path.parts), path))
    return [read_gin_file(path) for path in paths]
