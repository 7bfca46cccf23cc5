"""Questions as boards show them: a text for each, and its recordings.

dev/<task>/1/text        the prompt as the model is given it, and the reference
dev/<task>/1/recording   what is heard; of several recording_1, recording_2
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from sift_jax.data.dev_samples import DevSample


@dataclasses.dataclass(frozen=True, kw_only=True)
class Samples:
    """Texts in Markdown and float32 samples at 16 kHz, by their tags."""

    texts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    audios: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


def write_table(rows: Iterable[tuple[str, str]]) -> str:
    """Markdown of two columns; a text stays a text."""
    lines = [f"| {_escape(name)} | {_escape(text)} |" for name, text in rows]
    return "\n".join(["| | |", "| --- | --- |", *lines])


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_\[\]|<>])", r"\\\1", text.replace("\n", "⏎"))


def name_recordings(tag: str, clips: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Recordings of a question by their tags."""
    if len(clips) == 1:
        return {f"{tag}/recording": clips[0]}
    return {f"{tag}/recording_{number}": clip for number, clip in enumerate(clips, 1)}


def make_samples(found: Sequence[DevSample]) -> Samples:
    """What a run shows of its dev set before the first step."""
    texts: dict[str, str] = {}
    audios: dict[str, np.ndarray] = {}
    for sample in found:
        tag = f"dev/{sample.task}/{sample.number}"
        texts[f"{tag}/text"] = write_table(
            [("prompt", sample.prompt), ("reference", sample.reference)]
        )
        audios |= name_recordings(tag, sample.clips)
    return Samples(texts=texts, audios=audios)
