"""What the measures say of recordings to which a known noise, or room, was added; the table behind
`metadata.absolute`.

    python -m benchmarks.calibration FOLDER [FOLDER | manifest.jsonl …] [--clips=60]
    [--json=calibration.json]

    by measure, kind of noise and true level: what is read too high or too low, at five quantiles,
    in dB by measure: how many get a class by its scale, and how many of these are untrue by more
    than what listeners notice; of how many pairs of readings the order is told by their bounds, and
    of how many of these it is the other way round

Noise and rooms are added by themselves, and noise in a room. `benchmarks.measures` says what is wrong in which
condition; this is drawn evenly from all of them, as `data_prep.check_truth` draws.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measures import Clip, measure, read_clips
from data_prep.metadata.absolute import (
    NOTICED_DB,
    SECONDS,
    Scale,
    find_bounds,
    find_edges,
    find_place,
    find_scales,
)
from data_prep.truth.conditions import (
    NOISE,
    RATE,
    ROOM,
    apply_condition,
    draw_condition,
    make_babble,
)

# Who is tried, by key.
_EXPERTS = {NOISE: ("gaps", "inside"), ROOM: ("ridge",)}
_QUANTILES = (0.01, 0.05, 0.5, 0.95, 0.99)
_TRIES = 4
_TRIES_OF_BOTH = 2
# Nothing else is measured.
_OTHERS = "average_pitch=none,pitch_variation=none,speaking_rate=none,average_intensity=none"

# (kind, true level, what was read, all that was read)
Reading = tuple[str, float, float, dict[str, float]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table and writes it."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.calibration", description="What the measures say of known noise."
    )
    parser.add_argument("sources", nargs="+", type=Path, help="folders of recordings, or manifests")
    parser.add_argument("--clips", type=int, default=60, help="of each source")
    parser.add_argument("--seed", type=int, default=0, help="decides what is drawn")
    parser.add_argument("--json", type=Path, help="where to write the table")
    flags = parser.parse_args(arguments)
    readings: dict[tuple[str, str], list[Reading]] = {}
    counts = {}
    for source in flags.sources:
        clips = read_clips(source, flags.clips, flags.seed)
        if not clips:
            raise SystemExit(
                f"error: {source}: no recordings; name a folder of them, or a manifest"
            )
        counts[source.stem] = len(clips)
        of_source = read_known(clips, np.random.default_rng(flags.seed))
        for pair, found in of_source.items():
            readings.setdefault(pair, []).extend(found)
        print(
            json.dumps(
                {
                    source.stem: {
                        name: grade(key, name, found) for (key, name), found in of_source.items()
                    }
                }
            ),
            flush=True,
        )
    table = {
        "clips": counts,
        "measures": {
            f"{key}={name}": describe(key, name, found) for (key, name), found in readings.items()
        },
    }
    print(json.dumps(table, indent=1))
    if flags.json:
        flags.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def read_known(
    clips: Sequence[Clip], rng: np.random.Generator
) -> dict[tuple[str, str], list[Reading]]:
    """What each expert reads of each clip under some conditions of each kind."""
    found: dict[tuple[str, str], list[Reading]] = {}
    babble = make_babble([clip.wave for clip in clips], rng)
    for clip in clips:
        own = measure(clip, clip.wave, _OTHERS)
        tries = [((NOISE,), _TRIES), ((ROOM,), _TRIES), ((ROOM, NOISE), _TRIES_OF_BOTH)]
        for keys in (keys for keys, count in tries for _ in range(count)):
            conditions = [draw_condition(own, rng, key) for key in keys]
            heard, levels = clip.wave, {}
            for condition in conditions:
                if condition is not None:
                    heard, levels[condition.key] = apply_condition(heard, condition, rng, babble)
            if len(levels) < len(keys):
                continue
            kind = " and ".join(condition.kind for condition in conditions if condition)
            for key, name in ((changed, name) for changed in keys for name in _EXPERTS[changed]):
                values = measure(clip, heard, f"{_OTHERS},{key}={name}")
                if key in values:
                    known = {**values, SECONDS: len(heard) / RATE}
                    reading = (kind, levels[key], values[key], known)
                    found.setdefault((key, name), []).append(reading)
    return found


def describe(key: str, name: str, readings: Sequence[Reading]) -> dict[str, Any]:
    """Errors by kind and true class, and what the scale makes of them."""
    edges = [-np.inf, *find_edges(key)[1], np.inf]
    table: dict[str, Any] = {}
    for kind in sorted({kind for kind, *_ in readings}):
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            errors = [
                value - level
                for other, level, value, _ in readings
                if other == kind and low <= level < high
            ]
            if errors:
                table.setdefault(kind, {})[f"{low:g} to {high:g} dB"] = {
                    "n": len(errors),
                    "error": [round(float(q), 1) for q in np.quantile(errors, _QUANTILES)],
                }
    return {
        "quantiles": list(_QUANTILES),
        "by kind and true level": table,
        "scale": grade(key, name, readings),
        "orders": grade_orders(key, name, readings),
    }


def grade(key: str, name: str, readings: Sequence[Reading]) -> dict[str, Any]:
    """How many readings get a class, and how many of those are of a class that the truth is not
    near to."""
    scale: Scale | None = find_scales([(key, name)])[key]
    if scale is None:
        return {"n": len(readings), "told": 0, "untrue": 0, "share": 0.0}
    told = untrue = 0
    bounds = [-np.inf, *scale.edges, np.inf]
    for _, level, _, values in readings:
        place = find_place(key, values, scale.describe())
        if place is not None:
            told += 1
            untrue += not bounds[place] - NOTICED_DB <= level < bounds[place + 1] + NOTICED_DB
    return {
        "n": len(readings),
        "told": told,
        "untrue": untrue,
        "share": round(untrue / max(told, 1), 4),
    }


def grade_orders(key: str, name: str, readings: Sequence[Reading]) -> dict[str, Any]:
    """Of how many pairs of readings one is surely more, and how often that is not so."""
    scale: Scale | None = find_scales([(key, name)])[key]
    table = scale.describe() if scale else {}
    bounds = [find_bounds(key, values, table) for *_, values in readings]
    low = np.array([found[0] if found else -np.inf for found in bounds])
    high = np.array([np.inf if not found or found[1] is None else found[1] for found in bounds])
    level = np.array([level for _, level, _, _ in readings])
    is_told = low[None] > high[:, None]
    told = int(is_told.sum())
    untrue = int((is_told & (level[None] <= level[:, None])).sum())
    pairs = len(readings) * (len(readings) - 1) // 2
    return {"n": pairs, "told": told, "untrue": untrue, "share": round(untrue / max(told, 1), 4)}


if __name__ == "__main__":
    main()
