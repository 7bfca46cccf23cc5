"""The released SIFT-50M in figures (arXiv 2504.09081, table 2), to set a dataset beside it.

category ─► rows of {"train", "dev", "EvalSIFT"}
"""

from collections.abc import Mapping

from data_prep.corpora.splits import DEV, EVALUATION, TRAIN

PAPER_ROWS: dict[str, dict[str, int]] = {
    category: dict(zip((TRAIN, DEV, EVALUATION), rows, strict=True))
    for category, rows in {
        "closed_ended/acoustic_level": (17_800_000, 100_000, 2_500),
        "closed_ended/content_level": (14_500_000, 80_000, 2_500),
        "closed_ended/word_align": (9_800_000, 40_000, 2_500),
        "closed_ended/comparison": (3_600_000, 100_000, 2_500),
        "open_ended": (4_300_000, 100_000, 10_000),
        "controllable_generation": (5_600_000, 50_000, 10_000),
    }.items()
}
PAPER_HOURS = 14_000
# Controllable generation, ten runs: units ─► key ─► (MAE in class steps, QWK).
PAPER_OBEDIENCE: dict[str, dict[str, tuple[float, float]]] = {
    "HuBERT": {
        "pitch_variation": (0.99, 0.15),
        "speaking_rate": (0.65, 0.46),
        "average_intensity": (0.18, 0.02),
    },
    "X-codec2": {
        "pitch_variation": (0.50, 0.69),
        "speaking_rate": (0.24, 0.73),
        "average_intensity": (0.11, 0.67),
    },
}


def share_rows(counts: Mapping[str, int]) -> dict[str, float]:
    """Of the paper's categories alone, what share of their rows each has."""
    total = sum(counts.get(category, 0) for category in PAPER_ROWS)
    return {category: counts.get(category, 0) / total if total else 0.0 for category in PAPER_ROWS}
