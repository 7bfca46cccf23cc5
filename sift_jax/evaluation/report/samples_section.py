"""Samples of the pages: what was heard, asked and answered, and what the judge said.

predictions + verdicts ─► choose_worst, choose_random (fixed seed, balanced) ─► cards: player · transcript ·
                          question · reference · answer · verdict and its reason · what the baselines answer
"""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sift_jax.evaluation.report.number_format import (
    find_metric,
    is_number,
    name_subset,
    name_system,
    name_title,
)
from sift_jax.evaluation.report.players import AudioShelf, describe_voice, read_utterances
from sift_jax.evaluation.report.read_results import Evaluation
from sift_jax.evaluation.scores.schema import MODEL, Item, Prediction, Verdict
from sift_jax.pages.document import Drawing, Section, say
from sift_jax.pages.markup import escape_text

SAMPLE_COUNT, WORST_COUNT, LEAST = 12, 6, 3
SAMPLE_SEED = 0
# an answer that never ends stays readable
MOST_CHARACTERS = 1_500


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    prediction: Prediction
    verdict: Verdict | None

    @property
    def item(self) -> Item:
        return self.prediction.item

    @property
    def metric(self) -> str:
        return self.item.metrics[0] if self.item.metrics else ""

    @property
    def score(self) -> float | None:
        return None if self.verdict is None else self.verdict.score

    @property
    def outcome(self) -> str:
        score = self.score
        if not is_number(score):
            return "unscored"
        if not find_metric(self.metric).is_binary:
            return "scored"
        return "right" if score >= 0.5 else "wrong"

    @property
    def goodness(self) -> float:
        """Higher is better, comparable where metrics have a scale."""
        metric = find_metric(self.metric)
        found = self.score
        score = found if is_number(found) else 0.0
        return (-score if metric.is_lower_better else score) / (metric.top or 1)


def read_samples(evaluation: Evaluation, suite: str) -> list[Sample]:
    return [
        Sample(prediction=p, verdict=evaluation.find_verdict(p.item))
        for p in evaluation.predictions.get(MODEL, ())
        if p.item.suite == suite
    ]


def shuffle(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """The same order for the same samples, whatever order they come in."""
    pool = sorted(samples, key=lambda s: (s.item.subset, s.item.id))
    random.Random(seed).shuffle(pool)
    return pool


def choose_worst(samples: Sequence[Sample], count: int, seed: int = SAMPLE_SEED) -> list[Sample]:
    """Those with the lowest scores; among equals by lot, spread over parts and languages."""
    pool = [s for s in shuffle(samples, seed) if s.outcome in ("wrong", "scored")]
    subsets: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    chosen: list[Sample] = []
    while pool and len(chosen) < count:
        pick = min(
            pool, key=lambda s: (s.goodness, subsets[s.item.subset], languages[s.item.language])
        )
        pool.remove(pick)
        subsets[pick.item.subset] += 1
        languages[pick.item.language] += 1
        chosen.append(pick)
    return chosen


def choose_random(samples: Sequence[Sample], count: int, seed: int = SAMPLE_SEED) -> list[Sample]:
    """Draws at random, balanced over parts, then languages, with right and wrong in the share that
    all have.

    That share is held within a quarter and three quarters, so that a page shows both kinds where
    both exist.
    """
    pool = shuffle(samples, seed)
    judged = [s for s in pool if s.outcome in ("right", "wrong")]
    share = sum(s.outcome == "wrong" for s in judged) / max(len(judged), 1)
    goal = {"wrong": min(max(share, 0.25), 0.75)}
    goal["right"] = 1 - goal["wrong"]
    subsets: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    chosen: list[Sample] = []
    while pool and len(chosen) < count:
        pick = min(
            pool,
            key=lambda s: (
                subsets[s.item.subset],
                outcomes[s.outcome] / goal.get(s.outcome, 1),
                languages[s.item.language],
            ),
        )
        pool.remove(pick)
        subsets[pick.item.subset] += 1
        languages[pick.item.language] += 1
        outcomes[pick.outcome] += 1
        chosen.append(pick)
    return chosen


def make_badge(sample: Sample) -> str:
    if sample.outcome in ("right", "wrong"):
        mark = {"right": "✓ right", "wrong": "✗ wrong"}[sample.outcome]
        return f'<span class="badge {sample.outcome}">{mark}</span>'
    if sample.outcome == "unscored":
        status = sample.verdict.status if sample.verdict is not None else "no verdict"
        return f'<span class="badge wrong">not scored: {escape_text(status)}</span>'
    metric = find_metric(sample.metric)
    of = f" of {metric.top:g}" if metric.top > 1 else ""
    text = f"{metric.title.split(',')[0]} {metric.write(sample.score)}{of}"
    return f'<span class="badge scored">{escape_text(text)}</span>'


def shorten(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]}… ({len(text) - MOST_CHARACTERS:,} more characters)"


def make_terms(rows: Sequence[tuple[str, str, str]], language: str) -> str:
    """Pairs of a name and a text; (name, css, text)."""
    lang = f' lang="{escape_text(language)}"' if language else ""
    pairs = "".join(
        f'<dt>{escape_text(name)}</dt><dd class="{css}"{lang}>{escape_text(shorten(text))}</dd>'
        for name, css, text in rows
    )
    return f"<dl>{pairs}</dl>"


def make_heard(item: Item, utterances: dict[str, dict], shelf: AudioShelf) -> str:
    heard = []
    for i, path in enumerate(item.audio):
        name = f"Recording {i + 1}" if len(item.audio) > 1 else "Recording"
        heard.append(
            f'<div class="heard">{f"<h4>{name}</h4>" if len(item.audio) > 1 else ""}'
            f"{shelf.make_player(path, f'{name}: {Path(path).stem}')}"
            f"{describe_voice(utterances.get(Path(path).stem, {}))}</div>"
        )
    return "".join(heard) or say("No recording belongs to this question.")


def make_tags(item: Item) -> str:
    names = [name_subset(item.subset), *([name_title(item.language)] if item.language else [])]
    return "".join(f'<span class="tag">{escape_text(name)}</span>' for name in names)


def make_card(
    sample: Sample, others: dict[str, str], utterances: dict[str, dict], shelf: AudioShelf
) -> str:
    """One question; `others` has the answers of other systems by name."""
    item, verdict = sample.item, sample.verdict
    rows = [
        ("Question", "question", item.asked or "–"),
        ("Reference", "reference", " / ".join(item.references) or "–"),
        ("Answer", "answer", sample.prediction.answer or "(nothing)"),
    ]
    if verdict is not None and verdict.reason:
        rows.append(("Reason", "reason", verdict.reason))
    baselines = make_terms(
        [(name_system(s), "", text or "(nothing)") for s, text in others.items()], item.language
    )
    fold = (
        f"<details><summary>What the baselines answer</summary>{baselines}</details>"
        if others
        else ""
    )
    return (
        f'<article class="card"><header>{make_tags(item)}{make_badge(sample)}</header>'
        f"{make_heard(item, utterances, shelf)}{make_terms(rows, item.language)}{fold}</article>"
    )


def collect_utterances(samples: Sequence[Sample], data_dir: Path | None) -> dict[str, dict]:
    return read_utterances(data_dir, {Path(path).stem for s in samples for path in s.item.audio})


def make_samples_section(
    evaluation: Evaluation, data_dir: Path | None, shelf: AudioShelf
) -> Section:
    suites = list(dict.fromkeys(p.item.suite for p in evaluation.predictions.get(MODEL, ())))
    if not suites:
        return Section(
            anchor="samples",
            title="Samples",
            lead="What was asked and answered.",
            parts=[
                Drawing(html=say("There are no predictions to show: run the evaluation first."))
            ],
        )
    others = {
        system: {p.item.id: p.answer for p in found}
        for system, found in evaluation.predictions.items()
        if system != MODEL
    }
    parts = []
    for place, suite in enumerate(suites):
        shelf.grant(0.9 / (len(suites) - place) if len(suites) > 1 else 0.9)
        found = read_samples(evaluation, suite)
        worst = choose_worst(found, max(WORST_COUNT // len(suites), LEAST))
        kept = {s.item.id for s in worst}
        drawn = choose_random(
            [s for s in found if s.item.id not in kept], max(SAMPLE_COUNT // len(suites), LEAST)
        )
        utterances = collect_utterances([*worst, *drawn], data_dir)
        for title, chosen in (("drawn at random", drawn), ("the worst", worst)):
            cards = "".join(
                make_card(
                    s,
                    {n: by[s.item.id] for n, by in others.items() if s.item.id in by},
                    utterances,
                    shelf,
                )
                for s in chosen
            )
            note = (
                describe_draw(chosen, found)
                if chosen is drawn
                else "The lowest scores; among equals by lot."
            )
            if cards:
                parts.append(
                    Drawing(
                        html=f"<h3>{escape_text(name_title(suite))}: {title}</h3>"
                        f'<p class="note">{escape_text(note)}</p><div class="cards">{cards}</div>'
                    )
                )
    return Section(
        anchor="samples",
        title="Samples",
        parts=parts,
        lead="What was heard, asked and answered, and what the judge said to it. The same "
        f"samples come of the same predictions: the seed is {SAMPLE_SEED}.",
    )


def describe_draw(chosen: Sequence[Sample], found: Sequence[Sample]) -> str:
    shown, overall = (Counter(s.outcome for s in some) for some in (chosen, found))
    judged = overall["right"] + overall["wrong"]
    text = f"{len(chosen)} of {len(found):,} questions, parts in equal numbers, languages mixed"
    if judged:
        text += (
            f"; {shown['right']} right, {shown['wrong']} wrong. Of all, {overall['right']:,} of "
            f"{judged:,} are right: the draw leans to that share, and shows both kinds"
        )
    return text + "."
