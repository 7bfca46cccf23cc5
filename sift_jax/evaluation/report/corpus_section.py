"""What the model learned from, as a section of the report.

report.json ─► voices to hear · label distributions · durations · measured against synthesized · splits
"""

import json
from pathlib import Path

from sift_jax.evaluation.report.charts import draw_histogram, draw_shares, pick_ramp
from sift_jax.evaluation.report.number_format import (
    format_count,
    format_number,
    is_number,
    name_title,
)
from sift_jax.evaluation.report.players import AudioShelf, describe_voice, read_utterances
from sift_jax.pages.document import Drawing, Section, say, wrap_chart
from sift_jax.pages.markup import escape_text
from sift_jax.sift.labels import ACOUSTIC_LABELS, AGE_CATEGORIES, SENTENCE_LENGTHS

# Keys whose labels stand on a scale, low to high; the labels of others stand by how often they
# occur.
SCALES = {**ACOUSTIC_LABELS, "age_category": AGE_CATEGORIES, "sentence_length": SENTENCE_LENGTHS}
MOST_LABELS = 10


def order_labels(key: str, by_lang: dict[str, dict[str, int]]) -> list[str]:
    """Labels of one key that occur: those of its scale from low to high, then others by how often
    they occur."""
    totals: dict[str, int] = {}
    for counts in by_lang.values():
        for label, n in counts.items():
            totals[label] = totals.get(label, 0) + n
    scale = [label for label in SCALES.get(key, ()) if label in totals]
    return scale + sorted(totals.keys() - set(scale), key=lambda label: (-totals[label], label))


def make_label_panel(key: str, by_lang: dict[str, dict[str, int]]) -> str:
    labels = order_labels(key, by_lang)
    kept = labels if len(labels) <= MOST_LABELS else labels[: MOST_LABELS - 1]
    names = [*kept, *(["all others"] if len(kept) < len(labels) else [])]
    rows = []
    for lang, counts in by_lang.items():
        row = [counts.get(label, 0) for label in kept]
        rest = (
            [sum(n for label, n in counts.items() if label not in kept)]
            if len(names) > len(kept)
            else []
        )
        rows.append((name_title(lang), row + rest))
    legend = "".join(
        f'<li><span class="key" style="background:{fill}"></span>{escape_text(name)}</li>'
        for name, (fill, _) in zip(names, pick_ramp(len(names)), strict=True)
    )
    svg = draw_shares(rows, names, label=f"Distribution of {name_title(key)} by language")
    return (
        f"<figure><figcaption>{escape_text(name_title(key))}</figcaption>"
        f"{wrap_chart(svg, f'<ul class=legend>{legend}</ul>')}</figure>"
    )


def make_labels(corpus: dict) -> str:
    panels = "".join(
        make_label_panel(key, by_lang)
        for key, by_lang in corpus.get("labels", {}).items()
        if by_lang
    )
    if not panels:
        return say("The data's report holds no label counts.")
    return (
        '<h3>Labels, share of utterances in %</h3><p class="note">Acoustic labels are measured in '
        "the audio and "
        f'binned; their scales run from low to high.</p><div class="grid wide">{panels}</div>'
    )


def make_durations(corpus: dict) -> str:
    panels = []
    for lang, entry in corpus.get("durations", {}).items():
        histogram = entry.get("histogram", {})
        edges, counts = histogram.get("edges", []), histogram.get("counts", [])
        facts = f"{format_number(entry.get('hours'), 2)} h · n {format_count(sum(counts))}"
        chart = (
            wrap_chart(
                draw_histogram(
                    edges, counts, unit="s", label=f"Durations, {name_title(lang)}: {facts}"
                )
            )
            if counts and len(edges) == len(counts) + 1
            else say("No histogram.")
        )
        panels.append(
            f"<figure><figcaption>{escape_text(name_title(lang))}</figcaption>"
            f'<p class="note">{facts}</p>{chart}</figure>'
        )
    if not panels:
        return say("The data's report holds no durations.")
    return f'<h3>Durations of utterances</h3><div class="grid small">{"".join(panels)}</div>'


def make_correlations(corpus: dict) -> str:
    rows = []
    for key, entry in corpus.get("rank_correlation", {}).items():
        rho = entry.get("rho")
        share = max(min(abs(rho), 1.0), 0.0) if is_number(rho) else 0.0
        rows.append(
            f'<tr><th scope="row">{escape_text(name_title(key))}</th><td class="meter"><span '
            f'style="width:{100 * share:.0f}%"></span></td><td>{format_number(rho, 3)}</td>'
            f"<td>{format_count(entry.get('n'))}</td></tr>"
        )
    if not rows:
        return say("The data's report holds no rank correlations.")
    return (
        "<figure><figcaption>Measured against synthesized</figcaption><table><thead><tr><th "
        'scope="col">Key</th>'
        '<th scope="col" class="wide">|ρ|</th><th scope="col">Spearman ρ</th><th '
        'scope="col">n</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></figure>"
    )


def make_splits(corpus: dict) -> str:
    """Questions by category and split, then who speaks and what is said in each, and whether they
    overlap."""
    counts, speakers, sentences = (corpus.get(k, {}) for k in ("counts", "speakers", "sentences"))
    if not counts:
        return say("The data's report holds no counts of the splits.")
    splits = list(counts)
    head = "".join(f'<th scope="col">{escape_text(name_title(s))}</th>' for s in splits)
    categories = list(dict.fromkeys(c for s in splits for c in counts[s]))
    lines = [
        (name_title(c), [sum(counts[s].get(c, {}).values()) for s in splits]) for c in categories
    ]
    lines.append(
        ("All questions", [sum(sum(by.values()) for by in counts[s].values()) for s in splits])
    )
    lines.append(("Speakers", [len(speakers.get(s, [])) or None for s in splits]))
    lines.append(("Sentences", [sentences.get(s) for s in splits]))
    rows = "".join(
        f'<tr><th scope="row">{escape_text(title)}</th>'
        + "".join(f"<td>{format_count(v)}</td>" for v in values)
        + "</tr>"
        for title, values in lines
    )
    return (
        f"<figure><figcaption>Splits</figcaption><table><thead><tr><td></td>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table>{make_overlap(speakers)}{make_counts_by_language(counts)}</figure>"
    )


def make_overlap(speakers: dict[str, list]) -> str:
    shared = {
        s: set(speakers.get("train", [])) & set(ids) for s, ids in speakers.items() if s != "train"
    }
    if "train" not in speakers or not shared:
        return ""
    found = [f"{name_title(s)} shares {len(ids)}" for s, ids in shared.items() if ids]
    text = (
        f"Of the voices of training, {', '.join(found)}."
        if found
        else (
            "No voice of training is heard in " + " or ".join(name_title(s) for s in shared) + "."
        )
    )
    return f'<p class="note">{escape_text(text)}</p>'


def make_counts_by_language(counts: dict) -> str:
    languages = list(
        dict.fromkeys(x for by_cat in counts.values() for by in by_cat.values() for x in by)
    )
    head = "".join(f'<th scope="col">{escape_text(name_title(x))}</th>' for x in languages)
    rows = "".join(
        (
            f'<tr><th scope="row">{escape_text(name_title(s))}, '
            f"{escape_text(name_title(c).lower())}</th>"
        )
        + "".join(f"<td>{format_count(by.get(x, 0))}</td>" for x in languages)
        + "</tr>"
        for s, by_cat in counts.items()
        for c, by in by_cat.items()
    )
    return (
        '<details><summary>Questions by language</summary><div class="chart" tabindex="0" '
        'role="group" aria-label="questions by language"><table><thead><tr><td></td>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def make_voices(corpus: dict, data_dir: Path, shelf: AudioShelf) -> str:
    """One example recording of each language."""
    examples = corpus.get("examples", [])
    if isinstance(examples, dict):
        examples = [u for ids in examples.values() for u in ids]
    utterances = read_utterances(data_dir, {u for u in examples if isinstance(u, str)})
    first: dict[str, dict] = {}
    for name in examples:
        if name in utterances:
            first.setdefault(utterances[name].get("language", ""), utterances[name])
    cards = "".join(
        f'<div class="card heard"><h4>{escape_text(name_title(lang))}</h4>'
        f"{shelf.make_player(u['id'], f'Example in {name_title(lang)}')}{describe_voice(u)}</div>"
        for lang, u in first.items()
    )
    return f'<h3>Voices</h3><div class="cards">{cards}</div>' if cards else ""


def read_corpus(data_dir: Path) -> dict:
    """The data's report.json, or nothing: the page then says that it is missing."""
    try:
        corpus = json.loads((data_dir / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return corpus if isinstance(corpus, dict) else {}


def make_corpus_section(corpus: dict, data_dir: Path, shelf: AudioShelf) -> Section:
    if corpus:
        html = "".join(
            [
                make_labels(corpus),
                make_durations(corpus),
                '<h3>Measures and splits</h3><div class="pair even">',
                make_correlations(corpus),
                make_splits(corpus),
                "</div>",
                make_voices(corpus, data_dir, shelf),
            ]
        )
    else:
        html = say(
            "The data folder has no readable report.json: build it with `python -m "
            "data_prep.build`."
        )
    return Section(
        anchor="data",
        title="The data",
        lead=(
            "What was spoken, what was measured in it, and how well that finds what was "
            "synthesized."
        ),
        parts=[Drawing(html=html)],
    )
