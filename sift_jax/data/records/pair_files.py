"""Preference pairs: a recording, a question about it, and two answers of which one is better.

    pairs/train.jsonl    {"audio": "audio/a.flac", "question": "How fast?", "chosen": "Slowly.", "rejected": "Loudly."}
    pairs/dev.jsonl      the same, held out; it may be missing

`audio` is a file beside the pairs, by a relative or an absolute name, or a list of them. Recordings
come before the question, or where it has <audio>: "How fast is <audio>?". Other keys are not read:
sift_jax.make_pairs writes down what it knows of a pair. To the index a pair is one question with two
answers, each behind the prompt's last token, which predicts its first:

    ids           <prompt> … A : | Slowly . end | : | Loudly . end
    is_target      0       … 0 0 |   1    1  1  | 0 |   1    1  1
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.audio.files import AudioError
from sift_jax.data.records.record_audio import pack_file
from sift_jax.data.records.record_reader import decode_clip
from sift_jax.sift.rows import SPLITS
from sift_jax.text.chat import Message, render_chat
from sift_jax.text.tokenizers import SpeechTokenizer

# the name of the only task that a folder of pairs has
PAIRS = "pairs"
MARK = "<audio>"
_FORM = '{"audio": "a.wav", "question": "…", "chosen": "…", "rejected": "…"}'


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairTask:
    """The pairs of one split, in a file."""

    path: Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """A line of a file; `place` is where it stands, for errors."""

    place: str
    question: list[Message]
    chosen: str
    rejected: str

    @property
    def audio(self) -> list[Path]:
        """The recordings in the order of the question."""
        parts = (part for message in self.question for part in message["content"])
        return [Path(part["audio_path"]) for part in parts if part.get("audio_path")]


def find_pair_files(folder: str | Path) -> dict[str, Path]:
    """Split to file."""
    paths = {split: Path(folder) / f"{split}.jsonl" for split in SPLITS}
    found = {split: path for split, path in paths.items() if path.is_file()}
    if not found:
        raise ValueError(
            f"no pairs in {folder}: it has no train.jsonl; make pairs with python -m "
            f"sift_jax.make_pairs, or write lines of {_FORM}"
        )
    return found


def read_pairs(path: Path) -> Iterator[Pair]:
    """The pairs of a file; ValueError names the line that is none."""
    count = 0
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                count += 1
                yield _read_line(line, path, f"{path}:{number}")
    if not count:
        raise ValueError(f"{path} has no pairs; write lines of {_FORM}")


def _read_line(line: str, path: Path, place: str) -> Pair:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise ValueError(f"{place}: not a JSON object; a pair is a line of {_FORM}")
    names = row.get("audio")
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not names or not all(isinstance(x, str) for x in names):
        raise ValueError(f"{place}: 'audio' must be the name of a recording, or a list of names")
    for key in ("question", "chosen", "rejected"):
        if not isinstance(row.get(key), str):
            raise ValueError(f"{place}: no text {key!r}; a pair is a line of {_FORM}")
    if not row["chosen"].strip():
        raise ValueError(f"{place}: the chosen answer is empty; remove the line")
    if row["chosen"].strip() == row["rejected"].strip():
        raise ValueError(f"{place}: chosen and rejected are the same answer; remove the line")
    return Pair(
        place=place,
        question=_write_question(row["question"], [path.parent / name for name in names], place),
        chosen=row["chosen"],
        rejected=row["rejected"],
    )


def _write_question(text: str, audio: list[Path], place: str) -> list[Message]:
    texts = text.split(MARK)
    if len(texts) == 1:
        texts = ["" for _ in audio] + texts
    if len(texts) != len(audio) + 1:
        raise ValueError(
            f"{place}: the question has {len(texts) - 1} times {MARK}, and there are {len(audio)} "
            "recordings; write it once for each, or leave it out"
        )
    # texts and recordings by turns: t a t a t
    content: list[dict[str, Any]] = []
    for number, part in enumerate(texts):
        content += [{"text": part}] if part else []
        content += [{"audio_path": str(audio[number])}] if number < len(audio) else []
    return [{"role": "user", "content": content}]


def digest_pairs(path: Path) -> str:
    """Of a file's lines and the sizes of its recordings."""
    digest = hashlib.sha256(path.read_bytes())
    for pair in read_pairs(path):
        for name in pair.audio:
            if not name.is_file():
                raise ValueError(f"{pair.place}: no file {name}; correct 'audio'")
            digest.update(str(name.stat().st_size).encode())
    return digest.hexdigest()


def encode_pairs(
    pairs: Iterable[Pair], tokenizer: SpeechTokenizer
) -> Iterator[dict[str, np.ndarray]]:
    """Each pair as an example of the index: ids, which of them are learnt, and samples."""
    for pair in pairs:
        (prompt, chosen), (other, rejected) = (
            _render(pair, answer, tokenizer) for answer in (pair.chosen, pair.rejected)
        )
        if prompt != other:
            raise ValueError(
                f"{pair.place}: the chat template writes another prompt before each answer; set "
                "DataConfig.chat_template to one of ours"
            )
        try:
            clips = [decode_clip(pack_file(path)) for path in pair.audio]
        except AudioError as error:
            raise ValueError(f"{pair.place}: {error}") from error
        tokens = [*prompt, *chosen, prompt[-1], *rejected]
        is_target = np.ones(len(tokens), np.int32)
        is_target[: len(prompt)] = is_target[len(prompt) + len(chosen)] = 0
        yield {
            "tokens": np.array(tokens, np.int32),
            "is_target": is_target,
            "question": np.zeros(len(tokens), np.int32),
            "clips": np.arange(len(clips), dtype=np.int32),
            "audio": np.concatenate(clips),
            "audio_lengths": np.array([len(clip) for clip in clips], np.int32),
        }


def _render(pair: Pair, answer: str, tokenizer: SpeechTokenizer) -> tuple[list[int], list[int]]:
    """(the prompt, the answer with its end) in ids."""
    reply = {"role": "assistant", "content": [{"text": answer}]}
    rendered = render_chat([*pair.question, reply], tokenizer)
    # what a template writes behind the end of the answer is not learnt, and left out
    first = rendered.is_target.index(True)
    count = sum(rendered.is_target)
    return rendered.tokens[:first], rendered.tokens[first : first + count]
