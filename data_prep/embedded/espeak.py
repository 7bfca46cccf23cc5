"""The synthesizer: espeak-ng from the espeakng-loader wheel, driven in this process by ctypes.

    (words, Delivery: voice variant, accent, rate, low and high pitch, raised or lowered span)  ─►  Speech
        samples  int16 [n] at 22,050 Hz
        words    [(first sample, last sample), …]   one pair a word of the text
        phones   "h|eɪ|l| |w|…"

The wheel's data is GPL and stays in the wheel: a small temporary directory links to it and adds our
own voice variants. Espeak keeps state between calls (noise generator, flutter phase), and
initialising it again does not clear it. So the library is loaded afresh for each utterance (of one
sentence or more) and its noise seeded, which makes the bytes independent of what this process spoke
before and when.
"""

import _ctypes
import atexit
import ctypes
import dataclasses
import functools
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

RATE = 22_050
_SYNCHRONOUS, _CHARS_UTF8, _SSML, _IPA = 2, 1, 0x10, 2
_PARAMETER = {
    "rate": 1,
    "volume": 2,
    "pitch": 3,
    "range": 4,
    "punctuation": 5,
    "capitals": 6,
    "wordgap": 7,
}
_EVENT_END, _EVENT_WORD = 0, 1
_TALKER = "talker"


class EspeakError(RuntimeError):
    """The synthesizer could not be started or refused a voice."""

    # the user can fix it: sift_jax.exits
    exit_code = 2


class SilentTextError(EspeakError):
    """A text in which the synthesizer finds nothing to say."""


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Delivery:
    """How a sentence is to be spoken: by whom, at how many words a minute, between which
    pitches."""

    variant: str
    accent: str
    rate: int
    low_hz: int
    high_hz: int
    span: tuple[int, int] = (0, 0)
    span_pitch_percent: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speech:
    samples: np.ndarray
    words: tuple[tuple[int, int], ...]
    phones: str


class Synthesizer:
    """One espeak; the library keeps its state in globals, so a process shares one through
    `get_synthesizer`."""

    def __init__(self) -> None:
        import espeakng_loader

        self._home = _make_home(Path(espeakng_loader.get_data_path()))
        # A copy under a path of our own: nobody else can hold it loaded, so closing it really
        # unloads it.
        self._path = shutil.copy(espeakng_loader.get_library_path(), self._home / "espeak.so")
        self._library: ctypes.CDLL | None = None
        self._chunks: list[np.ndarray] = []
        self._events: list[tuple[int, int]] = []
        self._callback = _Callback(self._collect)

    def _start(self) -> ctypes.CDLL:
        """Loads the library afresh (5 ms): espeak_Initialize alone leaves flutter and noise where
        they were."""
        if self._library is not None:
            self._library.espeak_Terminate()
            handle, self._library = self._library._handle, None
            _ctypes.dlclose(handle)
        library = ctypes.CDLL(str(self._path))
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(self._home).encode(), 0)
        if rate != RATE:
            raise EspeakError(
                f"espeak-ng did not start (returned {rate}); reinstall the wheel espeakng-loader"
            )
        # Started from the clock otherwise.
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        library.espeak_SetSynthCallback(self._callback)
        self._library = library
        return library

    def _collect(
        self,
        samples: "ctypes._Pointer[ctypes.c_short]",
        count: int,
        events: "ctypes._Pointer[_Event]",
    ) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].type != _EVENT_END:
            if events[i].type == _EVENT_WORD:
                self._events.append((events[i].text_position - 1, events[i].sample))
            i += 1
        return 0

    def _set_delivery(self, library: ctypes.CDLL, delivery: Delivery) -> None:
        # Of all that espeak offers, only the variant's own pitch line sets both ends of the range,
        # and exactly.
        pitch = f"pitch {delivery.low_hz} {delivery.high_hz}\n"
        (self._home / "espeak-ng-data" / "voices" / "!v" / _TALKER).write_text(
            delivery.variant + pitch
        )
        name = f"{delivery.accent}+{_TALKER}"
        if library.espeak_SetVoiceByName(name.encode()) != 0:
            raise EspeakError(f"espeak-ng has no voice {name}; see the accents in voices.py")
        values = {
            "rate": delivery.rate,
            "volume": 60,
            "pitch": 50,
            "range": 50,
            "punctuation": 0,
            "capitals": 0,
            "wordgap": 0,
        }
        for key, value in values.items():
            library.espeak_SetParameter(_PARAMETER[key], int(value), 0)

    def speak(self, words: Sequence[str], delivery: Delivery, *, goes_on: bool = False) -> Speech:
        """Synthesizes the words of one sentence (punctuation stays on its word).

        One that `goes_on` depends on those since the last that does not, and takes half the time.
        """
        library = self._library if goes_on and self._library is not None else self._start()
        self._set_delivery(library, delivery)
        self._chunks, self._events = [], []
        text, starts = _write_ssml(words, delivery)
        data = text.encode() + b"\0"
        status = library.espeak_Synth(
            data, ctypes.c_size_t(len(data)), 0, 0, 0, _CHARS_UTF8 | _SSML, None, None
        )
        if status != 0 or not self._chunks:
            raise SilentTextError(
                f"espeak-ng said nothing for {' '.join(words)!r} (status {status}); check the "
                "sentence"
            )
        samples = np.concatenate(self._chunks)
        spans = _place_words(words, starts, self._events, samples)
        return Speech(samples=samples, words=spans, phones=_read_phones(library, " ".join(words)))

    def read_phones(self, text: str, voice: str) -> str:
        """How the voice's language says a text, without saying it."""
        # Speaking starts afresh whatever was asked here, so the library need not.
        library = self._library or self._start()
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise EspeakError(f"espeak-ng has no voice {voice}; see the accents in voices.py")
        return _read_phones(library, text)


def _read_phones(library: ctypes.CDLL, text: str) -> str:
    pointer = ctypes.c_char_p(text.encode() + b"\0")
    parts = []
    while pointer.value is not None:
        piece = library.espeak_TextToPhonemes(
            ctypes.byref(pointer), _CHARS_UTF8, _IPA | (ord("|") << 8)
        )
        parts.append((piece or b"").decode())
    return tokenise_phones(" ".join(parts))


def tokenise_phones(text: str) -> str:
    """Espeak's IPA with | inside words becomes one phone a token, a space token between words, no
    stress marks."""
    text = re.sub(r"\([a-z-]+\)|[ˈˌ]", "", text)
    words = [[phone for phone in word.split("|") if phone] for word in text.split()]
    return "| |".join("|".join(word) for word in words if word)


def _write_ssml(words: Sequence[str], delivery: Delivery) -> tuple[str, list[int]]:
    first, last = delivery.span
    text, starts = "<speak>", []
    for i, word in enumerate(words):
        if delivery.span_pitch_percent and i == first and last > first:
            text += f'<prosody pitch="{delivery.span_pitch_percent:+d}%">'
        starts.append(len(text))
        text += escape(word)
        if delivery.span_pitch_percent and i == last - 1 and last > first:
            text += "</prosody>"
        text += " "
    return text.rstrip() + "</speak>", starts


def _place_words(
    words: Sequence[str], starts: list[int], events: list[tuple[int, int]], samples: np.ndarray
) -> tuple[tuple[int, int], ...]:
    """Espeak may speak two words as one unit and then reports one event: such a unit is shared out
    by letters."""
    onsets: dict[int, int] = {}
    for position, sample in events:
        index = int(np.searchsorted(starts, position, side="right")) - 1
        onsets.setdefault(max(index, 0), sample)
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 200)
    onsets[0] = int(loud[0]) if len(loud) else 0
    end = int(loud[-1]) + 1 if len(loud) else len(samples)
    known = sorted(onsets)
    spans: list[tuple[int, int]] = []
    for first, following in zip(known, [*known[1:], len(words)], strict=True):
        begin = min(onsets[first], end)
        finish = min(onsets[following], end) if following in onsets else end
        letters = np.cumsum([0] + [len(word) for word in words[first:following]])
        edges = begin + (letters / letters[-1] * max(finish - begin, 0)).astype(int)
        spans += [(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    return tuple(spans)


def _make_home(wheel: Path) -> Path:
    """A data directory of links to the wheel's files, with a place for the one variant that is
    speaking."""
    home = Path(tempfile.mkdtemp(prefix="sift_espeak_"))
    atexit.register(_remove_home, home, os.getpid())
    data = home / "espeak-ng-data"
    (data / "voices" / "!v").mkdir(parents=True)
    for source in wheel.iterdir():
        if source.name != "voices":
            (data / source.name).symlink_to(source)
    return home


def _remove_home(home: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(home, ignore_errors=True)


@functools.cache
def get_synthesizer() -> Synthesizer:
    """The one synthesizer of this process."""
    return Synthesizer()
