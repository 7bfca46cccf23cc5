"""The People's Speech: English of all kinds, word error rate after Whisper's normaliser.

sift_jax/corpora/peoples_speech.py has the layout with archives; of later revisions
test/test-00000-of-00001.parquet is read, with id, audio and text, in {.,data,test}.
"""

from __future__ import annotations

import functools
from pathlib import Path

from sift_jax.corpora.bad_item import BadItem
from sift_jax.corpora.peoples_speech import list_clips
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
        try:
            clips = list_clips(row)
        except BadItem as bad:
            gathering.leave(f"{path.name}:{number}", split, bad.detail)
            continue
        for clip, text in clips:
            own_id = str(clip).removesuffix(".flac")
            ask(own_id, audio=[path.with_suffix("") / str(clip)], references=[str(text)])
    return gathering.finish()
