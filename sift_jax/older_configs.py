"""What a config leaves out that was written before a field existed, and the flags with which it
goes on as it was.

    unit_weights: Mapping[str, float] = dataclasses.field(metadata={"before": {}})

    config.gin of then, without it ─►  "… add --gin.DataConfig.unit_weights={}"

`before` is the value with which a run does what it did before the field existed. It is no default:
a config says all that a run does, and nothing is filled in in silence.

What has moved is read where it stands now, and told:

    DataConfig.mixture = 'speech'                           MixtureConfig.name = None
    DataConfig.rates = {'sift.open_ended.*': 1.0}    ─►     MixtureConfig.rates = {'sift.open_ended.*': 1.0}
                                                            DataConfig.mixture = @MixtureConfig(), …
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

_OLD_RATES = re.compile(r"^DataConfig\.rates(?=\s*=)", re.MULTILINE)
_OLD_NAME = re.compile(r"^DataConfig\.mixture\s*=\s*(?=['\"])", re.MULTILINE)
_NO_RATES = re.compile(r"^DataConfig\.rates\s*=\s*None\b", re.MULTILINE)
# a table of rates beside a name made the mixture, and the name was no more than a title
_TITLE = re.compile(r"^DataConfig\.mixture\s*=\s*(['\"]).*?\1", re.MULTILINE)
_NEW_FORM = (
    "DataConfig.mixture = @MixtureConfig()\nMixtureConfig.rate_changes = "
    "{}\nMixtureConfig.languages = ()\n"
)

# run functions that have moved: configs name them by the module in which they were
_MOVED = {"sift_jax.vocoder_training.run.": "sift_jax.vocoder_training.run."}


def rename_moved(text: str) -> str:
    """A config's text with each run function under its present name."""
    for old, new in _MOVED.items():
        text = text.replace(old, new)
    return text


def is_of_older_form(texts: Iterable[str]) -> bool:
    """Whether a config names its mixture and rates as fields of DataConfig."""
    return any(_OLD_RATES.search(text) or _OLD_NAME.search(text) for text in texts)


def read_older_form(
    pieces: Sequence[tuple[Path, int, str]], bindings: Sequence[str]
) -> tuple[list[tuple[Path, int, str]], list[str]]:
    """Files and bindings as they are written now, line by line where they stood, and one more
    binding with the rest."""
    texts = [*(text for _, _, text in pieces), *bindings]
    has_table = any(_OLD_RATES.search(text) and not _NO_RATES.search(text) for text in texts)

    def rewrite(text: str) -> str:
        if has_table:
            text = _TITLE.sub("MixtureConfig.name = None", text)
        else:
            text = _OLD_NAME.sub("MixtureConfig.name = ", text)
        return _OLD_RATES.sub("MixtureConfig.rates", text)

    rewritten = [(path, line, rewrite(text)) for path, line, text in pieces]
    return rewritten, [*map(rewrite, bindings), _NEW_FORM]


def describe_missing(classes: Iterable[type], bound: Collection[str]) -> str | None:
    """The error of a config that binds some fields of a dataclass and not others; None where
    nothing is missing."""
    named, flags = [], []
    for cls in dict.fromkeys(classes):
        fields = dataclasses.fields(cls)
        missing = [
            field
            for field in fields
            if f"{cls.__name__}.{field.name}" not in bound and _is_required(field)
        ]
        # of one that is not spoken of at all, something else is wrong
        if len(missing) == len(fields):
            continue
        for field in missing:
            name = f"{cls.__name__}.{field.name}"
            named.append(name)
            if "before" in field.metadata:
                flags.append(_write_flag(name, field.metadata["before"]))
    if not named:
        return None
    what = f"the gin files do not bind {', '.join(named)}"
    if len(flags) < len(named):
        return f"{what}; include a file of configs/ that does"
    return (
        f"{what}, which a config of an older version lacks; to resume as it was, add "
        f"{' '.join(flags)}"
    )


def _write_flag(name: str, value: Any) -> str:
    """As a shell takes it; a plain word needs no quotes there, and none in gin."""
    flag = f"--gin.{name}={value if isinstance(value, str) else repr(value)}"
    return flag if re.fullmatch(r"[\w.=/{}-]+", flag) else shlex.quote(flag)


def _is_required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
