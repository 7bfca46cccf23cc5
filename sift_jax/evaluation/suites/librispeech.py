"""LibriSpeech: read English, word error rate after Whisper's normaliser.

sift_jax/corpora/librispeech.py has the layout. Its parts are test_clean and test_other; dev_clean
and dev_other may be asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sift_jax.corpora.librispeech import list_transcripts, parse_line
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
        for path in list_transcripts(folder):
            for _, line in read_lines(path):
                own_id, file, transcript = parse_line(line)
                gathering.ask(
                    own_id,
                    subset=part.replace("-", "_"),
                    language="en",
                    audio=[path.parent / file],
                    question=question,
                    references=[transcript],
                    metrics=["wer"],
                )
    return gathering.finish()
