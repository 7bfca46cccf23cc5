"""Words and numbers of the report: what a key is called, how a figure is written.

    "word_align" ─► "Word level"        0.6214 ─► "62.1 %"        nan, None ─► "–"        "<b>" ─► "&lt;b&gt;"

Every text that comes from data or from a model passes `escape_text` before it meets the page.
"""

import html
import math
import re
from typing import Any

from sift_jax.data.labels import LANGUAGE_NAMES

CLOSED_CATEGORIES = ("acoustic_level", "content_level", "word_align", "comparison")
TITLES = {
    "acoustic_level": "Acoustic", "content_level": "Content", "word_align": "Word level", "comparison": "Comparison",
    "mean": "Mean of four", "closed_ended": "Closed-ended", "open_ended": "Open-ended",
    "controllable_generation": "Generation", "train": "Training", "dev": "Dev", "EvalSIFT": "EvalSIFT",
    **LANGUAGE_NAMES,
}
UNITS = {
    "average_pitch": ("Hz", 0), "pitch_variation": ("Hz", 0), "speaking_rate": ("phonemes/s", 1),
    "average_intensity": ("dB", 0), "noise_level": ("dB SNR", 0), "reverberation": ("dB C50", 0),
}
SYSTEMS = (("model", "Model"), ("majority", "Majority answer"), ("untrained", "Untrained model"))
MISSING = "–"


def escape_text(value: Any) -> str:
    return html.escape(str(value), quote=True)


def name_title(key: str) -> str:
    """The human name of a key: a known one, or the key itself with spaces ("stage1" is "Stage 1")."""
    last = key.rsplit("/", 1)[-1]
    return TITLES.get(last) or re.sub(r"(?<=[a-z])(?=\d)", " ", last.replace("_", " ")).capitalize()


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def format_percent(value: Any) -> str:
    return f"{100 * value:.1f} %" if is_number(value) else MISSING


def format_number(value: Any, digits: int = 2) -> str:
    return f"{value:,.{digits}f}" if is_number(value) else MISSING


def format_count(value: Any) -> str:
    return f"{round(value):,}" if is_number(value) else MISSING


def format_points(model: Any, baseline: Any, digits: int = 0) -> str:
    """The signed distance of two shares in percentage points."""
    if not (is_number(model) and is_number(baseline)):
        return MISSING
    return f"{100 * (model - baseline):+.{digits}f}".replace("-", "−")


def format_seconds(value: Any) -> str:
    if not is_number(value):
        return MISSING
    return f"{value / 60:.1f} min" if value >= 90 else f"{value:.0f} s"


def format_measure(key: str, value: Any) -> str:
    """A measured value with its unit: ("average_pitch", 187.2) ─► "187 Hz"."""
    unit, digits = UNITS.get(key, ("", 2))
    return f"{format_number(value, digits)} {unit}".strip().replace("-", "−")


def read_score(entry: dict, system: str) -> Any:
    """The figure of one system: accuracy where the answer is right or wrong, score where a judge grades 0 to 10."""
    if system == "model":
        return entry.get("accuracy", entry.get("score"))
    return entry.get(system)


def format_score(entry: dict, system: str) -> str:
    value = read_score(entry, system)
    return format_number(value, 1) if "score" in entry else format_percent(value)
