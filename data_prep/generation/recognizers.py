"""Whether the words can be understood: recognizers of speech behind one interface, (wave [n], language) ─► words.

    --asr=pocketsphinx                        English alone; its wheel has a model inside: pip install 'sift_jax[align]'
    --asr=pocketsphinx:build                  the same, but it knows the build's sentences beforehand (sentences.py)
    --asr=faster-whisper:<folder or size>     where that package is installed
    --asr=http://localhost:8000/v1 --asr_model=whisper-1
                                              an OpenAI-compatible server: POST {url}/audio/transcriptions

A language that a recognizer does not know gives None, and the recording no word error rate.
"""

import dataclasses
import functools
import importlib.util
import io
import os
import urllib.parse
from collections.abc import Callable

import numpy as np
import soundfile

Recognizer = Callable[[np.ndarray, str], "str | None"]
SPHINX, KNOWING, WHISPER = "pocketsphinx", "pocketsphinx:build", "faster-whisper"
SPHINX_LANGUAGE = "en"
_RATE = 16_000


class RecognizerError(RuntimeError):
    """A recognizer that cannot be used; one line with the remedy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asr:
    """Which recognizer. `model` is a server's name for it, or the file of sentences that it knows beforehand."""

    name: str
    model: str | None
    key_variable: str

    def __post_init__(self) -> None:
        kind, _, rest = self.name.partition(":")
        if kind in ("http", "https"):
            # not said again: what stands before an @ is a secret
            if "@" in self.name or not urllib.parse.urlsplit(self.name).hostname:
                raise ValueError("--asr=http… is no address of a server; give one such as http://localhost:8000/v1, "
                                 "without a user or a password: the key belongs into the environment")
            if not self.model:
                raise ValueError("--asr: a server needs --asr_model, the name under which it has the recognizer")
        elif not (self.name in (SPHINX, KNOWING) or (kind == WHISPER and rest)):
            raise ValueError(f"--asr={self.name} is none of {SPHINX}, {KNOWING}, {WHISPER}:<folder or size>, http://…/v1")
        elif importlib.util.find_spec(kind.replace("-", "_")) is None:
            raise ValueError(f"--asr={self.name}: {kind} is not installed; pip install {kind}, or leave --asr out")


    @property
    def title(self) -> str:
        """For reports."""
        if self.name == KNOWING:
            return f"{SPHINX}, which knows the build's sentences beforehand"
        return self.name if self.model is None else f"{self.model} at {self.name}"


@functools.cache
def make_recognizer(asr: Asr) -> Recognizer:
    """The recognizer; once a process, for models take their time to load."""
    if asr.name in (SPHINX, KNOWING):
        return _make_sphinx(asr.model)
    if asr.name.startswith(WHISPER):
        return _make_whisper(asr.name.partition(":")[2])
    from data_prep.generation.transcription import Transcriber
    from data_prep.llm.secret import read_secret

    transcriber = Transcriber(asr.name, asr.model, read_secret(asr.key_variable), key_variable=asr.key_variable)
    return lambda wave, language: transcriber.transcribe(write_wav(wave), language)


def write_wav(wave: np.ndarray) -> bytes:
    """The wave as a 16-bit WAV file."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(wave, -1.0, 1.0), _RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _make_sphinx(sentences: str | None) -> Recognizer:
    import pocketsphinx

    known = {} if sentences is None else {"lm": sentences}

    def make_decoder() -> "pocketsphinx.Decoder":
        return pocketsphinx.Decoder(samprate=_RATE, cmn="batch", loglevel="FATAL", **known)

    decoder = make_decoder()

    def recognize(wave: np.ndarray, language: str) -> str | None:
        nonlocal decoder
        if language != SPHINX_LANGUAGE:
            return None
        # a whisper would be lost among the steps of 16 bits
        loud = wave / max(float(np.abs(wave).max()), 1e-9) * 0.7
        samples = np.round(loud * 32767).astype("<i2")
        try:
            # else what it hears depends on what it heard before
            decoder.reinit_feat()
            decoder.start_utt()
            decoder.process_raw(samples.tobytes(), no_search=False, full_utt=True)
            decoder.end_utt()
        except RuntimeError:
            # left in the middle of an utterance, it would refuse the next
            decoder = make_decoder()
            return ""
        found = decoder.hyp()
        return found.hypstr if found else ""

    return recognize


def _make_whisper(name: str) -> Recognizer:
    from faster_whisper import WhisperModel

    try:
        model = WhisperModel(name, cpu_threads=int(os.environ.get("OMP_NUM_THREADS", "1")))
    except (OSError, ValueError, RuntimeError) as error:
        raise RecognizerError(f"--asr=faster-whisper:{name} has no model ({str(error).splitlines()[0]}); give the "
                              "folder of a converted one") from None

    def recognize(wave: np.ndarray, language: str) -> str:
        segments, _ = model.transcribe(wave.astype(np.float32), language=language)
        return " ".join(segment.text.strip() for segment in segments)

    return recognize
