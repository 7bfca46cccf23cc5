"""What is wrong with a config, in words about the config: gin's are about its own insides.

Configurable 'OptimizerConfig' doesn't have a parameter named 'beta_2'. In bindings string line 1
    ─► OptimizerConfig has no field beta_2; did you mean beta2?
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from sift_jax.flags import find_nearest

_MACRO = re.compile(r"configurable 'macro'.* in scope '([^']+)'")
_FIELD = re.compile(r"Configurable '([^']+)' doesn't have a parameter named '([^']+)'")
_CLASS = re.compile(r"No configurable matching (?:reference )?'@?([\w./]+)")
_PLACE = re.compile(r'In file "[^"]+", line \d+')


def explain_gin(text: str, fields: Mapping[str, Collection[str]], macros: Collection[str]) -> str:
    """`text` is gin's error in one line, `fields` what each class takes, `macros` those that are
    defined."""
    found = _PLACE.search(text)
    place = f" ({found[0]})" if found else ""
    if macro := _MACRO.search(text):
        near = find_nearest(macro[1], macros)
        hint = f"did you mean %{near}?" if near else f"give it a value by --gin.{macro[1]}=…"
        return f"gin macro %{macro[1]} is not defined; {hint}"
    if field := _FIELD.search(text):
        name = field[1].rpartition(".")[2]
        known = fields.get(name, ())
        near = find_nearest(field[2], known)
        hint = f"did you mean {near}?" if near else f"it has {', '.join(known)}"
        return f"{name} has no field {field[2]}; {hint}{place}"
    if unknown := _CLASS.search(text):
        near = find_nearest(unknown[1].rpartition("/")[2], fields)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(fields)}"
        return f"nothing is called {unknown[1]} in a config; {hint}{place}"
    # what was being made when it happened is named already
    return text.partition(" In call to configurable ")[0]


def describe_type(name: str, value: Any, hint: str, knob: str | None) -> str:
    """The error for a value of a wrong type; `knob` is what the field takes it from."""
    article = "an" if hint[:1] in "aeiou" else "a"
    return (
        f"{name} = {value!r} is not {article} {hint}; give another by --gin.{knob or name}=…, or "
        "in the gin file"
    )
