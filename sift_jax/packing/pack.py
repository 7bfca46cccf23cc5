"""A run and its evaluation as what travels with the package.

runs/quickstart/stage2, runs/quickstart/{results.json, predictions} ─► sift_jax/shipped/small/
    model.json encoder/ …           an export in float16
    samples/*.flac samples.json     recordings kept apart from training, what the evaluation asked of them, what is
                                    right, and what this model answers
    card.json README.md             its figures, as results.json has them, and where it comes from
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from sift_jax.checkpoints.checksums import digest_leaves
from sift_jax.evaluation.report.read_results import Evaluation, read_evaluation
from sift_jax.evaluation.scores.schema import MODEL, Item
from sift_jax.exporting.export import SIFT, export_model
from sift_jax.exporting.lineage import read_bindings, read_history
from sift_jax.packing.card import make_card
from sift_jax.pretrained import Model
from sift_jax.shipped.places import SAMPLES
from sift_jax.sift.rows import LANGUAGES
from sift_jax.speech_model import SpeechModel
from sift_jax.sweeps.provenance import read_commit, read_processor

DTYPE = "float16"
MOST_BYTES = 6_000_000
MOST_QUESTIONS = 4
SUITE, CLOSED = "evalsift", "closed_ended/"
# what a sample is an extreme of, and what the two are called
EXTREMES = {
    "speaking_rate": ("slow", "fast"),
    "average_pitch": ("low", "high"),
    "noise_level": ("noisy", "clean"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """A recording with the questions that the evaluation asked of it alone."""

    name: str
    source: Path
    asked: tuple[Item, ...]


def pack(run: str, evaluated: str, out: Path, chosen_as: str = "") -> str:
    """Writes the folder anew; returns what to print. `chosen_as` says how the run was chosen among
    others: figures of the best of several are not what one more training would give."""
    evaluation = read_evaluation(evaluated)
    model = Model.load(run)
    check_evaluated(evaluation, model, run)
    chosen = choose_samples(evaluation)
    about = {**describe(evaluation, model, run), "chosen_as": chosen_as}
    export_model(model, out, dataclasses.replace(SIFT, dtype=DTYPE), run_dir=run)
    # of the decoder alone nothing is asked, and the export's card speaks of another folder
    for path in (out / "tokenizer").iterdir():
        (out / "decoder" / path.name).unlink()
    packed = SpeechModel(Model.load(out), rows=1, codec_folder=None)
    samples = [write_sample(packed, sample, out) for sample in chosen]
    write_json(out / "samples.json", samples)
    write_json(out / "card.json", about)
    (out / "README.md").write_text(make_card(about, samples), encoding="utf-8")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    if size > MOST_BYTES:
        raise ValueError(
            f"{out} has {size:,} bytes, and at most {MOST_BYTES:,} travel with the package; pack a "
            "smaller model"
        )
    return f"{out} written: {size / 1e6:.1f} MB, {len(samples)} samples"


def check_evaluated(evaluation: Evaluation, model: Model, run: str) -> None:
    """Figures of other weights would be none of this model's."""
    found = evaluation.results["model"].get("weights")
    if found != digest_leaves(model.params):
        raise ValueError(
            f"{evaluation.folder}/results.json is of weights {found}, and {run} has others; "
            "evaluate this one: python -m sift_jax.evaluate --suite=evalsift"
        )


def choose_samples(evaluation: Evaluation) -> list[Sample]:
    """For each of EXTREMES the first recording of the lowest and of the highest class that is
    asked for, whatever the model answers; none twice."""
    items = [p.item for p in evaluation.predictions[MODEL] if is_asked_alone(p.item)]
    found: dict[str, Sample] = {}
    for kind, (low, high) in EXTREMES.items():
        rated = sorted(
            (number, item.audio[0], item.id, item)
            for item in items
            if item.facets.get("kind") == kind and (number := read_number(item)) is not None
        )
        for name, ordered in ((low, rated), (high, sorted(rated, key=lambda e: (-e[0], e[1])))):
            taken = {sample.asked[0].audio[0] for sample in found.values()}
            first = next((entry[3] for entry in ordered if entry[1] not in taken), None)
            if first is None:
                raise ValueError(
                    f"{evaluation.folder} asks too little about {kind} in English; evaluate all "
                    "of EvalSIFT"
                )
            own = [item for item in items if item.audio == first.audio]
            found[name] = Sample(
                name=name,
                source=find_audio(first.audio[0], evaluation),
                asked=choose_questions(first, own),
            )
    return list(found.values())


def is_asked_alone(item: Item) -> bool:
    """A closed question in English about one recording, in the wordings of training."""
    return (
        len(item.audio) == 1
        and item.language == "en"
        and item.suite == SUITE
        and item.subset.startswith(CLOSED)
    )


def find_audio(name: str, evaluation: Evaluation) -> Path:
    """A suite names a recording by its path, or by its name in the data."""
    folder = Path(evaluation.results.get("data") or "", "audio")
    for path in (Path(name), folder / Path(name).name, folder / f"{Path(name).name}.flac"):
        if path.is_file():
            return path
    raise ValueError(f"{name} is not there; build the corpus of {evaluation.folder} again")


def choose_questions(first: Item, items: Sequence[Item]) -> tuple[Item, ...]:
    """What it is an extreme of, and one of each other kind."""
    kinds = {first.facets["kind"]: first}
    for item in items:
        kinds.setdefault(item.facets.get("kind", ""), item)
    return tuple(kinds.values())[:MOST_QUESTIONS]


def read_number(item: Item) -> int | None:
    """The class of a plain answer: of "Speed 2: quite slowly" 2."""
    found = re.search(r"\b(\d+)\b", item.references[0])
    return int(found[1]) if found else None


def write_sample(model: SpeechModel, sample: Sample, out: Path) -> dict[str, Any]:
    """The recording, and what is said about it."""
    folder = out / SAMPLES
    folder.mkdir(exist_ok=True)
    path = folder / f"{sample.name}.flac"
    shutil.copyfile(sample.source, path)
    return {
        "name": sample.name,
        "language": sample.asked[0].language,
        "utterance": sample.source.stem,
        "asked": [
            {
                "question": item.question,
                "right": item.references[0],
                "answer": model.ask(path, item.question),
            }
            for item in sample.asked
        ],
    }


def describe(evaluation: Evaluation, model: Model, run: str) -> dict[str, Any]:
    """What the card says, as data: figures are cells of results.json, unchanged."""
    history = [Path(stage.run) for stage in read_history(run)]
    configs = [(folder / "config.gin").read_text(encoding="utf-8") for folder in history]
    said = [read_bindings(text) for text in configs]
    languages = said[-1].get("MixtureConfig.languages") or LANGUAGES
    # figures of languages that it was not taught would be no figures of it
    shown = languages[0] if len(languages) == 1 else ""
    return {
        # the clone in which it was trained
        "commit": read_commit(Path.cwd()),
        "processor": read_processor(),
        "seeds": sorted({bound.get("RunConfig.seed") for bound in said}),
        "languages": list(languages),
        "configs": hashlib.sha256("".join(configs).encode()).hexdigest()[:16],
        "stages": count_steps(history, said),
        "weights": evaluation.results["model"]["weights"],
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(model.params)),
        "window_seconds": model.config.encoder.window_seconds,
        "dtype": DTYPE,
        "cells": [
            dataclasses.asdict(cell)
            for cell in evaluation.cells
            if cell.language == shown and not cell.facet
        ],
    }


def count_steps(history: Sequence[Path], said: Sequence[dict[str, Any]]) -> dict[str, int | None]:
    """Steps of each run up to where the next one began, which may be in its middle."""
    taken = [bound.get("Sources.step") for bound in said[1:]] + [None]
    return {
        folder.name: begun or bound.get("RunConfig.steps")
        for folder, bound, begun in zip(history, said, taken, strict=True)
    }


def write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
