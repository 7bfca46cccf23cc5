"""SIFT JSONL: the border between making the data and training on it.

    <sift_dir>/{train,dev,EvalSIFT}/{category}/{lang}/split<N>.jsonl        (the hub calls dev `validation`)

    {"id": "u1", "task": "closed_ended", "data_source": "embedded_en", "messages": [
        {"role": "user",      "content": [{"audio_path": "/path/to/u1.wav"}, {"text": "How fast does he talk?"}]},
        {"role": "assistant", "content": [{"text": "The speaker talks very slowly."}]}]}

Parts come in any order and number; a part on disk may hold both keys, one of them null: reading
drops the null. An id is not a key: up to ten rows share one.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

from sift_jax.sift.labels import LANGUAGES as LANGUAGES
from sift_jax.storage.whole_files import open_whole

SPLITS = ("train", "dev", "EvalSIFT")
CLOSED_CATEGORIES = (
    "closed_ended/acoustic_level",
    "closed_ended/content_level",
    "closed_ended/word_align",
    "closed_ended/comparison",
)
CATEGORIES = (*CLOSED_CATEGORIES, "open_ended", "controllable_generation")
# Not of the released set: rows for models that have no pretrained parts.
PRETRAINING_CATEGORIES = (
    PRETRAINING_RATINGS,
    PRETRAINING_RANKS,
    PRETRAINING_LISTS,
    PRETRAINING_COMPARES,
) = (
    "pretraining/ratings",
    "pretraining/ranks",
    "pretraining/lists",
    "pretraining/compares",
)
# Stage 1's tasks, and those of stage 2b whose answers are speech.
TASK_CATEGORIES = tuple(
    f"pretraining/{task}"
    for task in (
        "asr",
        "translation",
        "emotion",
        "speaker_asr",
        "intent",
        "slots",
        "tts",
        "speech_to_speech",
    )
)
# whose answers are speech
SPOKEN_CATEGORIES = ("controllable_generation", "pretraining/tts", "pretraining/speech_to_speech")
# What a decoder has answered by itself, of the utterance as text: the audio in the question's place,
# and the text that it read, which is what teaches by its distribution.
SELF_CATEGORIES = (SELF_GENERATED, SELF_GENERATED_TEXT) = ("self_generated", "self_generated_text")
ALL_CATEGORIES = (*CATEGORIES, *PRETRAINING_CATEGORIES, *TASK_CATEGORIES, *SELF_CATEGORIES)
_SPLIT_FOLDERS = {"train": ("train",), "dev": ("dev", "validation"), "EvalSIFT": ("EvalSIFT",)}
_ROLES = ("system", "user", "assistant")

# {"text": …} or {"audio_path": …}
Part = dict[str, str]


class Message(TypedDict):
    role: str
    content: list[Part]


class Row(TypedDict):
    id: str
    messages: list[Message]
    task: str
    data_source: str


class SiftError(ValueError):
    """A SIFT file that cannot be read; one line that names the place and the remedy."""


def read_rows(path: str | Path) -> Iterator[Row]:
    """The rows of one file, each checked."""
    return (row for _, row in read_places(path))


def read_places(path: str | Path) -> Iterator[tuple[int, Row]]:
    """The same rows, each with the byte at which its line starts."""
    try:
        with Path(path).open("rb") as lines:
            start = 0
            for number, line in enumerate(lines, 1):
                if line.strip():
                    text = line.decode("utf-8")
                    try:
                        row = parse_row(json.loads(text))
                    except ValueError as error:
                        raise SiftError(
                            f"{path}:{number}: {error}; correct or remove the line"
                        ) from None
                    yield start, row
                start += len(line)
    except FileNotFoundError:
        raise SiftError(
            f"{path}: no such SIFT file; write it with `python -m data_prep.build`"
        ) from None
    except UnicodeDecodeError:
        raise SiftError(f"{path}: not UTF-8 text; write it again") from None


def parse_row(value: Any) -> Row:
    """A row from its JSON value, checked, without null keys."""
    row = _check(value, dict, "a row")
    for key in ("id", "task", "data_source"):
        if not _check(row.get(key), str, key):
            raise SiftError(f"{key} is empty")
    messages = [
        _parse_message(message) for message in _check(row.get("messages"), list, "messages")
    ]
    if not messages:
        raise SiftError("messages is empty")
    return Row(id=row["id"], messages=messages, task=row["task"], data_source=row["data_source"])


def write_rows(path: str | Path, rows: Iterable[Row]) -> int:
    """Writes a file in whole (a reader never sees half of it) and returns the number of rows."""
    path, count = Path(path), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_whole(path) as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def list_files(
    sift_dir: str | Path, split: str, category: str | None = None, language: str | None = None
) -> list[Path]:
    """The files of a split, sorted; of one category or language if asked."""
    split = "dev" if split == "validation" else split
    if split not in _SPLIT_FOLDERS:
        raise SiftError(f"no split {split!r}; the splits are {', '.join(SPLITS)}")
    found = []
    for folder in (Path(sift_dir) / name for name in _SPLIT_FOLDERS[split]):
        for path in folder.rglob("split*.jsonl"):
            parts = path.relative_to(folder).parts
            if len(parts) < 3 or not re.fullmatch(r"split\d+\.jsonl", path.name):
                continue
            if category in (None, "/".join(parts[:-2])) and language in (None, parts[-2]):
                found.append(path)
    # By number: split10 comes after split9.
    return sorted(found, key=lambda path: (path.parent, len(path.name), path.name))


def name_utterance(audio_path: str) -> str:
    """The utterance of a part: the stem of its path, without VCTK's microphone."""
    name = audio_path.rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    return stem.removesuffix("_mic1").removesuffix("_mic2")


def audio_ids(row: Mapping[str, Any]) -> list[str]:
    """The utterances that the parts name, in order."""
    return list_utterances(row["messages"])


def list_utterances(messages: Iterable[Message]) -> list[str]:
    return [
        name_utterance(part["audio_path"])
        for message in messages
        for part in message["content"]
        if "audio_path" in part
    ]


def _parse_message(value: Any) -> Message:
    message = _check(value, dict, "a message")
    if message.get("role") not in _ROLES:
        raise SiftError(f"role is {message.get('role')!r}, not one of {', '.join(_ROLES)}")
    parts = [_parse_part(part) for part in _check(message.get("content"), list, "content")]
    if not parts:
        raise SiftError(f"content of the {message['role']} message is empty")
    return Message(role=message["role"], content=parts)


def _parse_part(value: Any) -> Part:
    part = {key: item for key, item in _check(value, dict, "a part").items() if item is not None}
    if len(part) != 1 or not part.keys() <= {"text", "audio_path"}:
        raise SiftError(
            f"a part holds {' and '.join(sorted(part)) or 'nothing'}, not either text or audio_path"
        )
    for key, item in part.items():
        _check(item, str, key)
    return part


def _check(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        raise SiftError(f"{name} is {type(value).__name__}, not {kind.__name__}")
    return value
