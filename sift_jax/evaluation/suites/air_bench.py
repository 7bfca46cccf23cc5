"""AIR-Bench Chat, its questions about speech.

    {.,Chat}/Chat_meta.json   [{"path": "a.wav", "question": …, "answer_gt": …, "task_name": "speech_QA",
                                "dataset_name": "iemocap", "meta_info": …, "uniq_id": 1}, …]
    {.,Chat}/speech_QA_iemocap/a.wav               {task_name}_{dataset_name}/{path}

The layout is that of the hub's `qyang1021/AIR-Bench-Dataset`; that speech is speech_QA and
speech_dialogue_QA is so in the benchmark's own scoring. `meta_info`, a description of the audio,
goes to the judge and not to the model. The other six tasks may be asked for by name. Officially a
judge compares the answer with the reference, 1 to 10 each, in both orders; by the SIFT paper's
protocol it grades the answer alone against the reference, 0 to 10, and is not told what the audio
holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sift_jax.evaluation.scores.schema import EvaluationError, Suite
from sift_jax.evaluation.suites.prompts import Prompts, word_prompt
from sift_jax.evaluation.suites.protocols import OFFICIAL
from sift_jax.evaluation.suites.row_files import find_file, read_json
from sift_jax.evaluation.suites.suite_builder import Gathering

SUBSETS = ("speech_QA", "speech_dialogue_QA")
TASKS = (
    *SUBSETS,
    "sound_QA",
    "sound_generation_QA",
    "music_QA",
    "music_generation_analysis_QA",
    "speech_and_sound_QA",
    "speech_and_music_QA",
)
_KEYS = ("path", "question", "answer_gt", "task_name", "dataset_name", "meta_info", "uniq_id")


def read_air_bench(
    root: Path,
    *,
    name: str = "air_bench",
    subsets: Sequence[str] = SUBSETS,
    prompts: Prompts,
    protocol: str = OFFICIAL,
) -> Suite:
    gathering, is_official = Gathering(name), protocol == OFFICIAL
    if unknown := [subset for subset in subsets if subset not in TASKS]:
        raise EvaluationError(
            f"{name}: no task {', '.join(unknown)}; its tasks are {', '.join(TASKS)}"
        )
    path = find_file(root, ["Chat_meta.json", "Chat/Chat_meta.json"], "list of AIR-Bench Chat")
    rows = read_json(path)
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
        raise EvaluationError(f"{path}: not a list of objects; download it again")
    if missing := [key for key in _KEYS if key not in rows[0]]:
        raise EvaluationError(
            f"{path}: no {' and no '.join(missing)} among the keys of its first row ("
            f"{', '.join(rows[0])}); take the release that has them"
        )
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or (missing := [key for key in _KEYS if row.get(key) is None]):
            what = (
                "not an object" if not isinstance(row, dict) else f"no {' and no '.join(missing)}"
            )
            gathering.leave(f"{path.name}:{number}", "", what)
            continue
        if row["task_name"] not in subsets:
            continue
        gathering.ask(
            str(row["uniq_id"]),
            subset=row["task_name"],
            language="en",
            audio=[path.parent / f"{row['task_name']}_{row['dataset_name']}" / str(row["path"])],
            question=word_prompt(prompts, "qa", "en", question=str(row["question"])),
            references=[str(row["answer_gt"])],
            metrics=["judge_air_bench" if is_official else "judge_open"],
            facets={"dataset": str(row["dataset_name"])},
            context=str(row["meta_info"]) if is_official else "",
        )
    return gathering.finish()
