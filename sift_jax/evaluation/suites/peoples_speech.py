"""The People's Speech: English of all kinds, word error rate after Whisper's normaliser.

    test/test.json   {"identifier": …, "training_data": {"label": ["so we …", …], "name": ["a_talk_00000.flac", …]}}
    test/test/a_talk_00000.flac                                  one JSON object a line, a source with all its clips

The layout is that of the hub's `MLCommons/peoples_speech` with archives, unpacked beside their
list; later revisions hold the audio in Parquet: test/test-00000-of-00001.parquet with id, audio and
text, in {.,data,test}.
"""

from __future__ import annotations

import functools
from pathlib import Path

from sift_jax.evaluation.scores.schema import Suite
from sift_jax.evaluation.suites.prompts import Prompts, word_prompt
from sift_jax.evaluation.suites.row_files import (
    find_file,
    read_json_lines,
    read_parquet,
    write_clip,
)
from sift_jax.evaluation.suites.suite_builder import Gathering


def read_peoples_speech(
    root: Path,
    *,
    name: str = "peoples_speech",
    split: str = "test",
    cache_dir: Path | None = None,
    prompts: Prompts,
) -> Suite:
    gathering = Gathering(name)
    ask = functools.partial(
        gathering.ask,
        subset=split,
        language="en",
        question=word_prompt(prompts, "asr", "en"),
        metrics=["wer"],
    )
    tables = [
        path
        for folder in (split, "data", ".")
        for path in sorted((root / folder).glob(f"{split}-*.parquet"))
    ]
    for path in tables:
        for _, row in read_parquet(path, ("id", "audio", "text"), ()):
            clip = write_clip(row["audio"], cache_dir, path.parent)
            ask(str(row["id"]), audio=[clip] if clip else [], references=[row["text"] or ""])
    if tables:
        return gathering.finish()
    path = find_file(root, [f"{split}/{split}.json"], f"{split} part of the People's Speech")
    for number, row in read_json_lines(path, ("training_data",), gathering, split):
        data = row["training_data"]
        try:
            clips = list(
                zip(data["name"], data["label"] if "label" in data else data["text"], strict=True)
            )
        except (ValueError, KeyError, TypeError) as error:
            gathering.leave(
                f"{path.name}:{number}", split, f"no training_data of name and label ({error})"
            )
            continue
        for clip, text in clips:
            own_id = str(clip).removesuffix(".flac")
            ask(own_id, audio=[path.with_suffix("") / str(clip)], references=[str(text)])
    return gathering.finish()
