"""The decoder alone, asked of the words: what it knew how to do before it learned to hear.

    asked of the model      ♪ Answer in three words: what is it about?
    asked of the decoder    Transcript: "Three red boxes in the kitchen."⏎ Answer in three words: what is it about?

Between what it follows and what the model follows lies what training on speech made it forget, and
whatever the model mishears. The decoder is the run's own without its adapters, so it is as it was
published where nothing else of it was trained.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flax.traverse_util import flatten_dict, unflatten_dict

from sift_jax.evaluation.model_inputs import ClipReader, Question, make_questions
from sift_jax.evaluation.scores.schema import EvaluationError, Item, SetAside
from sift_jax.models.layers import NO_LORA
from sift_jax.pretrained import Model
from sift_jax.sift.rows import name_utterance
from sift_jax.text.chat import Message

# what the words are called, by language
TRANSCRIPT = {
    "en": "Transcript",
    "de": "Transkript",
    "fr": "Transcription",
    "it": "Trascrizione",
    "es": "Transcripción",
}


def read_transcripts(path: Path) -> dict[str, str]:
    """Utterance → words, of JSON lines with an id or audio_path and a transcript or text; a build's
    metadata.jsonl has them."""
    if not path.is_file():
        raise EvaluationError(
            f"TRANSCRIPTS: {path} is not a file; give JSON lines with id and transcript, such as a "
            "build's metadata.jsonl"
        )
    found: dict[str, str] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            name, words = _read_line(line, f"{path}:{number}")
            if found.setdefault(name, words) != words:
                raise EvaluationError(
                    f"{path}:{number}: {name} was given other words above; an utterance has one "
                    "transcript"
                )
    return found


def _read_line(line: str, place: str) -> tuple[str, str]:
    try:
        row: Any = json.loads(line)
        name = row.get("id") or name_utterance(row["audio_path"])
        words = row["transcript"] if "transcript" in row else row["text"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise EvaluationError(
            f"{place}: a line has an id or audio_path, and a transcript or text"
        ) from None
    return str(name), str(words or "").strip()


def drop_adapters(model: Model, checkpoint: str) -> Model:
    """The model with the decoder that its adapters were laid over."""
    if not model.config.lora.rank:
        raise EvaluationError(
            f"{checkpoint} has no LoRA, so its decoder without training is not there to be asked; "
            "set TRANSCRIPTS = ''"
        )
    flat = flatten_dict(model.params["decoder"])
    decoder = {path: x for path, x in flat.items() if path[-1] not in ("lora_a", "lora_b")}
    return dataclasses.replace(
        model,
        config=dataclasses.replace(model.config, lora=NO_LORA),
        params={**model.params, "decoder": unflatten_dict(decoder)},
    )


def write_in_words(item: Item, transcripts: Mapping[str, str]) -> tuple[Message, ...] | None:
    """The item's messages with words where its recordings stand; None where one has no
    transcript."""
    names = [name_utterance(path) for path in item.audio]
    if any(not transcripts.get(name) for name in names):
        return None
    title = TRANSCRIPT.get(item.language.partition("-")[0], TRANSCRIPT["en"])
    # of several they are numbered, in the order in which they are heard
    titles = [title] if len(names) == 1 else [f"{title} {n}" for n in range(1, len(names) + 1)]
    written = iter(
        [f'{one}: "{transcripts[name]}"' for one, name in zip(titles, names, strict=True)]
    )
    return tuple(_write_turn(message, written) for message in item.messages)


def _write_turn(message: Message, written: Iterator[str]) -> Message:
    """A turn with each of its recordings as a line of its own."""
    if not any(part.get("audio_path") for part in message["content"]):
        return message
    lines = [""]
    for part in message["content"]:
        if part.get("audio_path"):
            lines += [next(written), ""]
        else:
            lines[-1] += part.get("text") or ""
    return {**message, "content": [{"text": "\n".join(line.strip() for line in lines if line)}]}


def ask_in_words(
    model: Model,
    questions: Sequence[Question],
    transcripts: Mapping[str, str],
    reader: ClipReader,
    *,
    max_new_tokens: int,
) -> tuple[list[Question], list[SetAside]]:
    """The same questions for the decoder alone, and those of recordings whose words nobody gave."""
    items = [question.item for question in questions]
    written = {item.id: write_in_words(item, transcripts) for item in items}
    asked, aside = make_questions(
        model,
        [
            dataclasses.replace(item, messages=messages)
            for item in items
            if (messages := written[item.id]) is not None
        ],
        reader,
        most_clips=0,
        max_new_tokens=max_new_tokens,
    )
    # what is answered is still the item itself
    by_id = {item.id: item for item in items}
    found = [dataclasses.replace(question, item=by_id[question.item.id]) for question in asked]
    missing = [
        SetAside(id=item.id, subset=item.subset, reason="a recording of it has no transcript")
        for item in items
        if written[item.id] is None
    ]
    if not found and aside:
        raise EvaluationError(
            f"the decoder alone can be asked nothing; {aside[0].id}: {aside[0].reason}"
        )
    if not found:
        raise EvaluationError(
            f"no question has the transcript of its recording; {items[0].id} asks of "
            f"{', '.join(map(name_utterance, items[0].audio)) or 'no recording'}: give TRANSCRIPTS "
            "with these ids"
        )
    return found, [*missing, *aside]


def hash_transcripts(transcripts: Mapping[str, str]) -> str:
    text = json.dumps(sorted(transcripts.items()), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
