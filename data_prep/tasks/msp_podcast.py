"""The emotions of MSP-Podcast as a task: what data_prep.corpora.msp_podcast reads, for which no
words are needed.

Where people did not agree, or heard something that has no name (X and O), nothing is asked.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.corpora.msp_podcast import Row, make_clip, read_labels
from data_prep.corpora.recording import check_id
from data_prep.tasks.example import Example, Found
from sift_jax.corpora.bad_item import BadItem
from sift_jax.corpora.msp_podcast import EMOTIONS


def read_msp_podcast(root: Path, languages: Sequence[str]) -> Iterator[Found]:
    """Every clip that has one emotion."""
    if "en" in languages:
        yield from read_labels(root, _make_example)


def _make_example(row: Row, audio: Path) -> Example:
    emotion = EMOTIONS.get((row["EmoClass"] or "").strip())
    if emotion is None:
        identity = check_id(f"msp_{(row['FileName'] or '').removesuffix('.wav')}")
        raise BadItem("no agreed emotion", str(row["EmoClass"])[:40], identity)
    return Example(emotion=emotion, recording=make_clip(row, audio))
