"""Anybody's examples: a manifest as `data_prep.corpora.manifest` reads it, with the labels of a
task beside.

all                 audio, language, split (train if none), and what else a manifest may have
asr, tts            text
translation         target_language, translation
speech_to_speech    target_language, translation_audio
emotion             emotion: angry, sad, happy, surprised, afraid, disgusted, contemptuous or neutral
speaker_asr         turns: [{"speaker": "anna", "text": "Good morning."}, …]   (ICSI, Fisher: licence-bound)
intent              intent: "play music", choices: ["set alarm", …], which are wrong here or the right one too
slots               slots: [{"name": "time", "value": "nine"}, …], in JSON lines
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.corpora.manifest import find_language, make_recording, read_manifest_rows
from data_prep.corpora.recording import Recording, check_id, clean_transcript, locate_audio
from data_prep.tasks.example import Example, Found, draw_others, rename
from sift_jax.corpora.bad_item import BadItem
from sift_jax.sift.labels import LANGUAGES

_SAID = ("asr", "tts")


def read_listed(
    path: Path, root: Path, languages: Sequence[str], task: str, name: str
) -> Iterator[Found]:
    """One example a line, under ids that begin with the manifest's name."""

    def parse(row: Mapping[str, Any]) -> Example:
        recording = rename(make_recording(row, root, languages, is_said=task in _SAID), name)
        return _label(row, recording, root, task)

    return read_manifest_rows(path, parse)


def _label(row: Mapping[str, Any], recording: Recording, root: Path, task: str) -> Example:
    identity = recording.id
    if task in ("translation", "speech_to_speech"):
        target = find_language(_take_text(row, "target_language", identity), LANGUAGES, identity)
        if target == recording.language:
            raise BadItem("another language", f"translated from {target} into itself", identity)
        if task == "translation":
            text = clean_transcript(_take_text(row, "translation", identity), identity)
            return Example(recording=recording, target=target, translation=text)
        audio = locate_audio(root, _take_text(row, "translation_audio", identity), identity)
        speech = dataclasses.replace(
            recording,
            id=check_id(f"{identity}_{target}"),
            language=target,
            audio=audio,
            transcript="",
            speaker=None,
            gender=None,
            words=(),
            start=0.0,
            seconds=None,
        )
        return Example(recording=recording, target=target, speech=speech)
    if task == "emotion":
        return Example(recording=recording, emotion=_take_text(row, "emotion", identity).lower())
    if task == "speaker_asr":
        return Example(
            recording=recording, turns=_take_pairs(row, "turns", ("speaker", "text"), identity)
        )
    if task == "intent":
        intent, choices = _take_text(row, "intent", identity), row.get("choices")
        if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
            raise BadItem("no other intents", "choices is not a list of texts", identity)
        return Example(
            recording=recording, intent=intent, others=draw_others(intent, choices, identity)
        )
    if task == "slots":
        return Example(
            recording=recording, entities=_take_pairs(row, "slots", ("name", "value"), identity)
        )
    return Example(recording=recording)


def _take_text(row: Mapping[str, Any], field: str, identity: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        raise BadItem(f"no {field.replace('_', ' ')}", "", identity)
    return " ".join(value.split())


def _take_pairs(
    row: Mapping[str, Any], field: str, names: tuple[str, str], identity: str
) -> tuple[tuple[str, str], ...]:
    first, second = names
    try:
        return tuple(
            (clean_transcript(pair[first], identity), clean_transcript(pair[second], identity))
            for pair in row[field]
        )
    except (TypeError, KeyError, AttributeError):
        raise BadItem(
            f"no {field}", f"{field} is a list of {{{', '.join(names)}}}", identity
        ) from None
