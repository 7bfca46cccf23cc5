"""Recordings on a page: inline players within a budget, and what is known of who speaks.

an audio path, or <data>/audio/<utterance id>.* ─► AudioShelf ─► <audio src="data:audio/flac;base64,…">
<data>/metadata.jsonl ─► {id: transcript, speaker, labels, measured values}
"""

from __future__ import annotations

import glob
import io
import json
from pathlib import Path

import numpy as np
import soundfile

from sift_jax.audio.files import AudioError, read_audio
from sift_jax.evaluation.report.charts import draw_waveform
from sift_jax.evaluation.report.number_format import format_measure
from sift_jax.pages.document import say
from sift_jax.pages.markup import escape_text
from sift_jax.pages.players import BUDGET_BYTES, Players

RATE, MOST_SECONDS = 16_000, 120.0
MOST_PLAYERS = 60
# above it a recording is written as MP3, which plays everywhere and is a fifth of it
MOST_FLAC_BYTES = 300_000


class AudioShelf:
    """Recordings as inline players; what is missing or too large is said instead."""

    def __init__(
        self, data_dir: Path | None, *, budget: int = BUDGET_BYTES, players: int = MOST_PLAYERS
    ):
        self.folder = data_dir / "audio" if data_dir else None
        self._players = Players(budget, players)

    def grant(self, share: float) -> None:
        """The share of what is left that the next recordings may take."""
        self._players.grant(share)

    def find(self, path: str) -> Path | None:
        if Path(path).is_file():
            return Path(path)
        stem = Path(path).stem if "/" in path else path
        found = sorted(self.folder.glob(f"{glob.escape(stem)}.*")) if self.folder else []
        return found[0] if found else None

    def make_player(self, path: str, label: str) -> str:
        name, file = Path(path).name, self.find(path)
        try:
            if file is None:
                raise AudioError(f"{name}: not found")
            samples = read_audio(file, rate=RATE, max_seconds=MOST_SECONDS)
            kind, data = encode_audio(file, samples)
        except (OSError, AudioError, soundfile.LibsndfileError):
            return say(f"The recording {name} cannot be read.")
        return self._embed(kind, data, samples, name, label)

    def make_player_of_samples(self, samples: np.ndarray, name: str, label: str) -> str:
        """The same of samples at RATE."""
        data = _write_format(samples, "FLAC")
        kind = "flac"
        if len(data) > MOST_FLAC_BYTES:
            kind, data = "mpeg", _write_format(samples, "MP3")
        return self._embed(kind, data, samples, name, label)

    def _embed(self, kind: str, data: bytes, samples: np.ndarray, name: str, label: str) -> str:
        wave = draw_waveform(samples, label=f"Waveform of {name}, {len(samples) / RATE:.1f} s")
        return self._players.embed(f"audio/{kind}", data, name=name, label=label, above=wave)


def encode_audio(file: Path, samples: np.ndarray) -> tuple[str, bytes]:
    """A small FLAC file as it is; others as FLAC, or as MP3 where that would be large."""
    if file.suffix.lower() == ".flac" and file.stat().st_size <= MOST_FLAC_BYTES:
        return "flac", file.read_bytes()
    data = _write_format(samples, "FLAC")
    return (
        ("flac", data) if len(data) <= MOST_FLAC_BYTES else ("mpeg", _write_format(samples, "MP3"))
    )


def _write_format(samples: np.ndarray, name: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format=name)
    return buffer.getvalue()


def read_utterances(data_dir: Path | None, wanted: set[str]) -> dict[str, dict]:
    """The lines of metadata.jsonl whose id is wanted; an absent file knows nothing."""
    found: dict[str, dict] = {}
    path = data_dir / "metadata.jsonl" if data_dir else None
    if path is None or not path.is_file():
        return found
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and entry.get("id") in wanted:
                found[entry["id"]] = entry
    return found


def describe_voice(utterance: dict) -> str:
    """Transcript, speaker and measured values: what a listener needs to check the answer."""
    if not utterance:
        return ""
    who = ", ".join(
        str(utterance[k]) for k in ("gender", "age_category", "accent") if utterance.get(k)
    )
    values = utterance.get("values", {})
    measured = " · ".join(
        f"{label} ({format_measure(key, values[key])})" if key in values else str(label)
        for key, label in utterance.get("labels", {}).items()
    )
    language = escape_text(utterance.get("language", ""))
    return (
        f'<p class="said" lang="{language}">“{escape_text(utterance.get("transcript", ""))}”</p>'
        f'<p class="who">{escape_text(" · ".join(part for part in (who, measured) if part))}</p>'
    )
