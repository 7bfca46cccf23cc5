"""Items made ready for a model: their audio is read, joined and measured, and what the model cannot
take is skipped.

    item: a.wav, b.wav, "Which is louder?"     most_clips 0 ─► two clips
                                               most_clips 1 ─► one clip: a.wav, a second of silence, b.wav
    longer than the model takes                long_audio "set_aside" ─► SetAside    "cut" ─► the first seconds, counted
                                               "pause" ─► the same up to the last pause in them
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sift_jax.audio.files import AudioError, decode_audio, mix_channels, resample
from sift_jax.audio.front_ends import FRONT_ENDS
from sift_jax.audio.whisper_mel import RATE
from sift_jax.audio.windows import measure_windows
from sift_jax.decoding.text_answers import make_prompt
from sift_jax.evaluation.scores.schema import EvaluationError, Item, SetAside
from sift_jax.parallel.distributed import is_first_process
from sift_jax.pretrained import Model
from sift_jax.progress import track
from sift_jax.text.chat import Message, render_chat

SET_ASIDE, CUT, PAUSE = "set_aside", "cut", "pause"
# What is this far below the loudest, for so long, is a pause between words.
_PAUSE_DB, _PAUSE_SECONDS = 35.0, 0.2
# Between names of files that are heard as one.
JOIN = "\x1f"
SILENCE_SECONDS = 1.0
# Samples that are kept, so that short suites are decoded once.
KEPT_BYTES = 1 << 29


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """An item as a model is asked it; `length` counts the positions of its prompt."""

    item: Item
    messages: tuple[Message, ...]
    length: int

    @property
    def audio(self) -> tuple[str, ...]:
        return tuple(
            p["audio_path"] for m in self.messages for p in m["content"] if p.get("audio_path")
        )

    @property
    def draw(self) -> int:
        """The number by which its answer is drawn: its id's own, whoever is asked beside it."""
        return zlib.crc32(self.item.id.encode())


class ClipReader:
    """Samples of what an audio part names, one file or several joined ones."""

    def __init__(self, longest_seconds: float, long_audio: str):
        if long_audio not in (SET_ASIDE, CUT, PAUSE):
            raise EvaluationError(
                f"long_audio is {long_audio!r}; it is {SET_ASIDE}, {CUT} or {PAUSE}"
            )
        self.longest_seconds, self.long_audio = longest_seconds, long_audio
        # names of recordings whose ends are not heard
        self.cut: set[str] = set()
        self._kept: dict[str, np.ndarray] = {}
        self._bytes = 0

    def __call__(self, name: str) -> np.ndarray:
        if name in self._kept:
            return self._kept[name]
        clip = self._read(name)
        self._bytes += clip.nbytes
        while self._kept and self._bytes > KEPT_BYTES:
            self._bytes -= self._kept.pop(next(iter(self._kept))).nbytes
        self._kept[name] = clip
        return clip

    def measure(self, name: str) -> int | AudioError:
        """The number of samples, or what is wrong; kept as long as there is room."""
        try:
            clip = self._kept.get(name)
            clip = self._read(name) if clip is None else clip
        except AudioError as error:
            return error
        if name not in self._kept and self._bytes + clip.nbytes <= KEPT_BYTES:
            self._bytes += clip.nbytes
            self._kept[name] = clip
        return len(clip)

    def _read(self, name: str) -> np.ndarray:
        pieces: list[np.ndarray] = []
        for path in name.split(JOIN):
            decoded = decode_audio(path)
            if pieces:
                pieces.append(np.zeros(round(SILENCE_SECONDS * RATE), np.float32))
            pieces.append(resample(mix_channels(decoded.samples, path), decoded.rate, RATE))
        clip, most = (
            np.concatenate(pieces) if len(pieces) > 1 else pieces[0],
            round(self.longest_seconds * RATE),
        )
        if len(clip) > most and self.long_audio == SET_ASIDE:
            what = name.replace(JOIN, " and ")
            raise AudioError(
                f"{what}: {len(clip) / RATE:.1f} s is longer than the {self.longest_seconds:g} s "
                "that the model hears; cut it, or set long_audio",
                "too long",
            )
        if len(clip) > most:
            self.cut.add(name)
        return cut_at_pause(clip, most) if self.long_audio == PAUSE else clip[:most]


def cut_at_pause(clip: np.ndarray, window: int) -> np.ndarray:
    """A longer clip up to the last pause in its first `window` samples; up to there where it has
    none."""
    if len(clip) <= window:
        return clip
    import librosa

    # runs of sound: all but the last end in what is quiet, for ten milliseconds or more
    runs = librosa.effects.split(clip, top_db=_PAUSE_DB, frame_length=400, hop_length=160)
    ends = [
        int(end)
        for (_, end), (start, _) in itertools.pairwise(runs)
        if start - end >= _PAUSE_SECONDS * RATE
    ]
    return clip[: max((end for end in ends if end <= window), default=window)]


def join_clips(item: Item, most_clips: int) -> tuple[Message, ...] | None:
    """The messages with at most so many clips: those of a turn are joined where there are more.
    None if that is not enough."""
    if not most_clips or len(item.audio) <= most_clips:
        return item.messages
    joined = []
    for message in item.messages:
        parts = message["content"]
        paths = [part["audio_path"] for part in parts if part.get("audio_path")]
        if paths:
            first = next(place for place, part in enumerate(parts) if part.get("audio_path"))
            before, after = (
                parts[:first],
                [part for part in parts[first:] if not part.get("audio_path")],
            )
            parts = [*before, {"audio_path": JOIN.join(paths)}, *after]
        joined.append({**message, "content": parts})
    left = sum(bool(part.get("audio_path")) for message in joined for part in message["content"])
    return tuple(joined) if left <= most_clips else None


def make_questions(
    model: Model, items: Sequence[Item], reader: ClipReader, *, most_clips: int, max_new_tokens: int
) -> tuple[list[Question], list[SetAside]]:
    """What the model can be asked, in the order of the items, and the rest with reasons."""
    found, aside = [], []
    messages = {item.id: join_clips(item, most_clips) for item in items}
    count_mel_frames = FRONT_ENDS[model.config.encoder.front_end].count_frames
    window = round(model.config.encoder.window_seconds * RATE)
    lengths = _measure_all(reader, [m for m in messages.values() if m])
    for item in items:
        asked = messages[item.id]
        if asked is None:
            reason = f"{len(item.audio)} recordings in several turns; the model takes {most_clips}"
        else:
            rendered = render_chat(list(asked), model.tokenizer, has_reply=False)
            clips = [lengths[path] for path in rendered.audio]
            wrong = [clip for clip in clips if isinstance(clip, AudioError)]
            heard = [] if wrong else [clip for clip in clips if not isinstance(clip, AudioError)]
            windows = [w for samples in heard for w in measure_windows(samples, window)]
            frames = [model.config.count_frames(count_mel_frames(n)) for n in windows]
            length, most = (
                len(rendered.tokens) - len(clips) + sum(frames),
                model.config.decoder.max_positions,
            )
            if model.config.hears_units and not wrong:
                # how many they are, the codec says
                length = len(make_prompt(model, list(asked), reader).tokens)
            if not wrong and length + max_new_tokens <= most:
                found.append(Question(item=item, messages=asked, length=length))
                continue
            reason = (
                str(wrong[0])
                if wrong
                else (
                    f"{length} positions and an answer of {max_new_tokens} are more than the "
                    f"decoder's {most}"
                )
            )
        aside.append(SetAside(id=item.id, subset=item.subset, reason=reason))
    return found, aside


def is_cut(question: Question, reader: ClipReader) -> bool:
    """Whether the end of one of its recordings is left out."""
    return not reader.cut.isdisjoint(question.audio)


def _measure_all(
    reader: ClipReader, conversations: Iterable[tuple[Message, ...]]
) -> dict[str, int | AudioError]:
    """Each recording decoded once; decoding leaves Python's lock to others."""
    parts = (
        part for messages in conversations for message in messages for part in message["content"]
    )
    names = list(dict.fromkeys(part["audio_path"] for part in parts if part.get("audio_path")))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        measured = track(
            pool.map(reader.measure, names),
            total=len(names),
            name="audio",
            unit="file",
            is_shown=is_first_process(),
        )
        return dict(zip(names, measured, strict=True))
