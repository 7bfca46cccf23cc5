"""The People's Speech, English, as the hub has it when its archives are unpacked.

    train/clean.json   {"identifier": "some_talk", "training_data": {"duration_ms": [15000, …], "label": ["so we …", …],
                                                                     "name": ["some_talk_mp3_00000.flac", …]}}
    train/clean/some_talk_mp3_00000.flac                  one JSON object a line, each a source with all its clips
    {train/{clean,clean_sa,dirty,dirty_sa},validation/validation,test/test}       a list and a folder of its name each

The hub's later revisions are Parquet files with the audio inside.
"""

from collections.abc import Mapping
from typing import Any

from sift_jax.corpora.bad_item import BadItem


def list_clips(source: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Name and text of each clip of a source, as they stand there."""
    try:
        data = source["training_data"]
        if not isinstance(data, Mapping):
            raise KeyError("training_data")
        names, texts = data["name"], data["label"] if "label" in data else data["text"]
        return list(zip(names, texts, strict=True))
    except (ValueError, KeyError, TypeError) as error:
        detail = f"no training_data of name and label ({error})"
        raise BadItem("broken line", detail[:200]) from None
