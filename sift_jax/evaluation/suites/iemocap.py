"""IEMOCAP: emotions of ten actors in five sessions, English.

sift_jax/corpora/iemocap.py has the layout. Four classes, as is the custom with this corpus: angry,
happy with excited, sad, neutral (5,531 turns in all sessions); other turns are skipped. A part is
a session. Which is asked, where none is named, is our choice: the fifth.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sift_jax.corpora.iemocap import (
    AUDIO,
    EMOTIONS,
    LABELS,
    RELEASE,
    list_dialogues,
    name_audio,
    parse_turn,
)
from sift_jax.evaluation.scores.schema import Suite
from sift_jax.evaluation.suites.prompts import Prompts, word_prompt
from sift_jax.evaluation.suites.row_files import find_folder, read_lines
from sift_jax.evaluation.suites.suite_builder import Gathering

SUBSETS = ("Session5",)
_CLASSES = {"ang": "angry", "hap": "happy", "exc": "happy", "sad": "sad", "neu": "neutral"}
_OTHERS = {**EMOTIONS, "oth": "another emotion", "xxx": "no agreed emotion"}


def read_iemocap(
    root: Path, *, name: str = "iemocap", subsets: Sequence[str] = SUBSETS, prompts: Prompts
) -> Suite:
    gathering = Gathering(name)
    labels = tuple(dict.fromkeys(_CLASSES.values()))
    question = word_prompt(prompts, "emotion", "en", labels=", ".join(labels))
    for subset in subsets:
        session = find_folder(root, [subset, f"{RELEASE}/{subset}"], f"{subset} of IEMOCAP")
        labelled = find_folder(session, [LABELS], "labels")
        audio = find_folder(session, [AUDIO], "recordings of turns")
        for path in list_dialogues(labelled):
            for _, line in read_lines(path):
                if not (turn := parse_turn(line)):
                    continue
                own_id, code = turn
                if code not in _CLASSES:
                    reason = _OTHERS.get(code)
                    reason = (
                        f"{reason} ({code})"
                        if reason
                        else f"label {code!r} is not one of the corpus"
                    )
                    gathering.leave(own_id, subset, reason)
                    continue
                gathering.ask(
                    own_id,
                    subset=subset,
                    language="en",
                    audio=[audio / name_audio(path.stem, own_id)],
                    question=question,
                    references=[_CLASSES[code]],
                    labels=labels,
                    metrics=["accuracy"],
                    facets={"dialogue": "improvised" if "impro" in path.stem else "scripted"},
                )
    return gathering.finish()
