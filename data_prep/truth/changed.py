"""Rows about recordings of which the noise or the room is known: it was just added.

some clips ─► + noise of a known SNR ─► measured by the build's experts ─► labelled by its bins ─► its questions
           ─► * a room of a known C50                                                              ─► judged
"""

import json
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.corpora.utterance import Utterance, WordSpan
from data_prep.instructions import acoustic, comparison, open_ended, open_ended_paper
from data_prep.instructions.choose_items import Item
from data_prep.instructions.templates import load_templates
from data_prep.metadata.bins import Bins, bound_values, label_values
from data_prep.metadata.experts import Panel, make_panel
from data_prep.metadata.measure import measure_utterance
from data_prep.truth.conditions import (
    NOISE,
    RATE,
    ROOM,
    apply_condition,
    draw_condition,
    make_babble,
)
from data_prep.truth.known import Known, find_known, read_stated
from data_prep.truth.rows import load_wave, read_metadata_of
from data_prep.truth.tally import Tally
from data_prep.truth.texts import read_claims
from sift_jax.sift.labels import ACOUSTIC_LABELS, LANGUAGES

# Voices of which babble is mixed.
_BANK = 24
Changed = tuple[dict[str, Any], Known]


def check_changed(
    build: Path,
    bins: Bins,
    experts: Sequence[tuple[str, str]],
    count: int,
    seed: int,
    *,
    is_paper: bool,
) -> Tally:
    """Judges the rows about so many recordings, with noise and in a room each."""
    panel, rng = make_panel(tuple(experts)), np.random.default_rng(seed)
    tally, draw = Tally(), random.Random(seed)
    before: dict[tuple[str, str], Changed] = {}
    for utterance, known, key in change_clips(build, bins, panel, count, rng):
        templates = load_templates(utterance["language"], is_paper=is_paper)
        items = [
            ("closed_ended/acoustic_level", item)
            for item in acoustic.make_items(utterance, templates, draw)
        ]
        module = open_ended_paper if is_paper else open_ended
        items += [("open_ended", item) for item in module.make_items(utterance, templates, draw)]
        _judge(tally, items, [known], bins, utterance["language"], key)
        # Two recordings are compared that are under conditions of the same kind.
        if earlier := before.get((utterance["language"], key)):
            pair = (earlier[0], utterance)
            compared = [
                ("closed_ended/comparison", item)
                for item in comparison.make_items(pair, templates, draw)
            ]
            _judge(tally, compared, [earlier[1], known], bins, utterance["language"], key)
        before[utterance["language"], key] = utterance, known
    return tally


def change_clips(
    build: Path, bins: Bins, panel: Panel, count: int, rng: np.random.Generator
) -> Iterator[tuple[dict[str, Any], Known, str]]:
    """(utterance as it is now, what is known of it, which key was changed) of each clip, one or two
    times."""
    names = _draw_names(build, count, rng)
    metadata, stated = read_metadata_of(build, set(names)), read_stated(build, set(names))
    waves = {name: wave for name in names if (wave := load_wave(build, name)) is not None}
    if not waves:
        raise ValueError(
            f"{build}/audio has none of the recordings; check a build where its audio is"
        )
    babble = make_babble(list(waves.values())[:_BANK], rng)
    for name, wave in waves.items():
        row = metadata[name]
        for key in (NOISE, ROOM):
            condition = draw_condition(row["values"], rng, key)
            if condition is None:
                continue
            heard, level = apply_condition(wave, condition, rng, babble)
            measured = measure_utterance(heard, make_utterance(row, len(heard) / RATE), panel).row
            if measured is None:
                continue
            # The genders that were filled in stay; those of which there are no edges have no class
            # of pitch.
            changed = {**row, **measured, "gender": row["gender"]}
            changed |= _label(changed, bins)
            known = find_known(row, stated[name], None)
            kept, ranges = find_unchanged(row, known, bins, ROOM if key == NOISE else NOISE)
            yield (
                changed,
                Known(
                    values={**kept, key: level},
                    labels={},
                    sources={key: condition.kind, **dict.fromkeys(kept, "unchanged")},
                    tolerances=known.tolerances,
                    gender=known.gender,
                    corpus=known.corpus,
                    ranges=ranges,
                ),
                key,
            )


def find_unchanged(
    row: dict[str, Any], known: Known, bins: Bins, key: str
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """The value that a recording had before, and from where to where it may have been; both empty
    where nobody knows.

    What the measure read of it is no truth: cut close to its words, a recording reads as 27 dB that
    may have 50. So it counts within the bounds that the measure gives itself, 24 dB and more.
    """
    if key in known.values:
        return {key: known.values[key]}, {}
    value = row["values"].get(key)
    if value is None or "error" not in bins.get(key, {}).get("all", {}):
        # Places in a corpus have no bounds, and stand for themselves.
        return {} if value is None else {key: value}, {}
    bounds = row.get("bounds", {}).get(key)
    if bounds is None:
        return {}, {}
    low, high = bounds
    return {key: value}, {key: (low, math.inf if high is None else high)}


def _draw_names(build: Path, count: int, rng: np.random.Generator) -> list[str]:
    with (build / "metadata.jsonl").open(encoding="utf-8") as lines:
        names = [row["id"] for row in map(json.loads, lines) if row["language"] in LANGUAGES]
    return [names[place] for place in rng.permutation(len(names))[:count]]


def make_utterance(row: dict[str, Any], seconds: float) -> Utterance:
    """The utterance of a line of metadata, for a wave of its own."""
    words = tuple(
        WordSpan(word=word["word"], position=word["position"], start=word["start"], end=word["end"])
        for word in row["words"]
    )
    return Utterance(
        id=row["id"],
        language=row["language"],
        split=row["split"],
        speaker=row["speaker"],
        duration=seconds,
        transcript=row["transcript"],
        topic=row["topic"],
        phonemes=row["phonemes"],
        is_question=row["is_question"],
        gender=row["gender"],
        age_category=row["age_category"],
        accent=row["accent"],
        words=words,
        truth={},
        collection=row.get("collection"),
    )


def _label(row: dict[str, Any], bins: Bins) -> dict[str, Any]:
    """Its classes and bounds."""
    values = {
        key: value
        for key, value in row["values"].items()
        if key in bins and (key != "average_pitch" or row["gender"] in bins[key])
    }
    row = {**row, "values": values}
    return {
        "labels": label_values(row, bins, ACOUSTIC_LABELS),
        "bounds": bound_values(row, bins),
    }


def _judge(
    tally: Tally,
    items: Sequence[tuple[str, Item]],
    known: Sequence[Known],
    bins: Bins,
    language: str,
    key: str,
) -> None:
    for category, item in items:
        claims = read_claims(category, language, item.question, item.answer, "")
        told = [claim for claim in claims if claim.key.removeprefix("order of ") in (NOISE, ROOM)]
        if told:
            text = (
                f"{'+'.join(item.ids)} [{language}, {known[-1].sources[key]} added] "
                f"{item.question} | {item.answer}"
            )
            tally.add(told, known, bins, text)
