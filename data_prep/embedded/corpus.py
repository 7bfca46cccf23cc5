"""The embedded corpus: sentences × voices × deliveries × rooms, all drawn from one seed.

    Plan (language, split, index, sentence, voice, seed)  ─►  Settings  ─►  espeak ─► emphasis ─► room ─► noise ─► gain
        ─►  wave float32 [n] at 16 kHz, 1 … 6 s      and its Utterance: words with times, phones, truth

Settings of the voice are drawn independently and uniformly, so that a measured value's equal-width
bins hold about equally many; noise and room so that each of their classes is told of as many
(`rooms.draw_place`). Each utterance has a random generator of its own, keyed by (seed, language,
split, index): neither the number of workers nor the size of the corpus changes what an index says.
"""

import csv
import dataclasses
import functools
from pathlib import Path

import numpy as np
import soxr

from data_prep.corpora.splits import SPLITS, TRAIN, split_sentences
from data_prep.corpora.utterance import Utterance, WordSpan
from data_prep.embedded import espeak, rooms
from data_prep.embedded.voices import LANGUAGES, Voice, make_voices

SENTENCES = Path(__file__).parent / "sentences"
MIN_SECONDS, MAX_SECONDS = 1.0, 6.0
_LEAD_SECONDS, _TAIL_SECONDS = (0.12, 0.20), (0.15, 0.22)
_SLOWEST, _FASTEST = 85.0, 340.0
_LEVELS = ("plain", "plain", "plain", "louder", "softer")
_PITCHES = ("plain", "plain", "plain", "plain", "higher", "lower")
_WIDEST_SEMITONES = 16.0
# Espeak's sentences have their median F0 this far up between the low and the high end (measured
# over twenty voices).
_MEDIAN_PLACE = 0.69
# What <prosody pitch="±n%"> comes to: about half of it downwards, two thirds upwards.
_SPAN_PERCENT = np.array([-90, -75, -60, -45, -30, 0, 30, 45, 60, 75, 90])
_SPAN_SEMITONES = 12 * np.log2(
    [0.68, 0.715, 0.76, 0.81, 0.87, 1.0, 1.165, 1.255, 1.36, 1.475, 1.61]
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    language: str
    split: str
    index: int
    topic: str
    sentence: str
    voice: Voice
    seed: int

    @property
    def id(self) -> str:
        return f"embedded_{self.voice.speaker}_{self.index:04d}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    pitch_hz: float
    range_semitones: float
    rate: float
    span: tuple[int, int]
    span_pitch_percent: int
    span_gain_db: float
    c50: float
    snr: float
    noise: str
    level_db: float


def read_sentences(language: str) -> list[tuple[str, str]]:
    """(topic, sentence) pairs of a language."""
    with (SENTENCES / f"{language}.tsv").open(encoding="utf-8", newline="") as file:
        return [
            (row["topic"], row["sentence"])
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


def split_words(sentence: str) -> list[str]:
    """The words, each with the punctuation that follows it (French sets its marks apart by a
    space)."""
    words: list[str] = []
    for token in sentence.split():
        if words and not any(letter.isalnum() for letter in token):
            words[-1] += token
        else:
            words.append(token)
    return words


def make_plans(language: str, split: str, count: int, *, seed: int) -> list[Plan]:
    """The first `count` utterances of a split: sentences and voices each go round in turn,
    reshuffled every round."""
    place = (LANGUAGES.index(language), SPLITS.index(split))
    sentences = split_sentences(read_sentences(language), seed=seed, language_index=place[0])[split]
    voices = [voice for voice in make_voices(language) if voice.split == split]
    plans = []
    for index in range(count):
        topic, sentence = sentences[_draw_turn(index, len(sentences), (seed, *place, 1))]
        voice = voices[_draw_turn(index, len(voices), (seed, *place, 2))]
        plans.append(
            Plan(
                language=language,
                split=split,
                index=index,
                topic=topic,
                sentence=sentence,
                voice=voice,
                seed=seed,
            )
        )
    return plans


def _draw_turn(index: int, count: int, key: tuple[int, ...]) -> int:
    return int(np.random.default_rng([*key, index // count]).permutation(count)[index % count])


def make_generator(plan: Plan) -> np.random.Generator:
    """The utterance's own source of chance."""
    return np.random.default_rng(
        [plan.seed, LANGUAGES.index(plan.language), SPLITS.index(plan.split), plan.index, 7]
    )


def draw_settings(plan: Plan, rng: np.random.Generator) -> Settings:
    """How this utterance is delivered and where it is heard."""
    count = len(split_words(plan.sentence))
    length = max(1, round(count / 3))
    start = (0, (count - length) // 2, count - length)[rng.integers(3)]
    level, pitch = rng.choice(_LEVELS), rng.choice(_PITCHES)
    gain = {"plain": 0.0, "louder": rng.uniform(6, 10), "softer": -rng.uniform(6, 10)}[level]
    width = rng.uniform(0.5, _WIDEST_SEMITONES)
    percent = {"plain": 0.0, "higher": rng.uniform(50, 85), "lower": -rng.uniform(55, 88)}[pitch]
    # Who speaks in monotone does not leap for a phrase either.
    percent *= 0.25 + 0.75 * width / _WIDEST_SEMITONES
    snr, c50 = rooms.draw_place(rng)
    return Settings(
        pitch_hz=plan.voice.base_hz * rng.uniform(0.73, 1.44),
        range_semitones=width,
        rate=rng.uniform(_SLOWEST, _FASTEST),
        span=(start, start + length),
        span_pitch_percent=int(percent),
        span_gain_db=float(gain),
        c50=c50,
        snr=snr,
        noise=str(rng.choice(rooms.NOISES)),
        level_db=rng.uniform(-42.0, -18.0),
    )


def synthesize(plan: Plan) -> tuple[np.ndarray, Utterance]:
    """The wave of one planned utterance and what is known about it."""
    rng = make_generator(plan)
    settings = draw_settings(plan, rng)
    speech, settings = _speak_within_limits(plan, settings, rng)
    dry, spans = _emphasise(speech, settings)
    dry, spans = _pad(dry, spans, rng)
    response = rooms.make_response(settings.c50, rng)
    wave = rooms.add_room(dry, response)
    power = rooms.measure_active_power(wave)
    noise = rooms.make_noise(settings.noise, len(wave), rng, make_babble(plan.seed))
    wave = wave + noise * np.sqrt(power / 10 ** (settings.snr / 10))
    gain = 10 ** (settings.level_db / 20) / np.sqrt(power)
    gain = min(gain, 0.98 / float(np.abs(wave).max()))
    wave = (wave * gain).astype(np.float32)
    level = 10 * np.log10(power * gain**2)
    truth = {
        "average_pitch": settings.pitch_hz,
        "pitch_variation": _compute_variation(settings, spans),
        "speaking_rate": settings.rate,
        "average_intensity": float(level),
        "noise_level": settings.snr,
        "reverberation": float(rooms.measure_c50(response)),
    }
    return wave, _describe(plan, speech, spans, wave, truth)


def _speak_within_limits(
    plan: Plan, settings: Settings, rng: np.random.Generator
) -> tuple[espeak.Speech, Settings]:
    """Redraws the rate on the fitting side until the speech with its margins lasts one to six
    seconds."""
    slowest, fastest = _SLOWEST, _FASTEST
    longest = MAX_SECONDS - _LEAD_SECONDS[1] - _TAIL_SECONDS[1] - 0.03
    shortest = MIN_SECONDS - _LEAD_SECONDS[0] - _TAIL_SECONDS[0] + 0.02
    while True:
        speech = _speak(plan, settings)
        seconds = (speech.words[-1][1] - speech.words[0][0]) / espeak.RATE
        if shortest <= seconds <= longest or fastest - slowest < 2:
            return speech, settings
        if seconds > longest:
            slowest = min(max(slowest, settings.rate * seconds / longest), fastest)
        else:
            fastest = max(min(fastest, settings.rate * seconds / shortest), slowest)
        settings = dataclasses.replace(settings, rate=rng.uniform(slowest, fastest))


def _speak(plan: Plan, settings: Settings) -> espeak.Speech:
    ratio = 2 ** (settings.range_semitones / 12)
    low = settings.pitch_hz / (1 + _MEDIAN_PLACE * (ratio - 1))
    delivery = espeak.Delivery(
        variant=plan.voice.variant,
        accent=plan.voice.accent_file,
        rate=round(settings.rate),
        low_hz=round(low),
        high_hz=round(low * ratio),
        span=settings.span,
        span_pitch_percent=settings.span_pitch_percent,
    )
    return espeak.get_synthesizer().speak(split_words(plan.sentence), delivery)


def _emphasise(speech: espeak.Speech, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Resamples to 16 kHz, trims, and makes the chosen span louder or softer; returns word spans in
    samples."""
    dry = soxr.resample(speech.samples.astype(np.float32) / 32768, espeak.RATE, rooms.RATE)
    spans = np.round(np.array(speech.words) * (rooms.RATE / espeak.RATE)).astype(int)
    first, last = settings.span
    if settings.span_gain_db:
        gain_db = np.zeros(len(dry), np.float32)
        gain_db[spans[first][0] : spans[last - 1][1]] = settings.span_gain_db
        ramp = np.ones(320, np.float32) / 320
        dry = dry * 10 ** (np.convolve(gain_db, ramp, mode="same") / 20)
    start, end = int(spans[0][0]), int(spans[-1][1])
    return dry[start:end], spans - start


def _pad(
    dry: np.ndarray, spans: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    lead = int(rng.uniform(*_LEAD_SECONDS) * rooms.RATE)
    tail = int(rng.uniform(*_TAIL_SECONDS) * rooms.RATE)
    short = int(MIN_SECONDS * rooms.RATE) - lead - tail - len(dry)
    return np.pad(dry, (lead, tail + max(short, 0))).astype(np.float32), spans + lead


def _compute_variation(settings: Settings, spans: np.ndarray) -> float:
    """Semitones asked for: the spread of the range setting, that of a shifted span, and how the two
    meet.

    Sentences fall: raising the beginning or lowering the end widens the contour, the opposite
    flattens it.
    """
    first, last = settings.span
    begin, end, total = spans[first][0], spans[last - 1][1], spans[-1][1] - spans[0][0]
    share, place = (end - begin) / total, ((begin + end) / 2 - spans[0][0]) / total
    step = float(np.interp(settings.span_pitch_percent, _SPAN_PERCENT, _SPAN_SEMITONES))
    spread = 0.2 * settings.range_semitones
    crossed = 4 * share * step * spread * (0.5 - place)
    return float(np.sqrt(max(spread**2 + share * (1 - share) * step**2 + crossed, 0.01)))


def _describe(
    plan: Plan, speech: espeak.Speech, spans: np.ndarray, wave: np.ndarray, truth: dict[str, float]
) -> Utterance:
    words = tuple(
        WordSpan(
            word=word.strip(' ,;:.!?¿¡…«»"()'),
            position=i + 1,
            start=round(int(a) / rooms.RATE, 4),
            end=round(int(b) / rooms.RATE, 4),
        )
        for i, (word, (a, b)) in enumerate(zip(split_words(plan.sentence), spans, strict=True))
    )
    voice = plan.voice
    return Utterance(
        id=plan.id,
        language=plan.language,
        split=plan.split,
        speaker=voice.speaker,
        duration=round(len(wave) / rooms.RATE, 4),
        transcript=plan.sentence,
        topic=plan.topic,
        phonemes=speech.phones,
        is_question=plan.sentence.endswith("?"),
        gender=voice.gender,
        age_category=voice.age_category,
        accent=voice.accent,
        words=words,
        truth={key: round(value, 3) for key, value in truth.items()},
    )


@functools.cache
def make_babble(seed: int) -> np.ndarray:
    """Eight seconds of many training voices and training sentences talking at once; one bank a
    corpus."""
    rng = np.random.default_rng([seed, 1946])
    bank = np.zeros(8 * rooms.RATE, np.float32)
    for language in LANGUAGES:
        for plan in make_plans(language, TRAIN, 8, seed=seed):
            settings = dataclasses.replace(
                draw_settings(plan, rng), span_gain_db=0.0, span_pitch_percent=0
            )
            speech = _speak(plan, settings)
            wave, _ = _emphasise(speech, settings)
            wave = wave[: len(bank)] / np.sqrt(rooms.measure_active_power(wave))
            bank[(int(rng.integers(len(bank))) + np.arange(len(wave))) % len(bank)] += wave
    return bank
