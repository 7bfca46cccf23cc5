"""What writes speech down, behind one interface.

Recogniser.recognise(audio file, "en") ─►  Hypothesis(text="i think the momentum continues", confidence=0.71, …)

pocketsphinx     English out of the box, BSD, its model in its wheel: old, small, often wrong
endpoint         any OpenAI-compatible server, POST /audio/transcriptions (asr_endpoint.py)
faster_whisper   a Whisper in CTranslate2's layout, on this machine, where the package is installed
"""

import dataclasses
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from data_prep.llm.chat_client import Endpoint
from data_prep.recognition.hypothesis import Hypothesis, RecogniserError, average_logs
from sift_jax.audio.files import read_audio
from sift_jax.extras import is_installed, say_install

POCKETSPHINX, ENDPOINT, FASTER_WHISPER = "pocketsphinx", "endpoint", "faster_whisper"
RECOGNISERS = (POCKETSPHINX, ENDPOINT, FASTER_WHISPER)
SPHINX_LANGUAGE = "en"
_RATE = 16_000
# of full scale, at the loudest: its model was learnt from louder speech than whispers
_LEVEL = 0.7


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recognising:
    """Which recogniser. `model` is the folder or name of a Whisper for faster_whisper; `sentences`
    a language model in the ARPA form that pocketsphinx takes for its own (bigram_lm.py)."""

    recogniser: str
    endpoint: Endpoint | None = None
    model: str | None = None
    sentences: str | None = None

    def __post_init__(self) -> None:
        if self.recogniser not in RECOGNISERS:
            raise ValueError(
                f"--asr={self.recogniser}: no such recogniser; choose of {', '.join(RECOGNISERS)}"
            )
        if self.recogniser == ENDPOINT and self.endpoint is None:
            raise ValueError(
                "--asr=endpoint needs the server's address with /v1, and the model's name there"
            )
        if self.recogniser == FASTER_WHISPER and not self.model:
            raise ValueError(
                "--asr=faster_whisper needs --asr_model=<folder of a Whisper in CTranslate2's "
                "layout>"
            )
        if self.recogniser != ENDPOINT and not is_installed(self.recogniser):
            extra = "align" if self.recogniser == POCKETSPHINX else "asr"
            raise RecogniserError(
                f"--asr={self.recogniser}: {self.recogniser} is not installed; "
                f"{say_install(extra)}, or give another --asr"
            )

    @property
    def identity(self) -> dict[str, Any]:
        server = self.endpoint and [
            self.endpoint.url,
            self.endpoint.model,
            dict(self.endpoint.extra),
        ]
        return {"recogniser": self.recogniser, "server": server, "model": self.model}

    @property
    def title(self) -> str:
        """For reports."""
        if self.endpoint is not None:
            return f"{self.endpoint.model} at {self.endpoint.url}"
        known = ", which knows the build's sentences beforehand" if self.sentences else ""
        return f"{self.recogniser}{known}{f' ({self.model})' if self.model else ''}"

    def knows(self, language: str) -> bool:
        """Whether it can be asked about speech in that language."""
        return self.recogniser != POCKETSPHINX or language == SPHINX_LANGUAGE


class Recogniser(Protocol):
    """`calls` is how many recordings may be heard at once."""

    calls: int

    def recognise(self, path: Path, language: str) -> Hypothesis: ...

    def stop(self) -> None: ...


_kept: dict[str, Recogniser] = {}


def make_recogniser(recognising: Recognising, seed: int) -> Recogniser:
    if recognising.recogniser == POCKETSPHINX:
        return Sphinx() if recognising.sentences is None else Sphinx(lm=recognising.sentences)
    if recognising.recogniser == ENDPOINT:
        from data_prep.recognition.asr_endpoint import TranscriptionEndpoint

        assert recognising.endpoint is not None
        return TranscriptionEndpoint(recognising.endpoint, seed)
    assert recognising.model is not None
    return FasterWhisper(recognising.model)


def get_recogniser(recognising: Recognising) -> Recogniser:
    """The same once a process, for models take their time to load."""
    name = repr(recognising)
    if name not in _kept:
        _kept[name] = make_recogniser(recognising, 0)
    return _kept[name]


class Sphinx:
    """pocketsphinx with the model of its wheel; the same recording gives the same words, whatever
    came before."""

    calls = 1

    def __init__(self, **settings: str):
        self._settings = settings
        self._decoder = self._make_decoder()

    def _make_decoder(self) -> Any:
        import pocketsphinx

        # means over each recording, not over those before it
        return pocketsphinx.Decoder(samprate=_RATE, cmn="batch", loglevel="FATAL", **self._settings)

    def recognise(self, path: Path, language: str) -> Hypothesis:
        if language != SPHINX_LANGUAGE:
            raise RecogniserError(
                f"--asr=pocketsphinx understands English, not {language!r}; give another --asr"
            )
        wave = read_audio(path, rate=_RATE)
        levelled = wave / max(float(np.abs(wave).max(initial=0.0)), 1e-9) * _LEVEL
        decoder = self._decoder
        # what it has learnt of the channel from the recordings before
        decoder.reinit_feat()
        try:
            decoder.start_utt()
            decoder.process_raw(
                np.round(levelled * 32767).astype("<i2").tobytes(), no_search=False, full_utt=True
            )
            decoder.end_utt()
        except RuntimeError:
            # zeros that go on for long are more than it bears; in the middle of one utterance, it
            # would refuse the next
            self._decoder = self._make_decoder()
            return Hypothesis(text="", confidence=None)
        found = decoder.hyp()
        if found is None:
            return Hypothesis(text="", confidence=None)
        shares = [
            min(1.0, segment.prob)
            for segment in decoder.seg() or ()
            if segment.word[0] not in "<[+" and segment.word != "(NULL)"
        ]
        return Hypothesis(
            text=" ".join(found.hypstr.split()),
            language=SPHINX_LANGUAGE,
            confidence=round(float(np.mean(shares)), 4) if shares else None,
        )

    def stop(self) -> None:
        """It waits for nobody."""


class FasterWhisper:
    """Greedy, without the text before: what a window made up would go on in the next."""

    calls = 1

    def __init__(self, model: str):
        from faster_whisper import WhisperModel

        try:
            self._model = WhisperModel(model, local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise RecogniserError(
                f"--asr=faster_whisper has no model {model} ({str(error).splitlines()[0]}); give "
                "the folder of a converted one as --asr_model"
            ) from None

    def recognise(self, path: Path, language: str) -> Hypothesis:
        segments, known = self._model.transcribe(
            str(path),
            language=language,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
        )
        found = list(segments)
        return Hypothesis(
            text=" ".join(" ".join(segment.text for segment in found).split()),
            language=known.language,
            confidence=average_logs([segment.avg_logprob for segment in found]),
            no_speech=max((segment.no_speech_prob for segment in found), default=None),
        )

    def stop(self) -> None:
        """It waits for nobody."""
