"""What writes speech down, behind one interface.

    Recogniser.recognise(audio file, "en") ─►  Hypothesis(text="i think the momentum continues", confidence=0.71, …)

    pocketsphinx     English out of the box, BSD, its model in its wheel: old, small, often wrong
    endpoint         any OpenAI-compatible server, POST /audio/transcriptions
    faster_whisper   a Whisper in CTranslate2's layout, on this machine, where the package is installed
"""

import dataclasses
import importlib.util
import json
import math
import uuid
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from data_prep.llm.client import ChatClient, Endpoint, Passing
from data_prep.llm.patience import Patience
from data_prep.llm.secret import read_secret
from sift_jax.audio.files import read_audio

POCKETSPHINX, ENDPOINT, FASTER_WHISPER = "pocketsphinx", "endpoint", "faster_whisper"
RECOGNISERS = (POCKETSPHINX, ENDPOINT, FASTER_WHISPER)
_RATE = 16_000


class RecogniserError(ValueError):
    """A recogniser that cannot work; one line with the remedy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """What was understood. `confidence` is in 0 … 1, by the recogniser's own measure: it compares within one alone."""

    text: str
    confidence: float | None
    language: str | None = None
    no_speech: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recognising:
    """Which recogniser; `model` is the folder or name of a Whisper for faster_whisper."""

    recogniser: str
    endpoint: Endpoint | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        if self.recogniser not in RECOGNISERS:
            raise ValueError(f"--asr={self.recogniser}: no such recogniser; choose of {', '.join(RECOGNISERS)}")
        if self.recogniser == ENDPOINT and self.endpoint is None:
            raise ValueError("--asr=endpoint needs --endpoint=<address with /v1> and --model")
        if self.recogniser == FASTER_WHISPER and not self.model:
            raise ValueError("--asr=faster_whisper needs --asr_model=<folder of a Whisper in CTranslate2's layout>")

    @property
    def identity(self) -> dict[str, Any]:
        server = self.endpoint and [self.endpoint.url, self.endpoint.model, dict(self.endpoint.extra)]
        return {"recogniser": self.recogniser, "server": server, "model": self.model}


class Recogniser(Protocol):
    """`calls` is how many recordings may be heard at once."""

    calls: int

    def recognise(self, path: Path, language: str) -> Hypothesis: ...

    def stop(self) -> None: ...


def make_recogniser(recognising: Recognising, seed: int) -> Recogniser:
    if recognising.recogniser == POCKETSPHINX:
        return Sphinx()
    if recognising.recogniser == ENDPOINT:
        assert recognising.endpoint is not None
        return TranscriptionEndpoint(recognising.endpoint, seed)
    assert recognising.model is not None
    return FasterWhisper(recognising.model)


class Sphinx:
    """pocketsphinx with the model of its wheel; the same recording gives the same words, whatever came before."""

    calls = 1

    def __init__(self):
        if importlib.util.find_spec("pocketsphinx") is None:
            raise RecogniserError("pocketsphinx is not installed; pip install 'sift_jax[align]', or give another --asr")
        import pocketsphinx

        # means over each recording, not over those before it
        self._decoder = pocketsphinx.Decoder(samprate=_RATE, cmn="batch", loglevel="FATAL")

    def recognise(self, path: Path, language: str) -> Hypothesis:
        if language != "en":
            raise RecogniserError(f"--asr=pocketsphinx understands English, not {language!r}; give another --asr")
        samples = np.round(np.clip(read_audio(path, rate=_RATE), -1.0, 1.0) * 32767).astype("<i2")
        decoder = self._decoder
        # what it has learnt of the channel from the recordings before
        decoder.reinit_feat()
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), no_search=False, full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        if found is None:
            return Hypothesis(text="", confidence=None)
        shares = [min(1.0, segment.prob) for segment in decoder.seg() or ()
                  if segment.word[0] not in "<[+" and segment.word != "(NULL)"]
        return Hypothesis(text=" ".join(found.hypstr.split()), language="en",
                          confidence=round(float(np.mean(shares)), 4) if shares else None)

    def stop(self) -> None:
        """It waits for nobody."""


class TranscriptionEndpoint:
    """The client's retries and limits are those of a writer's."""

    def __init__(self, endpoint: Endpoint, seed: int):
        self.endpoint, self.calls = endpoint, endpoint.concurrency
        self.client = ChatClient(endpoint, read_secret(endpoint.key_variable), seed=seed)
        self.patience = Patience(endpoint.concurrency)

    def recognise(self, path: Path, language: str) -> Hypothesis:
        fields = {"model": self.endpoint.model, "language": language, "response_format": "verbose_json",
                  "temperature": "0", **self.endpoint.extra}
        border = uuid.uuid4().hex
        body = write_form({name: str(value) for name, value in fields.items() if value is not None}, path, border)
        return self.patience.call(self.client, "/audio/transcriptions", body,
                                  f"multipart/form-data; boundary={border}", parse_transcription)

    def stop(self) -> None:
        self.client.stop()


def write_form(fields: dict[str, str], path: Path, border: str) -> bytes:
    """Fields and a file, as a browser sends a form."""
    parts = [f'--{border}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
             for name, value in fields.items()]
    head = (f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="audio{path.suffix}"\r\n'
            f"Content-Type: application/octet-stream\r\n\r\n")
    return ("".join(parts) + head).encode() + path.read_bytes() + f"\r\n--{border}--\r\n".encode()


def parse_transcription(payload: bytes) -> Hypothesis:
    """The words in an answer, which may be none; whatever has no place for them is worth another attempt."""
    try:
        value = json.loads(payload)
        text = value["text"]
        if not isinstance(text, str):
            raise TypeError
        segments = [segment for segment in value.get("segments") or () if isinstance(segment, dict)]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Passing("broken answer", f"no text in {payload[:80]!r} ({type(error).__name__})") from None
    language = value.get("language")
    return Hypothesis(text=" ".join(text.encode("utf-8", "replace").decode().split()),
                      confidence=_average([_read_number(segment, "avg_logprob") for segment in segments]),
                      no_speech=max((number for segment in segments if (
                          number := _read_number(segment, "no_speech_prob")) is not None), default=None),
                      language=language if isinstance(language, str) else None)


def _read_number(segment: dict[str, Any], name: str) -> float | None:
    value = segment.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _average(logs: list[float | None]) -> float | None:
    known = [min(0.0, value) for value in logs if value is not None]
    return round(math.exp(sum(known) / len(known)), 4) if known else None


class FasterWhisper:
    """Greedy, without the text before: what a window made up would go on in the next."""

    calls = 1

    def __init__(self, model: str):
        if importlib.util.find_spec("faster_whisper") is None:
            raise RecogniserError("faster_whisper is not installed; pip install 'sift_jax[asr]', or give another --asr")
        from faster_whisper import WhisperModel

        self._model = WhisperModel(model, local_files_only=True)

    def recognise(self, path: Path, language: str) -> Hypothesis:
        segments, known = self._model.transcribe(str(path), language=language, beam_size=1, temperature=0.0,
                                                 condition_on_previous_text=False)
        found = list(segments)
        return Hypothesis(text=" ".join(" ".join(segment.text for segment in found).split()), language=known.language,
                          confidence=_average([segment.avg_logprob for segment in found]),
                          no_speech=max((segment.no_speech_prob for segment in found), default=None))

    def stop(self) -> None:
        """It waits for nobody."""
