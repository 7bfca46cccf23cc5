"""Words and numbers of the pages: what a key is called, how a figure is written.

    "word_align" ─► "Word level"     ("wer", 0.0621) ─► "6.2 %"     nan, None ─► "–"     "<b>" ─► "&lt;b&gt;"

Every text that comes from data or from a model passes `escape_text` before it meets a page, and
`escape_markdown` before it meets a Markdown file.
"""

import dataclasses
import math
import re
from typing import Any, TypeGuard

from sift_jax.evaluation.scores.schema import (
    CONSTANT,
    MAJORITY,
    MODEL,
    TEXT_MODEL,
    UNTRAINED,
    Cell,
)
from sift_jax.sift.labels import LANGUAGE_NAMES
from sift_jax.sift.rows import CLOSED_CATEGORIES

TITLES = {
    "acoustic_level": "Acoustic",
    "content_level": "Content",
    "word_align": "Word level",
    "comparison": "Comparison",
    "closed_ended": "Closed-ended",
    "open_ended": "Open-ended",
    "controllable_generation": "Generation",
    "generation": "Controllable generation",
    "yes_no": "Yes or no",
    "train": "Training",
    "dev": "Dev",
    "evalsift": "EvalSIFT",
    "EvalSIFT": "EvalSIFT",
    "dynamic_superb": "Dynamic-SUPERB",
    "air_bench": "AIR-Bench Chat",
    "librispeech": "LibriSpeech",
    "fleurs": "FLEURS",
    "peoples_speech": "People’s Speech",
    "covost2": "CoVoST 2",
    "slurp": "SLURP",
    "msp_podcast": "MSP-Podcast",
    "iemocap": "IEMOCAP",
    "spoken_qa": "Spoken QA",
    "mmau": "MMAU",
    "voicebench": "VoiceBench",
    "alpacaeval": "AlpacaEval",
    "alpacaeval_full": "AlpacaEval (full)",
    "commoneval": "CommonEval",
    "wildvoice": "WildVoice",
    "sd-qa": "SD-QA",
    "mmsu": "MMSU",
    "openbookqa": "OpenBookQA",
    "bbh": "BBH",
    "ifeval": "IFEval",
    "advbench": "AdvBench",
    "jsonl": "Own questions",
    "speech_QA": "Speech",
    "speech_dialogue_QA": "Dialogue",
    **LANGUAGE_NAMES,
}
UNITS = {
    "average_pitch": ("Hz", 0),
    "pitch_variation": ("semitones", 1),
    "speaking_rate": ("phonemes/s", 1),
    "average_intensity": ("dB", 0),
    "noise_level": ("dB SNR", 0),
    "reverberation": ("dB C50", 0),
}
SYSTEM_TITLES = {
    MODEL: "Model",
    MAJORITY: "Majority-class baseline",
    CONSTANT: "Constant answer",
    UNTRAINED: "Untrained model",
    TEXT_MODEL: "Decoder on transcripts",
}
CLOSED_ORDER = {name: place for place, name in enumerate(CLOSED_CATEGORIES)}
MISSING = "–"
# metrics that a judge gives begin so
JUDGED = "judge_"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """How figures of one kind are written: a share times 100 with %, or as they are."""

    title: str
    # what a perfect or a full score is; 0 where there is no such
    top: float
    is_share: bool = False
    is_lower_better: bool = False
    # 1 or 0 for each item
    is_binary: bool = False
    digits: int = 1

    def write(self, value: Any) -> str:
        if not is_number(value):
            return MISSING
        return minus(
            f"{100 * value:.{self.digits}f} %" if self.is_share else f"{value:.{self.digits}f}"
        )

    def write_bare(self, value: Any) -> str:
        return self.write(value).removesuffix(" %")

    def write_interval(self, cell: Cell | None) -> str:
        if cell is None or not (is_number(cell.low) and is_number(cell.high)):
            return MISSING
        return f"{self.write_bare(cell.low)} to {self.write_bare(cell.high)}"

    def write_lead(self, value: float, other: float) -> str:
        """The distance in words: "25.7 points better"."""
        unit = " points" if self.is_share or self.top > 1 else ""
        better = "better" if self.is_ahead(value, other) else "worse"
        return f"{self.write_gap(max(value, other), min(value, other)).lstrip('+')}{unit} {better}"

    def is_ahead(self, value: float, other: float) -> bool:
        return value < other if self.is_lower_better else value > other

    def write_gap(self, value: Any, other: Any) -> str:
        """The signed distance of two figures, in percentage points where they are shares."""
        if not (is_number(value) and is_number(other)):
            return MISSING
        return minus(f"{(100 if self.is_share else 1) * (value - other):+.{self.digits}f}")


METRICS = {
    "wer": Metric(title="WER", top=1, is_share=True, is_lower_better=True),
    "cer": Metric(title="CER", top=1, is_share=True, is_lower_better=True),
    "bleu": Metric(title="BLEU", top=100),
    "chrf": Metric(title="chrF", top=100),
    "rouge_l": Metric(title="ROUGE-L", top=1, digits=3),
    "accuracy": Metric(title="Accuracy", top=1, is_share=True, is_binary=True),
    "exact_match": Metric(title="Exact match", top=1, is_share=True, is_binary=True),
    "choice": Metric(title="Right choice", top=1, is_share=True, is_binary=True),
    "option": Metric(title="Right option", top=1, is_share=True, is_binary=True),
    "contains": Metric(title="Reference said", top=1, is_share=True, is_binary=True),
    "refused": Metric(title="Refused", top=1, is_share=True, is_binary=True),
    "ifeval": Metric(title="IFEval", top=1, is_share=True),
    "judge_closed": Metric(title="Judged right", top=1, is_share=True, is_binary=True),
    "judge_open": Metric(title="Judged, 0 to 10", top=10),
    "judge_air_bench": Metric(title="Judged, 1 to 10", top=10),
    "judge_spoken": Metric(title="Judged, 1 to 5", top=5),
    "qwk": Metric(title="QWK", top=1, digits=2),
    "mae": Metric(title="MAE", top=0, digits=2, is_lower_better=True),
    "slot_f1": Metric(title="Slot F1", top=1, is_share=True),
    "followed": Metric(title="Form followed", top=1, is_share=True, is_binary=True),
    "followed_right": Metric(title="Followed and right", top=1, is_share=True, is_binary=True),
}


def find_metric(name: str) -> Metric:
    """A user's own metric is written as it is."""
    return METRICS.get(name) or Metric(title=name_title(name), top=0, digits=3)


def minus(text: str) -> str:
    """A minus sign for the hyphen before a number; a zero has none."""
    return re.sub(r"-(?=\d)", "−", re.sub(r"-(?=0(\.0*)?( |$))", "", text))


def name_title(key: str) -> str:
    """The human name of a key: a known one, or the key itself with spaces ("stage1" is "Stage
    1")."""
    last = str(key).rsplit("/", 1)[-1]
    if last in TITLES:
        return TITLES[last]
    source, _, target = last.partition("_")
    if source in LANGUAGE_NAMES and target in LANGUAGE_NAMES:
        return f"{LANGUAGE_NAMES[source]} → {LANGUAGE_NAMES[target]}"
    spaced = re.sub(r"^([a-z_]+)(?=\d+$)", r"\1 ", last).replace("_", " ").replace("+", " + ")
    return spaced[:1].upper() + spaced[1:]


def name_system(system: str) -> str:
    return SYSTEM_TITLES.get(system) or name_title(system)


def name_subset(subset: str) -> str:
    return name_title(subset) if subset else "All"


def is_unanimous(metric: Metric, constant: Any) -> bool:
    """Whether one constant answer is right for all questions, so that they cannot tell a model that
    listens."""
    return metric.is_binary and is_number(constant) and constant >= metric.top


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def format_number(value: Any, digits: int = 2) -> str:
    return minus(f"{value:,.{digits}f}") if is_number(value) else MISSING


def format_count(value: Any) -> str:
    return f"{round(value):,}" if is_number(value) else MISSING


def format_seconds(value: Any) -> str:
    if not is_number(value):
        return MISSING
    return f"{value / 60:.1f} min" if value >= 90 else f"{value:.0f} s"


def format_measure(key: str, value: Any) -> str:
    """A measured value with its unit: ("average_pitch", 187.2) ─► "187 Hz"."""
    unit, digits = UNITS.get(key, ("", 2))
    return f"{format_number(value, digits)} {unit}".strip()
