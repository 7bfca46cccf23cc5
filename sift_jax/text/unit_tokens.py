"""Where units of speech stand among the ids, and whose units they are: here data, model and
decoding agree on it.

    0 … text and special tokens … n − 1 │ n         │ n + 1   │ n + 2 … n + 1 + codes │ … rows that nobody uses
                                        │ begin     │ end     │ unit 0 … codes − 1    │
    an answer that is speech:             begin  unit unit unit … unit  end  <|im_end|>

They begin where the tokenizer's ids end, which takes the spare rows of a published vocabulary first
(Qwen2.5 has some 396): so a vocabulary that grows by the number of codes has room for the two
delimiters too. Spare rows are all but one vector as published; weights/spare_rows.py draws those
that are re-initialised. No text has these ids, since the tokenizer does not know them: a prompt cannot
open a speech segment, whatever is written in it.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.text.tokenizers import END_OF_TEXT, SpeechTokenizer

# beside a run's checkpoints and in exports: whose units the model speaks
UNITS_FILE = "units.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnitIds:
    """The delimiters and the first unit, as ids."""

    begin: int

    @property
    def end(self) -> int:
        return self.begin + 1

    @property
    def first(self) -> int:
        return self.begin + 2

    def write(self, units: Sequence[int]) -> list[int]:
        """A whole answer: delimiter, units, delimiter."""
        return [self.begin, *(self.first + int(unit) for unit in units), self.end]

    def read(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """The units of an answer, up to its end."""
        ids = np.asarray(ids, np.int64)
        ended = np.flatnonzero(ids < self.first)
        return (ids[: ended[0]] if len(ended) else ids) - self.first

    def count_rows(self, codes: int) -> int:
        """Rows that a vocabulary needs for text and `codes` units."""
        return self.first + codes


def place_units(tokenizer: SpeechTokenizer) -> UnitIds:
    return UnitIds(begin=tokenizer.first_free_id)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodecIdentity:
    """Which codec units belong to; `folder` is where it was, and may have moved."""

    fingerprint: str
    codes: int
    folder: str
    # in which a model has learnt to speak, where that is known
    languages: tuple[str, ...] = ()
    # what the end and units of these ranges counted in training; their odds are so many times too
    # high in the model
    end_weight: float = 1.0
    unit_weights: tuple[tuple[str, float], ...] = ()

    def to_json(self, ids: UnitIds) -> dict[str, Any]:
        return {
            "codec": self.fingerprint,
            "codes": self.codes,
            "folder": self.folder,
            "begin": ids.begin,
            "languages": list(self.languages),
            "end_weight": self.end_weight,
            "unit_weights": dict(self.unit_weights),
        }


def read_codec_identity(folder: str | Path) -> CodecIdentity:
    """What codec.json says; whether the folder is whole is looked at by those who encode and decode
    with it."""
    path = Path(folder) / "codec.json"
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return CodecIdentity(
            fingerprint=str(held["fingerprint"]),
            codes=int(held["codec"]["codes"]),
            folder=str(folder),
        )
    except OSError:
        raise ValueError(
            f"{folder}: no codec.json there; give a folder that `python -m sift_jax.units` wrote"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is torn or no codec's; fit or copy the codec again") from None


def check_identity(identity: CodecIdentity, fingerprint: str, folder: str | Path) -> None:
    """Raises where the codec of `folder` is another than a model's."""
    if fingerprint != identity.fingerprint:
        raise ValueError(
            f"this checkpoint speaks the units of the codec {identity.fingerprint[:12]}…, and "
            f"that of {folder} is {fingerprint[:12]}…; use the one that it was trained with "
            f"({identity.folder})"
        )


def read_units_file(folder: str | Path, ids: UnitIds) -> CodecIdentity | None:
    """Whose units a run or an export speaks; None where it speaks none. `ids` are those of its
    tokenizer."""
    path = Path(folder) / UNITS_FILE
    if not path.is_file():
        return None
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        weights = (
            held["unit_weights"] if "unit_weights" in held else _find_unit_weights(Path(folder))
        )
        found = CodecIdentity(
            fingerprint=str(held["codec"]),
            codes=int(held["codes"]),
            folder=str(held["folder"]),
            languages=tuple(held["languages"]),
            end_weight=float(held["end_weight"]),
            unit_weights=tuple((str(name), float(x)) for name, x in weights.items()),
        )
        begin = int(held["begin"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is torn; copy the folder again") from None
    if begin != ids.begin:
        raise ValueError(
            f"{path}: units begin at id {begin} there, and at {ids.begin} with this folder's "
            "tokenizer; copy the folder again, its tokenizer is another run's"
        )
    return found


def _find_unit_weights(folder: Path) -> dict[str, float]:
    """Those of a units.json from before they were kept there: a run's config.gin has them, an
    export has none."""
    path = folder / "config.gin"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    macros = dict(re.findall(r"^(\w+) = \\?\n? *(\{[^{}]*\})", text, re.MULTILINE))
    bound = re.search(
        r"^DataConfig\.unit_weights = \\?\n? *(?:%(\w+)|(\{[^{}]*\}))", text, re.MULTILINE
    )
    if bound:
        return ast.literal_eval(bound[2] or macros.get(bound[1], "{}"))
    print(
        f"{folder / UNITS_FILE} is an older version's and does not say which units counted more "
        "in training: they are spoken as if none did; if some did, export the run again",
        file=sys.stderr,
    )
    return {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class NeededRows:
    """Rows of the vocabulary without which a model cannot hold the chat that it is trained on."""

    # ids that stand in a conversation, and those that the model has to write itself
    read: tuple[int, ...]
    written: tuple[int, ...]
    # of them those that no token of the tokenizer's file has
    free: frozenset[int]
    # of what is not a unit
    names: Mapping[str, int]


def list_needed_rows(tokenizer: SpeechTokenizer, codec: CodecIdentity | None) -> NeededRows:
    """What stands between the words: turns, audio, and units with their delimiters where answers
    are speech."""
    names = {token: row for token, row in tokenizer.ids.items() if token != END_OF_TEXT}
    names[tokenizer.turn_end] = tokenizer.turn_end_id
    free = {tokenizer.ids[token] for token in tokenizer.lacking}
    speech: list[int] = []
    if codec is not None:
        ids = place_units(tokenizer)
        speech = list(range(ids.begin, ids.count_rows(codec.codes)))
    said = {"the beginning of speech": speech[0], "the end of speech": speech[1]} if speech else {}
    return NeededRows(
        read=(*names.values(), *speech),
        written=(tokenizer.turn_end_id, *speech),
        free=frozenset([*free, *speech]),
        names={**names, **said},
    )


def count_needed_rows(tokenizer: SpeechTokenizer, codec: CodecIdentity | None) -> int:
    """Rows of a vocabulary that has every id of the tokenizer and, behind them, of the codec's
    speech."""
    return (
        tokenizer.first_free_id if codec is None else place_units(tokenizer).count_rows(codec.codes)
    )


def read_range(name: str) -> tuple[int, int]:
    """ "0:128" as the units 0 … 127."""
    found = re.fullmatch(r"(\d+):(\d+)", name)
    if not found or int(found[1]) >= int(found[2]):
        raise ValueError(
            f"DataConfig.unit_weights: {name!r} is not a range of units; write it as '0:128'"
        )
    return int(found[1]), int(found[2])


def list_weights(
    codes: int, end_weight: float, unit_weights: Iterable[tuple[str, float]]
) -> np.ndarray:
    """What the end and the units 0 … codes − 1 count, in this order. Training multiplies by these
    weights and decoding divides by them; of ranges that overlap both count.

        list_weights(4, 15.0, [("0:2", 10.0), ("1:3", 3.0)])  ─►  15  10  30  3  1
    """
    weight_v = np.ones(1 + codes, np.float32)
    weight_v[0] = end_weight
    for name, weight in unit_weights:
        first, stop = read_range(name)
        weight_v[1 + first : 1 + stop] *= weight
    return weight_v


def weigh_speech(
    batch: dict[str, np.ndarray], ids: UnitIds, end_weight: float, unit_weights: Mapping[str, float]
) -> None:
    """Has the ends of spoken answers, and units of these ranges, count more or less than other
    targets."""
    weight_v = list_weights(
        max((read_range(name)[1] for name in unit_weights), default=0),
        end_weight,
        unit_weights.items(),
    )
    place_bm = batch["target_bm"] - ids.end
    is_listed_bm = (place_bm >= 0) & (place_bm < len(weight_v))
    batch["weight_bm"][is_listed_bm] *= weight_v[place_bm[is_listed_bm]]


def check_unit_rows(ids: UnitIds, codec: CodecIdentity, rows: int) -> None:
    """Raises where a vocabulary of so many rows has no room for the units."""
    missing = ids.count_rows(codec.codes) - rows
    if missing > 0:
        raise ValueError(
            f"the decoder's vocabulary has {rows} rows, and {ids.count_rows(codec.codes)} are "
            f"needed for text and the {codec.codes} units of {codec.folder} with their "
            f"delimiters; raise EXTRA_TOKENS (ModelConfig.extra_tokens) by {missing}, or set it "
            "to None for as many as are needed"
        )
