"""MSP-Podcast: emotions as people heard them in podcasts, English.

sift_jax/corpora/msp_podcast.py has the layout. Its parts are test1 and test2, as in the SIFT paper;
test3 and development may be asked for. Officially eight classes to choose from; where people did
not agree (X), or heard another emotion (O), nothing is asked. By the SIFT paper's protocol all
segments are asked, test1 30,647 and test2 14,815, without choices, and a judge says right or wrong;
what that paper holds to be right for X and O is not public, and that no emotion, or another one,
was agreed on is our reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sift_jax.corpora.msp_podcast import AUDIO_FOLDERS, COLUMNS, EMOTIONS, LABELS
from sift_jax.evaluation.scores.schema import EvaluationError, Suite
from sift_jax.evaluation.suites.prompts import Prompts, word_prompt
from sift_jax.evaluation.suites.protocols import OFFICIAL
from sift_jax.evaluation.suites.row_files import find_file, find_folder, read_table
from sift_jax.evaluation.suites.suite_builder import Gathering

SUBSETS = ("test1", "test2")
_UNNAMED = {"X": "no agreed emotion", "O": "another emotion"}


def read_msp_podcast(
    root: Path,
    *,
    name: str = "msp_podcast",
    subsets: Sequence[str] = SUBSETS,
    prompts: Prompts,
    protocol: str = OFFICIAL,
) -> Suite:
    gathering = Gathering(name)
    path = find_file(root, LABELS, "labels of MSP-Podcast")
    audio = find_folder(root, AUDIO_FOLDERS, "MSP-Podcast's recordings")
    if is_official := protocol == OFFICIAL:
        known, labels = EMOTIONS, tuple(EMOTIONS.values())
        question = word_prompt(prompts, "emotion", "en", labels=", ".join(labels))
    else:
        known, labels, question = (
            {**EMOTIONS, **_UNNAMED},
            (),
            word_prompt(prompts, "emotion_free", "en"),
        )
    found = set()
    for _, row in read_table(path, COLUMNS, gathering, "", separator=",", has_quotes=True):
        subset, letter = row["Split_Set"].strip().lower(), row["EmoClass"].strip()
        found.add(subset)
        if subset not in subsets:
            continue
        own_id = row["FileName"].removesuffix(".wav")
        if letter not in known:
            named = f"{_UNNAMED[letter]} ({letter})" if letter in _UNNAMED else ""
            reason = named or f"label {letter!r} is not one of {', '.join(EMOTIONS)}"
            gathering.leave(own_id, subset, reason)
            continue
        gathering.ask(
            own_id,
            subset=subset,
            language="en",
            audio=[audio / row["FileName"]],
            question=question,
            references=[known[letter]],
            labels=labels,
            metrics=["accuracy" if is_official else "judge_closed"],
        )
    if missing := [subset for subset in subsets if subset not in found]:
        raise EvaluationError(
            f"{path}: no {' and no '.join(missing)} in Split_Set; it has {', '.join(sorted(found))}"
        )
    return gathering.finish()
