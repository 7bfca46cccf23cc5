"""Folders of evaluations, made by hand: what `write_report` and `compare` read.

make_corpus ─► data/{audio, metadata.jsonl, report.json}      make_stage ─► a training run's metrics.jsonl
make_evaluation ─► out/{results.json, predictions/, verdicts/}
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import soundfile

from sift_jax.evaluation.scores.schema import (
    MAJORITY,
    MODEL,
    UNTRAINED,
    Cell,
    Item,
    Prediction,
    Verdict,
    write_prediction,
)

LANGUAGES = ("en", "de", "fr", "it", "es")
KINDS = {
    "closed_ended/acoustic_level": ("average_pitch", "pitch_variation", "speaking_rate"),
    "closed_ended/content_level": ("gender", "age_category"),
    "closed_ended/word_align": ("word_pitch",),
    "closed_ended/comparison": ("average_pitch", "recording"),
}
SUBSETS = (*KINDS, "open_ended")
PITCHES = (
    "very low pitch",
    "quite low pitch",
    "slightly low pitch",
    "moderate pitch",
    "slightly high pitch",
    "quite high pitch",
    "very high pitch",
)
ATTACK = "moderate | pitch <script>alert(1)</script> `x`"


def make_corpus(folder: Path) -> Path:
    """A data folder of ten short utterances and a report.json of a larger corpus."""
    rng = np.random.default_rng(3)
    (folder / "audio").mkdir(parents=True)
    lines = []
    for i, lang in enumerate(LANGUAGES * 2):
        name = f"embedded_{lang}_f0{i // 5}_{i:04d}"
        t = np.arange(10_000 + 2_000 * i) / 16_000
        wave = 0.4 * np.sin(2 * np.pi * (140 + 20 * i) * t) * np.abs(np.sin(2.4 * t))
        soundfile.write(
            folder / "audio" / f"{name}.flac", wave + 0.003 * rng.standard_normal(t.size), 16_000
        )
        lines.append(
            json.dumps(
                {
                    "id": name,
                    "language": lang,
                    "split": "EvalSIFT",
                    "gender": "female",
                    "age_category": "forties",
                    "accent": "Scottish",
                    "transcript": "The rain came early & stayed <late>.",
                    "values": {
                        "average_pitch": 187.2,
                        "pitch_variation": 2.34,
                        "average_intensity": -24.2,
                    },
                    "labels": {
                        "average_pitch": "slightly low pitch",
                        "pitch_variation": "quite monotone",
                        "average_intensity": "moderate volume",
                    },
                }
            )
        )
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    edges = np.linspace(1, 9, 17)
    names = [*SUBSETS, "controllable_generation"]
    corpus = {
        "counts": {
            s: {c: {x: n for x in LANGUAGES} for c in names}
            for s, n in {"train": 700, "dev": 60, "EvalSIFT": 60}.items()
        },
        "labels": {
            "average_pitch": {
                x: {p: int(rng.uniform(90, 160)) for p in reversed(PITCHES)} for x in LANGUAGES
            },
            "gender": {x: {"female": 400, "male": 400} for x in LANGUAGES},
            "accent": {x: {f"accent {i} of {x}": 160 for i in range(5)} for x in LANGUAGES},
        },
        "durations": {
            x: {
                "hours": 0.72,
                "histogram": {
                    "edges": list(edges),
                    "counts": [int(200 * np.exp(-((e - 3.5) ** 2) / 3)) for e in edges[:-1]],
                },
            }
            for x in LANGUAGES
        },
        "rank_correlation": {
            "average_pitch": {"rho": 0.973, "n": 4000},
            "reverberation": {"rho": -0.2, "n": 4000},
        },
        "speakers": {"train": ["en_f01", "en_m02"], "dev": ["en_f07"], "EvalSIFT": ["en_f09"]},
        "sentences": {"train": 620, "dev": 65, "EvalSIFT": 70},
        "examples": [json.loads(line)["id"] for line in lines[:5]],
    }
    (folder / "report.json").write_text(json.dumps(corpus), encoding="utf-8")
    return folder


def make_stage(folder: Path, steps: int) -> Path:
    rng = np.random.default_rng(steps)
    folder.mkdir(parents=True)
    lines = []
    for step in range(20, steps + 1, 10):
        loss = 0.9 + 5 * np.exp(-step / 90) + 0.12 * rng.standard_normal()
        lines.append(
            {
                "step": step,
                "loss": loss,
                "tokens_per_second": 9000,
                "token_efficiency": 0.93,
                "seconds": 1.0,
            }
        )
        if step % 100 == 0:
            lines.append(
                {
                    "step": step,
                    "dev_loss": loss + 0.1,
                    "audio_gain": 1.1 - 1.2 * np.exp(-step / 300),
                }
            )
    text = "\n".join(json.dumps(line) for line in lines) + '\n{"step": 9999, "lo'
    (folder / "metrics.jsonl").write_text(text, encoding="utf-8")
    return folder


def make_item(subset: str, number: int, data_dir: Path | None) -> Item:
    ids = (
        sorted(path.stem for path in (data_dir / "audio").iterdir())
        if data_dir
        else ["embedded_en_f00_0000"]
    )
    name = ids[number % len(ids)]
    heard = [name, ids[(number + 2) % len(ids)]] if subset.endswith("comparison") else [name]
    parts = [
        {"audio_path": str(data_dir / "audio" / f"{x}.flac") if data_dir else x} for x in heard
    ]
    facets = {"kind": KINDS[subset][number % len(KINDS[subset])]} if subset in KINDS else {}
    return Item(
        id=f"{subset}/{name.split('_')[1]}/{number}",
        suite="evalsift",
        subset=subset,
        language=name.split("_")[1],
        messages=({"role": "user", "content": [*parts, {"text": "How high is the voice?"}]},),
        references=("slightly low pitch",),
        facets=facets,
        metrics=("judge_open" if subset == "open_ended" else "judge_closed",),
    )


def make_cell(scores: list[float], *, system: str, **place: str) -> Cell:
    value = float(np.mean(scores)) if scores else None
    names = {
        "suite": "evalsift",
        "subset": "",
        "language": "",
        "facet": "",
        "metric": "judge_closed",
        **place,
    }
    return Cell(
        **names,
        system=system,
        value=value,
        low=value and value - 0.05,
        high=value and value + 0.05,
        n=len(scores),
        of=len(scores) + 1,
    )


def make_cells(scored: dict[str, list[tuple[Item, float]]]) -> list[Cell]:
    """Figures of the items' scores, by system."""
    cells = []
    for system, rows in scored.items():
        for subset in SUBSETS:
            metric = "judge_open" if subset == "open_ended" else "judge_closed"
            rest = [(item, score) for item, score in rows if item.subset == subset]
            for language in ("", *LANGUAGES):
                scores = [score for item, score in rest if language in ("", item.language)]
                cells.append(
                    make_cell(
                        scores, system=system, subset=subset, language=language, metric=metric
                    )
                )
            for kind in KINDS.get(subset, ()):
                scores = [score for item, score in rest if item.facets["kind"] == kind]
                cells.append(
                    make_cell(
                        scores, system=system, subset=subset, facet=f"kind={kind}", metric=metric
                    )
                )
        for language in ("", *LANGUAGES):
            parts = [
                c
                for c in cells
                if c.system == system
                and c.language == language
                and c.subset in KINDS
                and not c.facet
                and c.value is not None
            ]
            mean = make_cell(
                [c.value for c in parts], system=system, subset="closed_ended", language=language
            )
            cells.append(
                dataclasses.replace(mean, n=sum(c.n for c in parts), of=sum(c.of for c in parts))
            )
    return cells


def make_evaluation(
    out: Path,
    *,
    data_dir: Path | None = None,
    seed: int = 3,
    count: int = 20,
    skip: frozenset[int] = frozenset(),
    **changes,
) -> Path:
    """A finished evaluation of `count` questions a category, but those in `skip`; `changes` go into
    results.json."""
    rng = np.random.default_rng(seed)
    scored: dict[str, list[tuple[Item, float]]] = {}
    for folder in ("predictions", "verdicts"):
        (out / folder).mkdir(parents=True)
    for system, share in ((MODEL, 0.7), (MAJORITY, 0.3), (UNTRAINED, 0.0)):
        lines, verdicts = [], []
        for subset in SUBSETS:
            for number in range(count):
                right = float(rng.random() < share)
                if number in skip:
                    continue
                item = make_item(subset, number, data_dir)
                score = round(9 * right * rng.random(), 2) if subset == "open_ended" else right
                answer = "slightly low pitch" if right else ATTACK
                scored.setdefault(system, []).append((item, score))
                lines.append(write_prediction(Prediction(item=item, answer=answer)))
                verdicts.append(
                    Verdict(
                        id=item.id,
                        judge="offline",
                        score=score,
                        status="scored",
                        reason="because <b>so</b>",
                        metric=item.metrics[0],
                    )
                )
        (out / "predictions" / f"{system}.jsonl").write_text("".join(lines), encoding="utf-8")
        text = "".join(json.dumps(dataclasses.asdict(verdict)) + "\n" for verdict in verdicts)
        (out / "verdicts" / f"{system}.offline.jsonl").write_text(text, encoding="utf-8")
    n = len(scored[MODEL])
    counts = {
        "items": n + 2,
        "set_aside": 1,
        "answered": n + 2,
        "scored": n,
        "unscored": {"unparsed": 2},
    }
    results = {
        "format": 1,
        "name": out.name,
        "seconds": {"stage1": 161.0, "evaluate": 64.0},
        "model": {
            "checkpoint": "runs/x/stage2",
            "step": 900,
            "weights": "0f1e",
            "parameters": {"total": 4_150_000},
            "decoding": {"temperature": 0.1},
            "prompts": "77aa",
        },
        "judge": {
            "name": "offline",
            "model": "labels",
            "prompt_hash": "abcd",
            "parameters": {"temperature": 0},
            "planted": {"n": 40, "right": 40, "is_valid": True, "kinds": {"injected": [20, 20]}},
        },
        "suites": {
            "evalsift": {
                "counts": counts,
                "set_aside": [
                    {"id": "gone_7", "subset": "open_ended", "reason": "gone_7: no audio file"}
                ],
            }
        },
        "cells": [dataclasses.asdict(cell) for cell in make_cells(scored)],
        "confusions": [
            {
                "suite": "evalsift",
                "facet": "kind=average_pitch",
                "language": "",
                "labels": list(PITCHES),
                "counts": (4 * np.eye(7, 8, dtype=int) + np.eye(7, 8, 1, dtype=int)).tolist(),
            }
        ],
        "audio_gain": 0.9,
        **changes,
    }
    (out / "results.json").write_text(json.dumps(results))
    return out
