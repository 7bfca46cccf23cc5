"""LibriSpeech: read English, word error rate after Whisper's normaliser.

    LibriSpeech/{test-clean,test-other}/1089/134686/1089-134686.trans.txt      1089-134686-0000 HE HOPED THERE …
    LibriSpeech/{test-clean,test-other}/1089/134686/1089-134686-0000.flac

The layout is that of OpenSLR 12. Its parts are test_clean and test_other; dev_clean and dev_other
may be asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sift_jax.evaluation.scores.schema import Suite
from sift_jax.evaluation.suites.prompts import Prompts, word_prompt
from sift_jax.evaluation.suites.row_files import find_folder, read_lines
from sift_jax.evaluation.suites.suite_builder import Gathering

SUBSETS = ("test_clean", "test_other")


def read_librispeech(
    root: Path, *, name: str = "librispeech", subsets: Sequence[str] = SUBSETS, prompts: Prompts
) -> Suite:
    gathering = Gathering(name)
    question = word_prompt(prompts, "asr", "en")
    for subset in subsets:
        part = subset.replace("_", "-")
        folder = find_folder(root, [f"LibriSpeech/{part}", part], f"LibriSpeech's {part}")
        for path in sorted(folder.glob("*/*/*.trans.txt")):
            for _, line in read_lines(path):
                own_id, _, transcript = line.partition(" ")
                gathering.ask(
                    own_id,
                    subset=part.replace("-", "_"),
                    language="en",
                    audio=[path.parent / f"{own_id}.flac"],
                    question=question,
                    references=[transcript.lower()],
                    metrics=["wer"],
                )
    return gathering.finish()
