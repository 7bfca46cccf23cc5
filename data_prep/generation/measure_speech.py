"""What came out: recordings of a speaker measured by the experts that measured the corpus, in parts
that are kept.

    Spoken, wave, phonemes of the text ─►  {"id", "sample", "seconds", "values": {key: number}, "missing": {key: why},
                                            "said": what a recogniser heard, or null, "female_share",
                                            "heard": {field: {label: probability}}}

A speaker gives no word times: speech begins and ends where it is loud enough, as in a corpus
without them. Each value stands for itself: a recording whose pitch cannot be found may still be
fast. The parts lie in a folder that is named after all that decides them, so that other recordings
under the same names are measured again.
"""

import dataclasses
import functools
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.corpora.utterance import Utterance
from data_prep.embedded.voices import ACCENTS
from data_prep.engine.beam_engine import Engine, run_chunks
from data_prep.engine.versions import hash_files, hash_listing
from data_prep.generation.spoken_folder import NAME, Spoken
from data_prep.instructions.templates import SPEECH_KEYS
from data_prep.metadata.experts import Chosen, make_panel
from data_prep.metadata.fields import HEARD, hear_fields
from data_prep.metadata.gender_network import FEMALE_SHARE
from data_prep.metadata.measure import make_recording
from data_prep.metadata.plausible_ranges import is_feasible
from data_prep.recognition.recognisers import Recognising, get_recogniser
from sift_jax.audio.files import AudioError, read_audio
from sift_jax.storage.whole_files import write_whole

_KIND = "spoken"
_SIZE = 20
_RATE = 16_000
_SHORTEST_SECONDS = 0.2
# of full scale: 16-bit audio whose loudest sample is three steps
_SILENCE = 1e-4
# raised when the same recordings measure otherwise
VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hearing:
    """Who measures: experts of the ways of speaking and of free fields, and where given a
    classifier of genders and a recogniser."""

    experts: Chosen
    gender_model: Path | None
    asr: Recognising | None

    def __post_init__(self) -> None:
        if self.gender_model is not None and not self.gender_model.is_dir():
            raise ValueError(
                f"--gender_model={self.gender_model} is not a folder; fetch an audio classifier there"
            )

    @property
    def fingerprint(self) -> str:
        folders = [hash_files(Path(name)) for _, name in self.experts if Path(name).is_dir()]
        return (
            f"{self.experts} {self.gender_model and hash_files(self.gender_model)} {folders} "
            f"{self.asr}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Some recordings of a folder; `phonemes` are those of their texts, in order."""

    folder: Path
    parts: Path
    number: int
    lines: tuple[Spoken, ...]
    phonemes: tuple[str | None, ...]

    @property
    def size(self) -> int:
        return len(self.lines)

    def path(self, kind: str) -> Path:
        return self.parts / kind / f"{self.number:06d}.jsonl"


def measure_folder(
    folder: Path,
    lines: Sequence[Spoken],
    phonemes: Mapping[str, str],
    hearing: Hearing,
    out: Path,
    name: str,
    engine: Engine,
) -> list[dict[str, Any]]:
    """A row for each line, in order; what is measured already is read. `phonemes`: of texts, by the
    items' ids."""
    files = {folder / line.audio for line in lines}
    if not any(file.is_file() for file in files):
        raise ValueError(
            f"{folder}: none of the {len(files)} recordings that {NAME} names is there; copy them "
            "with it"
        )
    told = "".join(
        [
            hash_files(folder / NAME),
            hearing.fingerprint,
            f"{VERSION}",
            hash_listing(folder, sorted(file for file in files if file.is_file())),
            json.dumps(dict(phonemes), sort_keys=True),
        ]
    )
    parts = out / "parts" / f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    for stale in (out / "parts").glob(f"{name}-*"):
        if stale != parts:
            shutil.rmtree(stale)
    batches = [
        _make_batch(folder, parts, first // _SIZE, lines[first : first + _SIZE], phonemes)
        for first in range(0, len(lines), _SIZE)
    ]
    run_chunks(batches, _KIND, functools.partial(measure_batch, hearing=hearing), engine)
    return [
        json.loads(line)
        for batch in batches
        for line in batch.path(_KIND).read_text(encoding="utf-8").split("\n")
        if line
    ]


def _make_batch(
    folder: Path, parts: Path, number: int, lines: Sequence[Spoken], phonemes: Mapping[str, str]
) -> Batch:
    known = tuple(phonemes.get(line.request.id) for line in lines)
    return Batch(folder=folder, parts=parts, number=number, lines=tuple(lines), phonemes=known)


def measure_batch(batch: Batch, hearing: Hearing) -> None:
    """Writes what is measured of each recording of a batch."""
    rows = [
        measure_line(batch.folder, line, phonemes, hearing)
        for line, phonemes in zip(batch.lines, batch.phonemes, strict=True)
    ]
    write_whole(
        batch.path(_KIND), "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    )


def measure_line(
    folder: Path, line: Spoken, phonemes: str | None, hearing: Hearing
) -> dict[str, Any]:
    """One recording. What cannot be measured at all misses every key for the same reason."""
    row: dict[str, Any] = {
        "id": line.request.id,
        "sample": line.sample,
        "seconds": 0.0,
        "values": {},
        "missing": {},
        "said": None,
        FEMALE_SHARE: None,
        HEARD: {},
    }
    try:
        wave = read_audio(folder / line.audio)
    except AudioError as error:
        return {**row, "missing": dict.fromkeys(SPEECH_KEYS, error.reason)}
    row["seconds"] = round(len(wave) / _RATE, 3)
    if len(wave) < _SHORTEST_SECONDS * _RATE or float(np.abs(wave).max()) < _SILENCE:
        reason = "too short" if len(wave) < _SHORTEST_SECONDS * _RATE else "silence"
        # A recogniser hears no words in it either; a model that says nothing gets every word wrong.
        return {
            **row,
            "missing": dict.fromkeys(SPEECH_KEYS, reason),
            "said": "" if hearing.asr else None,
        }
    request = line.request
    values, missing = _measure(wave, request.language, request.text, phonemes, hearing)
    panel = make_panel(hearing.experts, hearing.gender_model)
    row[HEARD] = hear_fields(panel.listeners, [wave], [{}])[0]
    if panel.gender is not None:
        row[FEMALE_SHARE] = panel.gender([wave])[0][FEMALE_SHARE]
    if hearing.asr is not None and hearing.asr.knows(request.language):
        row["said"] = (
            get_recogniser(hearing.asr).recognise(folder / line.audio, request.language).text
        )
    return {**row, "values": values, "missing": missing}


def _measure(
    wave: np.ndarray, language: str, text: str, phonemes: str | None, hearing: Hearing
) -> tuple[dict[str, float], dict[str, str]]:
    panel = make_panel(hearing.experts, hearing.gender_model)
    utterance = Utterance(
        id="",
        language=language,
        split="",
        speaker=None,
        duration=len(wave) / _RATE,
        transcript=text,
        topic=None,
        phonemes=phonemes or read_phones(text, language),
        is_question=None,
        gender=None,
        age_category=None,
        accent=None,
        words=(),
        truth={},
    )
    recording = make_recording(wave, utterance, panel)
    values, missing = {}, {}
    for key in SPEECH_KEYS:
        expert = panel.singles.get(key)
        value = expert(recording) if expert and recording else None
        if expert is None:
            missing[key] = "left out of --experts"
        elif value is None:
            missing[key] = "no phones or no time" if key == "speaking_rate" else "no voice found"
        elif not is_feasible(key, value):
            missing[key] = "not feasible"
        else:
            values[key] = round(value, 3)
    return values, missing


def read_phones(text: str, language: str) -> str | None:
    """The phones of a text that the build has not, as --phonemes=espeak reads them."""
    if language not in ACCENTS:
        return None
    from data_prep.embedded.espeak import get_synthesizer

    return get_synthesizer().read_phones(text, ACCENTS[language][0][0]) or None
