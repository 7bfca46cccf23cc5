"""Samples of the report: what was heard, asked and answered.

    predictions ─► choose_samples (fixed seed, balanced) ─► cards: player · transcript · question · reference · answer
    <data>/audio/<utterance id>.flac ─► AudioShelf ─► <audio src="data:audio/flac;base64,…"> within a budget
"""

import base64
import json
import random
from collections import Counter
from pathlib import Path

import soundfile

from sift_jax.evaluation.report_charts import draw_waveform
from sift_jax.evaluation.report_format import (
    escape_text,
    format_measure,
    format_number,
    is_number,
    name_title,
)
from sift_jax.evaluation.report_sections import say, wrap_section

SAMPLE_COUNT = 12
SAMPLE_SEED = 0
AUDIO_BUDGET_BYTES = 4_000_000  # of base64 text: with everything else the page stays under 6 MB


class AudioShelf:
    """Recordings of a data folder as inline players; what is missing or too large is said instead."""

    def __init__(self, data_dir: Path, budget: int = AUDIO_BUDGET_BYTES):
        self.folder, self.left = Path(data_dir) / "audio", budget

    def make_player(self, utterance: str, label: str) -> str:
        path = self.folder / f"{utterance}.flac"
        try:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
            text = base64.b64encode(path.read_bytes()).decode("ascii")
        except (OSError, soundfile.LibsndfileError):
            return say(f"The recording {utterance} cannot be read from the data folder.")
        if len(text) > self.left:
            return say(f"The recording {utterance} is left out to keep the page small.")
        self.left -= len(text)
        wave = draw_waveform(samples[:, 0], label=f"Waveform of {utterance}, {len(samples) / rate:.1f} s")
        return (f'<div class="player">{wave}<audio controls preload="metadata" aria-label="{escape_text(label)}" '
                f'src="data:audio/flac;base64,{text}"></audio></div>')


def name_outcome(prediction: dict) -> str:
    is_correct = prediction.get("is_correct")
    return "scored" if is_correct is None else "right" if is_correct else "wrong"


def choose_samples(predictions: list[dict], count: int = SAMPLE_COUNT, seed: int = SAMPLE_SEED) -> list[dict]:
    """Draws at random, balanced over categories, then languages, with right and wrong in the share that all have.

    That share is held within a quarter and three quarters, so that a page shows both kinds where both exist.
    """
    pool = sorted(predictions, key=lambda p: (str(p.get("category")), str(p.get("id")), str(p.get("question"))))
    random.Random(seed).shuffle(pool)
    judged = [p for p in pool if name_outcome(p) != "scored"]
    share = sum(name_outcome(p) == "wrong" for p in judged) / max(len(judged), 1)
    goal = {"wrong": min(max(share, 0.25), 0.75)}
    goal["right"] = 1 - goal["wrong"]
    categories, languages, outcomes = Counter(), Counter(), Counter()
    chosen: list[dict] = []
    while pool and len(chosen) < count:
        best = min(range(len(pool)), key=lambda i: (
            categories[pool[i].get("category")], outcomes[name_outcome(pool[i])] / goal.get(name_outcome(pool[i]), 1),
            languages[pool[i].get("language")]))
        pick = pool.pop(best)
        categories[pick.get("category")] += 1
        languages[pick.get("language")] += 1
        outcomes[name_outcome(pick)] += 1
        chosen.append(pick)
    return chosen


def read_utterances(data_dir: Path, wanted: set[str]) -> dict[str, dict]:
    """The lines of metadata.jsonl whose id is wanted; an absent file knows nothing."""
    path, found = Path(data_dir) / "metadata.jsonl", {}
    if not path.is_file():
        return found
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and entry.get("id") in wanted:
                found[entry["id"]] = entry
    return found


def describe_voice(utterance: dict) -> str:
    """Transcript, speaker and measured values: what a listener needs to check the answer."""
    if not utterance:
        return ""
    who = ", ".join(str(utterance[k]) for k in ("gender", "age_category", "accent") if utterance.get(k))
    values = utterance.get("values", {})
    measured = " · ".join(f"{label} ({format_measure(key, values[key])})" if key in values else str(label)
                          for key, label in utterance.get("labels", {}).items())
    language = escape_text(utterance.get("language", ""))
    return (f'<p class="said" lang="{language}">“{escape_text(utterance.get("transcript", ""))}”</p>'
            f'<p class="who">{escape_text(" · ".join(part for part in (who, measured) if part))}</p>')


def make_badge(prediction: dict) -> str:
    outcome = name_outcome(prediction)
    if outcome == "scored":
        score = prediction.get("score")
        text = f"score {format_number(score, 1)} of 10" if is_number(score) else "not scored"
        return f'<span class="badge scored">{text}</span>'
    mark = {"right": "✓ right", "wrong": "✗ wrong"}[outcome]
    return f'<span class="badge {outcome}">{mark}</span>'


def make_card(prediction: dict, utterances: dict[str, dict], shelf: AudioShelf) -> str:
    heard = []
    ids = prediction.get("audio") or []
    for i, utterance in enumerate(ids):
        name = f"Recording {i + 1}" if len(ids) > 1 else "Recording"
        heard.append(f'<div class="heard">{f"<h4>{name}</h4>" if len(ids) > 1 else ""}'
                     f"{shelf.make_player(utterance, f'{name}: {utterance}')}"
                     f"{describe_voice(utterances.get(utterance, {}))}</div>")
    lang = escape_text(prediction.get("language", ""))
    rows = [("Question", "question"), ("Reference", "reference"), ("Answer", "answer")]
    said = "".join(f'<dt>{title}</dt><dd class="{key}" lang="{lang}">{escape_text(prediction.get(key) or "–")}</dd>'
                   for title, key in rows)
    others = "".join(f'<dt>{title}</dt><dd lang="{lang}">{escape_text(prediction.get(key) or "(nothing)")}</dd>'
                     for title, key in (("Majority", "majority"), ("Untrained", "untrained")))
    tags = "".join(f'<span class="tag">{escape_text(name_title(str(prediction.get(key))))}</span>'
                   for key in ("category", "language"))
    return (f'<article class="card"><header>{tags}{make_badge(prediction)}</header>'
            f'{"".join(heard) or say("No recording belongs to this question.")}<dl>{said}</dl>'
            f"<details><summary>What the baselines answer</summary><dl>{others}</dl></details></article>")


def make_samples_section(predictions: list[dict], data_dir: Path, shelf: AudioShelf) -> str:
    if not predictions:
        return wrap_section("samples", "Samples", "What was asked and answered.",
                            say("There are no predictions to show: run the evaluation first."))
    chosen = choose_samples(predictions)
    utterances = read_utterances(data_dir, {u for p in chosen for u in p.get("audio") or []})
    shown, overall = (Counter(name_outcome(p) for p in some) for some in (chosen, predictions))
    judged = overall["right"] + overall["wrong"]
    lead = (f"{len(chosen)} of {len(predictions):,} predictions, drawn at random with the fixed seed {SAMPLE_SEED}: "
            f"categories in equal parts, languages mixed; {shown['right']} right, {shown['wrong']} wrong, "
            f"{shown['scored']} with a score instead. Of all, {overall['right']:,} of {judged:,} are right: the draw "
            "leans to that share, and shows both kinds.")
    cards = "".join(make_card(p, utterances, shelf) for p in chosen)
    return wrap_section("samples", "Samples", lead, f'<div class="cards">{cards}</div>')
