"""Whether what was to be said can be understood: word and letter error rates of what a recogniser
heard.

    text "Rain falls softly.", said "rain fall softly"  ─►  wer [1 error, 3 words]   cer [1 error, 17 letters]

By jiwer after Whisper's normaliser, as in the evaluation of answers. A silent recording has every
word wrong.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from data_prep.generation.figures import Cell, make_cell
from data_prep.generation.spoken_folder import Spoken
from sift_jax.evaluation.scores.bootstrap import (
    BootstrapConfig,
    find_interval,
    make_generator,
    resample,
)
from sift_jax.evaluation.scores.schema import Item

KEY = "words"


def make_rate(sums: np.ndarray) -> np.ndarray:
    """Errors of words."""
    return np.where(sums[..., 1] > 0, sums[..., 0] / np.maximum(sums[..., 1], 1), np.nan)


def score_words(
    system: str,
    language: str,
    lines: Sequence[Spoken],
    rows: Sequence[dict[str, Any]],
    bootstrap: BootstrapConfig,
) -> list[Cell]:
    """Of all recordings of which a recogniser said something; `missing` are those whose language it
    does not know."""
    from sift_jax.evaluation.scores.text import count_letter_errors, count_word_errors

    samples = sorted({line.sample for line in lines})
    texts = list(dict.fromkeys(line.request.text for line in lines))
    run_of, text_of = (
        {name: place for place, name in enumerate(names)} for names in (samples, texts)
    )
    cells = []
    for metric, count in (("wer", count_word_errors), ("cer", count_letter_errors)):
        counts, n = np.zeros((len(samples), len(texts), 2)), 0
        for line, row in zip(lines, rows, strict=True):
            if row["said"] is not None:
                counts[run_of[line.sample], text_of[line.request.text]] += count(
                    _make_item(line, metric), row["said"]
                )
                n += 1
        if not n:
            return []
        rng = make_generator(bootstrap.seed, f"{system}/{language}/{metric}")
        low, high = (
            find_interval(
                resample(list(counts), make_rate, rng, bootstrap.samples), bootstrap.confidence
            )
            if bootstrap.samples
            else (None, None)
        )
        cells.append(
            make_cell(
                system=system,
                language=language,
                key=KEY,
                metric=metric,
                figures=make_rate(counts.sum(axis=1)),
                low=low,
                high=high,
                n=n,
                of=len(lines),
                missing={"not heard by the recogniser": len(lines) - n} if n < len(lines) else {},
            )
        )
    return cells


def _make_item(line: Spoken, metric: str) -> Item:
    return Item(
        id=line.request.id,
        suite="generation",
        subset="",
        language=line.request.language,
        messages=(),
        references=(line.request.text,),
        metrics=(metric,),
    )
