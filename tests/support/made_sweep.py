"""A sweep of made-up runs: its plan, and results with planted differences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.sweeps.plan import SweepConfig
from sift_jax.sweeps.result_files import FORMAT, Part, RunResult
from sift_jax.sweeps.tables import Tables, read_tables

SUBSETS = ("closed_ended/one", "closed_ended/two")


def make_plan(**changes: Any) -> SweepConfig:
    given: dict[str, Any] = {
        "out_dir": "o",
        "prepare": ("python -m data_prep.x --out={out}/data {who}",),
        "words": {"who": "--model=a --x"},
        "start_files": ("s.gin",),
        "starts": {"hear": {}, "other": {}},
        "train_files": ("a.gin", "arms/{arm}.gin"),
        "evaluate_files": ("e.gin",),
        "arm_prepare": {},
        "arms": {
            "one": {"RECORDS": "{out}/{arm}"},
            "two": {"RATE": 0.5, "START_RUN": "{out}/runs/other.{first_seed}"},
        },
        "only": (),
        "train_bindings": {"START_RUN": "{out}/runs/hear.{first_seed}"},
        "evaluate_bindings": {"ROOT": "r"},
        "evaluate_arms": {"two": {"LIMIT": 3}},
        "seeds": (3, 4),
        "parallel": 1,
    }
    return SweepConfig(**{**given, **changes})


def make_part(
    scores: np.ndarray, *, subset: str = SUBSETS[0], language: str = "en", majority: float = 0.3
) -> Part:
    """A recording for each row of (sum, number)."""
    words = [f"{place:08x}={a:g}/{b:g}" for place, (a, b) in enumerate(scores)]
    return Part(
        suite="evalsift",
        subset=subset,
        language=language,
        metric="judge_closed",
        n=int(scores[:, 1].sum()),
        figure=float(scores[:, 0].sum() / scores[:, 1].sum()),
        majority=majority,
        scores=" ".join(words),
    )


def make_result(arm: str, seed: int, parts: tuple[Part, ...], *, digest: str = "d") -> RunResult:
    return RunResult(
        format=FORMAT,
        arm=arm,
        seed=seed,
        digest=digest,
        commit="c",
        processor="p",
        seconds={"train": 60.0, "evaluate": 30.0},
        parts=parts,
    )


def draw_scores(rng: np.random.Generator, chance: float, recordings: int = 60) -> np.ndarray:
    """Four questions a recording, answered right with this chance."""
    right = rng.binomial(4, chance, recordings)
    return np.stack([right, np.full(recordings, 4)], axis=1).astype(float)


def write_tables(path: Path, published: Mapping[str, Mapping[str, float]]) -> Tables:
    """A column of two subsets, one of which is a column too."""
    column = {
        "title": "Closed",
        "suite": "evalsift",
        "subsets": list(SUBSETS),
        "languages": ["en"],
        "metric": "judge_closed",
        "least": 1.0,
        "measured_by": "",
    }
    told = {
        "source": "a paper",
        "columns": {
            "closed": column,
            "one": {**column, "title": "One", "subsets": [SUBSETS[0]]},
            "nowhere": {**column, "title": "Nowhere", "suite": "air_bench"},
        },
        "tables": [
            {"title": "T", "lead": "L", "columns": ["nowhere", "closed", "one"], "arms": []}
        ],
        "published": published,
    }
    path.write_text(json.dumps(told))
    return read_tables(str(path))
