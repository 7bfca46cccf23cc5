"""How the model learned, as a section of the report.

train_dirs/<stage>/metrics.jsonl ─► {step: {"loss": …, "dev_loss": …, "audio_gain": …}} ─► loss and gain over steps
"""

import json
from pathlib import Path

import numpy as np

from sift_jax.evaluation.report.charts import Series, draw_lines
from sift_jax.evaluation.report.number_format import is_number, minus, name_title
from sift_jax.pages.document import Drawing, Section, make_legend, say, wrap_chart
from sift_jax.pages.markup import escape_markdown, escape_text


def read_metrics(train_dir: Path) -> list[dict]:
    """Lines of metrics.jsonl merged by step; a line torn by a kill is passed over, a step run twice
    counts once."""
    steps: dict[int, dict] = {}
    path = Path(train_dir) / "metrics.jsonl"
    for line in (
        path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    ):
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
    return [
        (x, float(values[max(i - half, 0) : i + half + 1].mean()))
        for i, (x, _) in enumerate(points)
    ]


def thin_points(points: list[tuple[float, float]], most: int = 500) -> list[tuple[float, float]]:
    return (
        points
        if len(points) <= most
        else [points[i] for i in np.linspace(0, len(points) - 1, most).astype(int)]
    )


def make_stage(name: str, train_dir: Path) -> str:
    """One stage: loss, audio gain, and its throughput in a line."""
    metrics = read_metrics(train_dir)
    loss, dev, gain = (take_points(metrics, key) for key in ("loss", "dev_loss", "audio_gain"))
    if not (loss or dev or gain):
        return (
            f"<figure><figcaption>{escape_text(name_title(name))}</figcaption>"
            + say(f"{name} has left no readable metrics.jsonl, so there are no curves of it.")
            + "</figure>"
        )
    parts = []
    if loss or dev:
        smooth = smooth_points(loss)
        series = [
            Series(name="train, each report", css="raw", points=thin_points(loss)),
            Series(name="train", css="train", points=thin_points(smooth)),
            Series(name="dev", css="dev", points=dev, has_dots=True),
        ]
        svg = draw_lines(
            [s for s in series if s.points],
            roof=max(y for _, y in [*smooth, *dev]),
            label=f"{name}: train and dev loss over steps",
        )
        parts.append(f"<h4>Loss, nats per answer token</h4>{wrap_chart(svg)}")
    if gain:
        svg = draw_lines(
            [Series(name="audio gain", css="gain", points=gain, has_dots=True)],
            label=f"{name}: audio gain over steps",
        )
        parts.append(f"<h4>Audio gain, nats per answer token</h4>{wrap_chart(svg)}")
    facts = escape_text(describe_stage(metrics))
    return (
        f"<figure><figcaption>{escape_text(name_title(name))}</figcaption>"
        f'<p class="note">{facts}</p>{"".join(parts)}</figure>'
    )


def describe_stage(metrics: list[dict]) -> str:
    if not metrics:
        return "no readable metrics.jsonl"
    facts = [f"{metrics[-1]['step']:,} steps"]
    for key, write in (
        ("tokens_per_second", "{:,.0f} tokens/s"),
        ("examples_per_second", "{:,.0f} examples/s"),
        ("token_efficiency", "{:.0%} useful tokens"),
    ):
        values = [y for _, y in take_points(metrics, key)]
        if values:
            facts.append(write.format(float(np.median(values))))
    dev, gain = (take_points(metrics, key) for key in ("dev_loss", "audio_gain"))
    facts += [f"last dev loss {dev[-1][1]:.3f}"] if dev else []
    facts += [minus(f"last audio gain {gain[-1][1]:+.2f}")] if gain else []
    return " · ".join(facts)


def make_training_section(train_dirs: dict[str, Path]) -> Section:
    legend = make_legend(
        [
            ("raw", "train, as reported"),
            ("train", "train, smoothed"),
            ("dev", "dev"),
            ("gain", "audio gain"),
        ]
    )
    stages = "".join(make_stage(name, Path(folder)) for name, folder in train_dirs.items())
    lines = [
        (
            f"* {escape_markdown(name_title(name))}: "
            f"{escape_markdown(describe_stage(read_metrics(Path(folder))))}"
        )
        for name, folder in train_dirs.items()
    ]
    return Section(
        anchor="training",
        title="Learning",
        lead="Training and dev loss of each stage, and whether the model listens: the audio gain "
        "is what the right audio is worth to it.",
        parts=[
            Drawing(
                html=f'{legend}<div class="pair even">{stages}</div>', markdown="\n".join(lines)
            )
        ],
    )
