"""IEMOCAP: emotions of ten actors in five sessions, English.

    {IEMOCAP_full_release/,}Session5/dialog/EmoEvaluation/Ses05F_impro01.txt
        [6.2901 - 8.2357] ⇥ Ses05F_impro01_F000 ⇥ neu ⇥ [2.5000, 2.5000, 2.5000]    other lines: each person's opinion
    {IEMOCAP_full_release/,}Session5/sentences/wav/Ses05F_impro01/Ses05F_impro01_F000.wav

The layout is that of the full release. Four classes, as is the custom with this corpus: angry,
happy with excited, sad, neutral (5,531 turns in all sessions); other turns are skipped. A part is
a session. Which is asked, where none is named, is our choice: the fifth.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sift_jax.evaluation.scores.schema import Suite
from sift_jax.evaluation.suites.prompts import Prompts, word_prompt
from sift_jax.evaluation.suites.row_files import find_folder, read_lines
from sift_jax.evaluation.suites.suite_builder import Gathering

SUBSETS = ("Session5",)
EMOTIONS = {"ang": "angry", "hap": "happy", "exc": "happy", "sad": "sad", "neu": "neutral"}
_OTHERS = {
    "fru": "frustrated",
    "fea": "afraid",
    "sur": "surprised",
    "dis": "disgusted",
    "oth": "another emotion",
    "xxx": "no agreed emotion",
}
_TURN = re.compile(r"\[[\d.]+ - [\d.]+\]\t(\S+)\t(\S+)\t")


def read_iemocap(
    root: Path, *, name: str = "iemocap", subsets: Sequence[str] = SUBSETS, prompts: Prompts
) -> Suite:
    gathering = Gathering(name)
    labels = tuple(dict.fromkeys(EMOTIONS.values()))
    question = word_prompt(prompts, "emotion", "en", labels=", ".join(labels))
    for subset in subsets:
        session = find_folder(
            root, [subset, f"IEMOCAP_full_release/{subset}"], f"{subset} of IEMOCAP"
        )
        labelled = find_folder(session, ["dialog/EmoEvaluation"], "labels")
        audio = find_folder(session, ["sentences/wav"], "recordings of turns")
        # Files that macOS' archives leave begin with a dot.
        for path in sorted(
            path for path in labelled.glob("*.txt") if not path.name.startswith(".")
        ):
            for _, line in read_lines(path):
                if not (turn := _TURN.match(line)):
                    continue
                own_id, code = turn.groups()
                if code not in EMOTIONS:
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
                    audio=[audio / path.stem / f"{own_id}.wav"],
                    question=question,
                    references=[EMOTIONS[code]],
                    labels=labels,
                    metrics=["accuracy"],
                    facets={"dialogue": "improvised" if "impro" in path.stem else "scripted"},
                )
    return gathering.finish()
