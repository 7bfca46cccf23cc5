"""What `import sift_jax` offers, from the signatures and docstrings of what it names.

    sift_jax.__all__  ─►  one entry a function or class, and one a public method: name, signature, text, examples

A paragraph of a docstring that is Python is an example.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import sift_jax

WIDTH = 88
COMMA = ",\n    "


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """`level` 2 is what the package names, 3 a method of it; `text` is Markdown."""

    level: int
    name: str
    signature: str
    text: str


def _is_python(paragraph: str) -> bool:
    # a word by itself is a sentence as well as a name
    if not re.search(r"[(=\[]", paragraph):
        return False
    try:
        ast.parse(textwrap.dedent(paragraph))
    except SyntaxError:
        return False
    return True


def format_docstring(text: str) -> str:
    """A docstring as Markdown: prose, with a block of code for each example."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        if _is_python(paragraph) or paragraph.startswith("    "):
            parts.append(f"```python\n{textwrap.dedent(paragraph)}\n```")
        else:
            parts.append(" ".join(paragraph.split()))
    return "\n\n".join(parts)


def _format_parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    annotation, default = parameter.annotation, parameter.default
    text = f"{stars}{parameter.name}"
    if annotation is not parameter.empty:
        text += f": {annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)}"
    if default is not parameter.empty:
        text += f" = {default.__name__ if callable(default) else repr(default)}"
    return text


def format_signature(name: str, thing: Any) -> str:
    """`name(a, b: int = 1) -> str`, an argument a line where it is long."""
    signature = inspect.signature(thing)
    words: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        if parameter.name != "self":
            words.append(_format_parameter(parameter))
    returned = signature.return_annotation
    end = "" if returned is signature.empty else f" -> {returned}"
    line = f"{name}({', '.join(words)}){end}"
    return line if len(line) <= WIDTH else f"{name}(\n    {COMMA.join(words)},\n){end}"


def _list_members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that the class itself defines, in its order."""
    for name, member in vars(cls).items():
        if not name.startswith("_") and (
            inspect.isfunction(member) or isinstance(member, property)
        ):
            yield name, member


def read_entries() -> list[Entry]:
    """All of the package's names, in its order, each class with its methods."""
    entries = []
    # functions, then classes
    for name in sorted(sift_jax.__all__, key=lambda name: (name[0].isupper(), name)):
        thing = getattr(sift_jax, name)
        shown = f"sift_jax.{name}"
        is_class = inspect.isclass(thing)
        signature = "" if is_class else format_signature(shown, thing)
        text = format_docstring(thing.__doc__ or "")
        entries.append(Entry(level=2, name=shown, signature=signature, text=text))
        for inner, member in _list_members(thing) if is_class else ():
            is_property = isinstance(member, property)
            entries.append(
                Entry(
                    level=3,
                    name=f"{name}.{inner}",
                    signature="" if is_property else format_signature(inner, member),
                    text=format_docstring(member.__doc__ or ""),
                )
            )
    return entries
