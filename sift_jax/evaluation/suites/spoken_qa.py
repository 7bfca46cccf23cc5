"""The SALM paper's spoken question answering: Speech-MSMARCO and SpokenQA-LS, ROUGE-L.

    {speech_msmarco,spokenqa_ls}.jsonl        {"audio": "a.wav", "question": …, "answer": … | "references": [ …, …]}
    {speech_msmarco,spokenqa_ls}/{sift/,}EvalSIFT/open_ended/en/split0.jsonl  with  {…}/audio        or as SIFT files

Neither set is published: the first is MS MARCO's contexts read out by a synthesiser, the second
questions that an LLM wrote from LibriSpeech's transcripts. The layouts are therefore ours: rows as
those of one's own questions (`jsonl`), or SIFT files as data_prep writes them. A set is a part; one
that is not there is skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sift_jax.evaluation.scores.schema import EvaluationError, Suite
from sift_jax.evaluation.suites.evalsift import ask_sift
from sift_jax.evaluation.suites.jsonl import ask_rows
from sift_jax.evaluation.suites.prompts import Prompts
from sift_jax.evaluation.suites.suite_builder import Gathering

SUBSETS = ("speech_msmarco", "spokenqa_ls")
METRICS = ("rouge_l",)


def read_spoken_qa(
    root: Path, *, name: str = "spoken_qa", subsets: Sequence[str] = SUBSETS, prompts: Prompts
) -> Suite:
    gathering = Gathering(name)
    if unknown := [subset for subset in subsets if subset not in SUBSETS]:
        raise EvaluationError(f"{name}: no set {', '.join(unknown)}; they are {', '.join(SUBSETS)}")
    for subset in subsets:
        table, folder = root / f"{subset}.jsonl", root / subset
        if table.is_file():
            ask_rows(table, subset, gathering, prompts, metrics=METRICS)
        elif folder.is_dir():
            ask_sift(
                folder, gathering, {"open_ended": subset}, "EvalSIFT", ("en",), metrics=METRICS
            )
        else:
            gathering.leave(
                "all of its rows", subset, f"no {subset}.jsonl and no folder {subset} under {root}"
            )
    return gathering.finish()
