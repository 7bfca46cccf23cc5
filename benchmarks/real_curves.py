"""The curves of training runs as files to publish: figures by step as JSON, and a picture.

runs/stage1/metrics.jsonl ─┐
runs/stage2/metrics.jsonl ─┴─► out/stage1.json, out/stage2.json, out/curves.svg, and tables on the terminal

python -m benchmarks.real_curves --run=stage1=runs/stage1 --run=stage2=runs/stage2 --out=curves
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sift_jax.evaluation.report.charts import Series, draw_lines
from sift_jax.evaluation.report.training_section import smooth_points, thin_points
from sift_jax.pages.markup import escape_text
from sift_jax.storage.whole_files import write_whole

_DEV = ("dev_loss", "audio_gain")
_WIDTH, _HEIGHT = 420.0, 240.0
# Read on a light page and on a dark one; classes as in the reports' pages.
_STYLE = """
text { font-family: system-ui, sans-serif; font-size: 12.5px; fill: #3f4852; }
.axis { fill: #59636e; font-size: 11.5px; } .title { font-weight: 600; }
.grid { stroke: #e3e4e0; } .base { stroke: #59636e; }
.line { fill: none; stroke-width: 2; }
.raw { stroke: #2456c9; opacity: .3; stroke-width: 1; } .train { stroke: #2456c9; }
.line.dev { stroke: #b8500f; } .dot.dev { fill: #b8500f; }
.line.gain { stroke: #12735a; } .dot.gain { fill: #12735a; }
"""


def read_run(folder: Path) -> dict[str, Any]:
    """What a run's metrics say by step: the training loss, and at the steps of the dev split its
    loss and audio gain, over all and by task."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    dev = [
        {key: row[key] for key in row if key == "step" or key.startswith(_DEV)}
        for row in rows
        if "dev_loss" in row
    ]
    return {"loss": [(row["step"], row["loss"]) for row in rows if "loss" in row], "dev": dev}


def list_table(run: Mapping[str, Any]) -> list[str]:
    """A Markdown table of the dev split."""
    lines = ["| step | dev loss | audio gain |", "| --- | --- | --- |"]
    for row in run["dev"]:
        lines.append(f"| {row['step']:,} | {row['dev_loss']:.2f} | {row['audio_gain']:+.2f} |")
    return lines


def draw_runs(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """A row of two charts for each run: loss, audio gain."""
    body, height = [], (_HEIGHT + 30) * len(runs)
    for place, (name, run) in enumerate(runs.items()):
        top = place * (_HEIGHT + 30)
        dev, gain = ([(row["step"], row[key]) for row in run["dev"]] for key in _DEV)
        loss = [(step, value) for step, value in run["loss"]]
        smooth = smooth_points(loss)
        losses = [
            Series(name="train, each report", css="raw", points=thin_points(loss)),
            Series(name="train", css="train", points=thin_points(smooth)),
            Series(name="dev", css="dev", points=dev, has_dots=True),
        ]
        roof = max(value for _, value in [*smooth, *dev])
        charts = [
            (
                f"{name}: loss (blue: train, orange: dev)",
                draw_lines(losses, label="loss", roof=roof),
            )
        ]
        if gain:
            series = [Series(name="audio gain", css="gain", points=gain, has_dots=True)]
            charts.append((f"{name}: audio gain", draw_lines(series, label="audio gain")))
        for column, (title, chart) in enumerate(charts):
            left = column * (_WIDTH + 60)
            body.append(
                f'<text x="{left + 44:g}" y="{top + 16:g}" class="title">{escape_text(title)}</text>'
            )
            body.append(
                chart.replace(
                    "<svg ", f'<svg x="{left:g}" y="{top + 24:g}" height="{_HEIGHT:g}" ', 1
                )
            )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * _WIDTH + 100:g} {height:g}">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fbfcfc"/>{"".join(body)}</svg>\n'
    )


def _take_run(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: give NAME=FOLDER")
    return name, Path(folder)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--run", type=_take_run, action="append", required=True, help="NAME=FOLDER; more than once"
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder of the files")
    flags = parser.parse_args(argv)
    runs = {name: read_run(folder) for name, folder in flags.run}
    flags.out.mkdir(parents=True, exist_ok=True)
    for name, run in runs.items():
        write_whole(flags.out / f"{name}.json", json.dumps(run) + "\n")
        print(name, *list_table(run), sep="\n")
    write_whole(flags.out / "curves.svg", draw_runs(runs))


if __name__ == "__main__":
    main()
