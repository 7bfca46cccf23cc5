"""The report of a run: one self-contained HTML page, and the same headline as text for a terminal.

    data_dir/{report.json, metadata.jsonl, audio/}, train_dirs, results, predictions ─► write_report ─► report.html
    results ─► format_summary ─► a table of model, majority answer, untrained model, n

The page holds its style, charts and recordings; it loads nothing and runs no script.
"""

import json
from pathlib import Path

from sift_jax.evaluation.report_corpus import make_corpus_section
from sift_jax.evaluation.report_format import (
    SYSTEMS,
    escape_text,
    format_count,
    format_score,
    format_seconds,
    is_number,
    name_title,
)
from sift_jax.evaluation.report_samples import AudioShelf, make_samples_section
from sift_jax.evaluation.report_sections import (
    make_curves_section,
    make_evalsift_section,
    make_headline,
    make_verdict,
    order_closed,
)

STYLE_PATH = Path(__file__).with_name("report.css")
SECTIONS = (("evalsift", "EvalSIFT"), ("training", "Learning"), ("samples", "Samples"), ("data", "The data"))


def write_report(out_path: Path, *, data_dir: Path, train_dirs: dict[str, Path], results: dict,
                 predictions: list[dict]) -> Path:
    """Writes the page whole or not at all: a reader never meets half of it."""
    out_path, data_dir = Path(out_path), Path(data_dir)
    corpus, shelf = read_corpus(data_dir), AudioShelf(data_dir)
    body = "".join([
        make_header(results), make_headline(results, corpus), make_evalsift_section(results),
        make_curves_section(train_dirs), make_samples_section(predictions, data_dir, shelf),
        make_corpus_section(corpus, data_dir, shelf), make_footer(results),
    ])
    page = (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
            f'content="width=device-width, initial-scale=1"><title>sift_jax report</title>'
            f'<style>{STYLE_PATH.read_text(encoding="utf-8")}</style></head><body><main>{body}</main></body></html>\n')
    out_path.parent.mkdir(parents=True, exist_ok=True)
    partial = out_path.with_name(out_path.name + ".partial")
    partial.write_text(page, encoding="utf-8")
    partial.replace(out_path)
    return out_path


def read_corpus(data_dir: Path) -> dict:
    """The data's report.json, or nothing: the page then says that it is missing."""
    try:
        corpus = json.loads((data_dir / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return corpus if isinstance(corpus, dict) else {}


def make_header(results: dict) -> str:
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title in SECTIONS)
    return (f'<header class="page"><h1>sift_jax</h1><nav aria-label="Sections">{links}</nav></header>'
            '<p class="intro">A speech language model, taught by instruction, then questioned about recordings that '
            f"were kept apart from its training.</p>{make_verdict(results)}")


def make_footer(results: dict) -> str:
    """Which weights were evaluated, and how large they are."""
    facts = [f"{name_title(k)} {format_count(v)}" for k, v in results.get("parameters", {}).items() if is_number(v)]
    parts = [f"Checkpoint {results['checkpoint']}" if results.get("checkpoint") else "",
             f"step {results['step']:,}" if is_number(results.get("step")) else "",
             f"parameters: {', '.join(facts)}" if facts else ""]
    return f'<footer>{escape_text(" · ".join(p for p in parts if p))}</footer>'


def format_summary(results: dict) -> str:
    """The headline figures as a table for a terminal."""
    evalsift = results.get("evalsift", {})
    rows = [("EvalSIFT", [title for _, title in SYSTEMS], "n")]
    entries = order_closed(results)
    if "mean" in evalsift.get("closed_ended", {}):
        entries.append(("mean", evalsift["closed_ended"]["mean"]))
    if "open_ended" in evalsift:
        entries.append(("open_ended", evalsift["open_ended"]))
    for name, entry in entries:
        title = f"{name_title(name)}, of 10" if "score" in entry else name_title(name)
        rows.append((title, [format_score(entry, system) for system, _ in SYSTEMS], format_count(entry.get("n"))))
    if not entries:
        rows.append(("no results yet", ["–"] * len(SYSTEMS), "–"))
    lines = [f"{title:<20}" + "".join(f"{v:>18}" for v in values) + f"{n:>9}" for title, values, n in rows]
    lines.insert(1, "─" * len(lines[0]))
    gain, seconds = results.get("audio_gain"), results.get("seconds", {})
    if is_number(gain):
        lines.append(f"{'Audio gain':<20}{f'{gain:+.2f} nats':>18}")
    if seconds:
        times = [f"{name_title(k)} {format_seconds(v)}" for k, v in seconds.items()]
        total = format_seconds(sum(v for v in seconds.values() if is_number(v)))
        lines.append(f"{'Time':<20}{total:>18}  ({', '.join(times)})")
    if results.get("checkpoint"):
        lines.append(f"{'Checkpoint':<20}  {results['checkpoint']}")
    return "\n".join(lines)
