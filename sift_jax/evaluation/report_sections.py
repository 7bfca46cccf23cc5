"""What the model can do, as sections of the report: headline, EvalSIFT, learning curves.

    results ─► tiles · bars by category · table language × category · rows by kind
    train_dirs/<stage>/metrics.jsonl ─► {step: {"loss": …, "dev_loss": …, "audio_gain": …}} ─► loss and gain over steps
"""

import json
from pathlib import Path

import numpy as np

from sift_jax.evaluation.report_charts import Series, draw_lines, draw_score_groups, draw_score_rows
from sift_jax.evaluation.report_format import (
    CLOSED_CATEGORIES,
    SYSTEMS,
    escape_text,
    format_count,
    format_percent,
    format_points,
    format_score,
    format_seconds,
    is_number,
    name_title,
    read_score,
)


def say(sentence: str) -> str:
    """A sentence in the place of something that is not there."""
    return f'<p class="absent">{escape_text(sentence)}</p>'


def wrap_chart(svg: str, legend: str = "") -> str:
    return f'{legend}<div class="chart">{svg}</div>'


def wrap_section(anchor: str, title: str, lead: str, *parts: str) -> str:
    return (f'<section id="{anchor}"><h2>{escape_text(title)}</h2><p class="lead">{escape_text(lead)}</p>'
            f'{"".join(parts)}</section>')


def make_legend(entries: list[tuple[str, str]]) -> str:
    items = "".join(f'<li><span class="key {css}"></span>{escape_text(name)}</li>' for css, name in entries)
    return f'<ul class="legend">{items}</ul>'


def order_closed(results: dict) -> list[tuple[str, dict]]:
    """The closed-ended sub-categories that were evaluated, known ones first, the mean apart."""
    closed = results.get("evalsift", {}).get("closed_ended", {})
    names = [n for n in CLOSED_CATEGORIES if n in closed]
    names += sorted(n for n in closed if n not in (*CLOSED_CATEGORIES, "mean"))
    return [(n, closed[n]) for n in names]


def make_tile(title: str, value: str, unit: str, *notes: str) -> str:
    lines = "".join(f"<div>{escape_text(note)}</div>" for note in notes)
    return (f'<div class="tile"><div class="tile-title">{escape_text(title)}</div>'
            f'<div class="tile-value">{escape_text(value)} <span>{escape_text(unit)}</span></div>'
            f'<div class="tile-note">{lines}</div></div>')


def make_headline(results: dict, corpus: dict) -> str:
    """Tiles: how often right, whether it listens, what it learned from, how long it took."""
    evalsift = results.get("evalsift", {})
    mean, opened = evalsift.get("closed_ended", {}).get("mean", {}), evalsift.get("open_ended", {})
    hours = sum(d.get("hours", 0) for d in corpus.get("durations", {}).values())
    rows = {split: sum(n for by_lang in categories.values() for n in by_lang.values())
            for split, categories in corpus.get("counts", {}).items()}
    times, gain = results.get("seconds", {}), results.get("audio_gain")
    minutes = sum(s for s in times.values() if is_number(s)) / 60
    tiles = [make_tile("Closed-ended", format_percent(mean.get("accuracy")).removesuffix(" %"), "% right",
                       *note_baselines(mean))]
    if opened:
        tiles.append(make_tile("Open-ended", format_score(opened, "model"), "of 10", *note_baselines(opened)))
    tiles += [
        make_tile("Audio gain", f"{gain:+.2f}".replace("-", "−") if is_number(gain) else "–", "nats",
                  "loss with other people’s audio minus loss with its own; 0 is deaf"),
        make_tile("Speech", f"{hours:.1f}" if hours else "–", "hours",
                  "questions about it:", *(f"{name_title(split)} {n:,}" for split, n in rows.items())),
        make_tile("From data to scores", f"{minutes:.1f}" if minutes else "–", "min",
                  *(f"{name_title(name)} {format_seconds(s)}" for name, s in times.items())),
    ]
    return f'<div class="tiles">{"".join(tiles)}</div>'


def note_baselines(entry: dict) -> list[str]:
    return [f"majority answer {format_score(entry, 'majority')}", f"untrained {format_score(entry, 'untrained')}",
            f"n {format_count(entry.get('n'))}"]


def make_verdict(results: dict) -> str:
    """One sentence that says whether the model beats the majority answer, and where it does not."""
    mean = results.get("evalsift", {}).get("closed_ended", {}).get("mean", {})
    pairs = [(n, e.get("accuracy"), e.get("majority")) for n, e in order_closed(results)]
    pairs = [(n, a, m) for n, a, m in pairs if is_number(a) and is_number(m)]
    if not pairs:
        return say("There are no EvalSIFT results: run `python -m sift_jax.evaluate` and write the report again.")
    behind = [f"{name_title(n)} ({format_points(a, m)})" for n, a, m in pairs if a <= m]
    where = f"It does not beat it in {', '.join(behind)}." if behind else (
        f"It beats it in each of the {len(pairs)} sub-categories." if len(pairs) > 1 else "")
    points = format_points(mean.get("accuracy"), mean.get("majority"), digits=1)
    return (f'<p class="verdict">{escape_text(points)} points against the majority answer of each kind of question, '
            f'in the mean of the closed-ended sub-categories. {escape_text(where)}</p>')


def make_language_table(results: dict) -> str:
    """Language × category; a cell is tinted by its distance from the majority answer and says that distance."""
    columns = order_closed(results)
    languages = list(dict.fromkeys(lang for _, entry in columns for lang in entry.get("languages", {})))
    closed, opened = (results.get("evalsift", {}).get(k, {}) for k in ("closed_ended", "open_ended"))
    if "mean" in closed:
        means = {x: average_entries([e.get("languages", {}).get(x, {}) for _, e in columns]) for x in languages}
        columns = [*columns, ("mean", {"languages": means, **closed["mean"]})]
    columns = [*columns, *([("open_ended", opened)] if opened else [])]
    if not languages:
        return say("The results hold no figures by language.")
    head = "".join(f'<th scope="col">{escape_text(name_title(n))}</th>' for n, _ in columns)
    rows = []
    for lang, title in [*((lang, name_title(lang)) for lang in languages), (None, "All")]:
        cells = [make_cell(entry if lang is None else entry.get("languages", {}).get(lang, {})) for _, entry in columns]
        rows.append(f'<tr><th scope="row">{escape_text(title)}</th>{"".join(cells)}</tr>')
    return ('<h3>By language</h3><div class="chart"><table class="scores"><thead><tr><th scope="col">Language</th>'
            f'{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
            '<p class="note">Large: the model. Small: its distance (percentage points, or points of a score of 10) '
            'and the majority answer’s figure, then the untrained model’s and the number of questions. The tint '
            'follows the distance.</p>')


def average_entries(entries: list[dict]) -> dict:
    """The unweighted mean of sub-categories, as the closed-ended mean is defined; n is their sum."""
    if not all(is_number(e.get(k)) for e in entries for k in ("accuracy", "majority", "untrained", "n")):
        return {}
    means = {k: sum(e[k] for e in entries) / len(entries) for k in ("accuracy", "majority", "untrained")}
    return {**means, "n": sum(e["n"] for e in entries)}


def make_cell(entry: dict) -> str:
    model, majority = read_score(entry, "model"), read_score(entry, "majority")
    if not is_number(model):
        return "<td>–</td>"
    is_score = "score" in entry
    distance = (model - majority) if is_number(majority) else 0.0
    tint = min(abs(distance) / (5.0 if is_score else 0.5), 1.0) * 0.34
    tone = "--good" if distance > 0 else "--bad"
    gap = f"{distance:+.1f}".replace("-", "−") if is_score else format_points(model, majority)
    return (f'<td style="background:color-mix(in srgb, var({tone}) {100 * tint:.0f}%, transparent)">'
            f'<b>{format_score(entry, "model")}</b><small>{gap} on {format_score(entry, "majority")}</small>'
            f'<small>untr. {format_score(entry, "untrained")} · n {format_count(entry.get("n"))}</small></td>')


def make_evalsift_section(results: dict) -> str:
    groups = order_closed(results)
    if not groups:
        return wrap_section("evalsift", "EvalSIFT", "What the model answers right.",
                            say("There are no EvalSIFT results to show."))
    closed = results["evalsift"]["closed_ended"]
    bars = [(name_title(n), e) for n, e in [*groups, *([("mean", closed["mean"])] if "mean" in closed else [])]]
    charts = [f'<figure><figcaption>Closed-ended: right answers, %</figcaption>'
              f'{wrap_chart(draw_score_groups(bars, top=1, label="Accuracy by closed-ended sub-category"))}</figure>']
    opened = results["evalsift"].get("open_ended")
    if opened:
        svg = draw_score_groups([("Open-ended", opened)], top=10, label="Open-ended score of 10")
        charts.append(f"<figure><figcaption>Open-ended: score of 10</figcaption>{wrap_chart(svg)}</figure>")
    return wrap_section(
        "evalsift", "EvalSIFT", "Voices and sentences kept apart for the evaluation. The majority answer always gives "
        "the commonest answer to its kind of question; the untrained model is this one before its first step.",
        make_legend([(system, name) for system, name in SYSTEMS]), f'<div class="pair main">{"".join(charts)}</div>',
        '<p class="note">Whiskers: 95 % Wilson interval, as if questions were independent of each other.</p>',
        make_language_table(results), make_kinds(groups))


def make_kinds(groups: list[tuple[str, dict]]) -> str:
    """Accuracy by kind of question, one panel a sub-category."""
    panels = []
    for name, entry in groups:
        kinds = sorted(entry.get("kinds", {}).items(), key=lambda kind: -(read_score(kind[1], "model") or 0))
        if kinds:
            svg = draw_score_rows([(name_title(k), e) for k, e in kinds],
                                  label=f"Accuracy by kind of question, {name_title(name)}")
            panels.append(f"<figure><figcaption>{escape_text(name_title(name))}</figcaption>{wrap_chart(svg)}</figure>")
    if not panels:
        return say("The results hold no figures by kind of question.")
    legend = make_legend([("model", "Model"), ("tick", "Majority answer"), ("ring", "Untrained model")])
    return f'<h3>By kind of question</h3>{legend}<div class="grid wide">{"".join(panels)}</div>'


def read_metrics(train_dir: Path) -> list[dict]:
    """Lines of metrics.jsonl merged by step; a line torn by a kill is passed over, a step run twice counts once."""
    steps: dict[int, dict] = {}
    path = Path(train_dir) / "metrics.jsonl"
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            entry = json.loads(line)
            steps.setdefault(int(entry["step"]), {}).update(entry)
        except (ValueError, KeyError, TypeError):
            continue
    return [steps[s] for s in sorted(steps)]


def take_points(metrics: list[dict], key: str) -> list[tuple[float, float]]:
    return [(m["step"], m[key]) for m in metrics if is_number(m.get(key))]


def smooth_points(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Centred moving mean over a twentieth of the run: it does not lag behind the raw line."""
    values = np.array([y for _, y in points])
    half = max(len(values) // 40, 1)
    return [(x, float(values[max(i - half, 0):i + half + 1].mean())) for i, (x, _) in enumerate(points)]


def thin_points(points: list[tuple[float, float]], most: int = 500) -> list[tuple[float, float]]:
    return points if len(points) <= most else [points[i] for i in np.linspace(0, len(points) - 1, most).astype(int)]


def make_stage(name: str, train_dir: Path) -> str:
    """One stage: loss, audio gain, and its throughput in a line."""
    metrics = read_metrics(train_dir)
    loss, dev, gain = (take_points(metrics, key) for key in ("loss", "dev_loss", "audio_gain"))
    if not (loss or dev or gain):
        return f"<figure><figcaption>{escape_text(name)}</figcaption>" + say(
            f"{name} has left no readable metrics.jsonl, so there are no curves of it.") + "</figure>"
    parts = []
    if loss or dev:
        smooth = smooth_points(loss)
        series = [Series(name="train, each report", css="raw", points=thin_points(loss)),
                  Series(name="train", css="train", points=thin_points(smooth)),
                  Series(name="dev", css="dev", points=dev, has_dots=True)]
        svg = draw_lines([s for s in series if s.points], roof=max(y for _, y in [*smooth, *dev]),
                         label=f"{name}: train and dev loss over steps")
        parts.append(f"<h4>Loss, nats an answer token</h4>{wrap_chart(svg)}")
    if gain:
        svg = draw_lines([Series(name="audio gain", css="gain", points=gain, has_dots=True)],
                         label=f"{name}: audio gain over steps")
        parts.append(f"<h4>Audio gain, nats an answer token</h4>{wrap_chart(svg)}")
    return (f"<figure><figcaption>{escape_text(name)}</figcaption>{describe_stage(metrics, dev, gain)}"
            f'{"".join(parts)}</figure>')


def describe_stage(metrics: list[dict], dev: list, gain: list) -> str:
    facts = [f"{metrics[-1]['step']:,} steps"]
    for key, write in (("tokens_per_second", "{:,.0f} tokens/s"), ("examples_per_second", "{:,.0f} examples/s"),
                       ("token_efficiency", "{:.0%} useful tokens")):
        values = [y for _, y in take_points(metrics, key)]
        if values:
            facts.append(write.format(float(np.median(values))))
    facts += [f"last dev loss {dev[-1][1]:.3f}"] if dev else []
    facts += [f"last audio gain {gain[-1][1]:+.2f}".replace("-", "−")] if gain else []
    return f'<p class="note">{escape_text(" · ".join(facts))}</p>'


def make_curves_section(train_dirs: dict[str, Path]) -> str:
    legend = make_legend([("raw", "train, as reported"), ("train", "train, smoothed"), ("dev", "dev"),
                          ("gain", "audio gain")])
    stages = "".join(make_stage(name, Path(folder)) for name, folder in train_dirs.items())
    parts = [legend, f'<div class="pair even">{stages}</div>' if stages else say("No training folder was given.")]
    return wrap_section("training", "Learning", "Training and dev loss of each stage, and whether the model listens: "
                        "the audio gain is what the right audio is worth to it.", *parts)
