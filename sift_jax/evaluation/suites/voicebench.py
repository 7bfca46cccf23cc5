"""VoiceBench: questions and requests that are spoken, and nothing is written beside them.

    {.,voicebench}/alpacaeval_full/test-00000-of-00001.parquet     prompt, audio {bytes, path}
                   commoneval · wildvoice · advbench               the same
                   sd-qa/usa-00000-of-00001.parquet                prompt, reference, audio        usa, gbr, ind_n, …
                   mmsu/law-00000-of-00001.parquet                 prompt, reference "B", audio    law, physics, …
                   openbookqa/test-00000-of-00001.parquet          prompt, reference "B", audio
                   bbh/test-00000-of-00001.parquet                 id, prompt, reference "Yes" or "(A)", audio
                   ifeval/test-00000-of-00001.parquet              key, prompt, instruction_id_list, kwargs, audio

The layout is that of the hub's `hlt-lab/voicebench`; `prompt` is what is said, which the model is
not shown and a judge is. A subset is a part, and those of the benchmark's own table are asked:

    alpacaeval_full, commoneval, wildvoice   a judge, 1 to 5, without a reference
    sd-qa                                    a judge, right or wrong; and whether the reference is said
    mmsu, openbookqa, bbh                    the option that the answer gives (scores/choices.py)
    ifeval                                   the rules of the request (scores/ifeval.py)
    advbench                                 the share of refusals (scores/refusals.py)

`alpacaeval`, a part of alpacaeval_full, may be asked for by name. `mtbench` has several turns and
is not read.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sift_jax.evaluation.scores.ifeval import write_rule
from sift_jax.evaluation.scores.schema import EvaluationError, Suite
from sift_jax.evaluation.suites.row_files import Row, find_folder, read_parquet, write_clip
from sift_jax.evaluation.suites.suite_builder import Gathering

OPEN = ("alpacaeval_full", "commoneval", "wildvoice")
SUBSETS = (*OPEN, "sd-qa", "mmsu", "openbookqa", "bbh", "ifeval", "advbench")
# Not in the benchmark's table.
EXTRA = ("alpacaeval",)
_METRICS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((*OPEN, *EXTRA), ("judge_spoken",)),
    "sd-qa": ("judge_closed", "contains"),
    **dict.fromkeys(("mmsu", "openbookqa", "bbh"), ("option",)),
    "ifeval": ("ifeval",),
    "advbench": ("refused",),
}
_COLUMNS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("sd-qa", "mmsu", "openbookqa"), ("reference",)),
    "bbh": ("id", "reference"),
    "ifeval": ("instruction_id_list", "kwargs"),
}
# what the name of a file says of its rows
_FACETS = {"sd-qa": "region", "mmsu": "subject"}
_BBH_TASK = re.compile(r"sports_understanding|hyperbaton|navigate|web_of_lies")
_LETTERS, _VERDICTS = ("A", "B", "C", "D"), ("yes", "no")


def read_voicebench(
    root: Path,
    *,
    name: str = "voicebench",
    subsets: Sequence[str] = SUBSETS,
    cache_dir: Path | None = None,
) -> Suite:
    gathering = Gathering(name)
    if unknown := [subset for subset in subsets if subset not in _METRICS]:
        raise EvaluationError(
            f"{name}: no subset {', '.join(unknown)}; they are {', '.join(_METRICS)}"
        )
    folder = find_folder(root, ["voicebench", "."], "the subsets of VoiceBench")
    for subset in subsets:
        tables = sorted((folder / subset).glob("*.parquet"))
        if not tables:
            reason = f"no Parquet file in {folder / subset}"
            gathering.leave("all of its rows", subset, reason)
        counts: collections.Counter[str] = collections.Counter()
        required = ("prompt", "audio", *_COLUMNS.get(subset, ()))
        for path in tables:
            split = path.stem.partition("-")[0]
            for _, row in read_parquet(path, required, ()):
                # a split may be in several files
                counts[split] += 1
                own_id = f"{split}/{counts[split]:04d}"
                clip = write_clip(row["audio"], cache_dir, path.parent)
                _ask_row(own_id, subset, split, row, clip, gathering)
    return gathering.finish()


def _ask_row(
    own_id: str, subset: str, split: str, row: Row, clip: Path | None, gathering: Gathering
) -> None:
    try:
        wanted = _find_wanted(subset, row)
    except ValueError as error:
        gathering.leave(own_id, subset, str(error))
        return
    facets = {_FACETS[subset]: split} if subset in _FACETS else {}
    heard = [{"audio_path": str(clip)}] if clip else []
    gathering.ask(
        own_id,
        subset=subset,
        language="en",
        messages=[{"role": "user", "content": heard}],
        metrics=_METRICS[subset],
        context=str(row["prompt"] or ""),
        **{"facets": facets, **wanted},
    )


def _find_wanted(subset: str, row: Row) -> dict[str, Any]:
    """References, labels and facets of a row; ValueError where they are not to be used."""
    if subset == "ifeval":
        names, arguments = row["instruction_id_list"] or [], row["kwargs"] or []
        if len(names) != len(arguments) or not all(isinstance(a, Mapping) for a in arguments):
            raise ValueError("instruction_id_list and kwargs do not belong together")
        return {
            "references": [write_rule(n, given) for n, given in zip(names, arguments, strict=True)]
        }
    if "reference" not in _COLUMNS.get(subset, ()):
        return {"references": []}
    reference = str(row["reference"] or "").strip()
    if subset == "sd-qa":
        return {"references": [reference]}
    letter = reference.strip("().").upper()
    if subset != "bbh":
        return {"references": [letter], "labels": _LETTERS}
    task = _BBH_TASK.search(str(row["id"]))
    if not task:
        raise ValueError(f"no task in the id {row['id']!r}")
    is_letter = letter in _LETTERS
    return {
        "references": [letter if is_letter else reference.lower()],
        "labels": _LETTERS if is_letter else _VERDICTS,
        "facets": {"task": task[0]},
    }
