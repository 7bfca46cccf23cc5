"""Utterances measured from their waves; nothing here reads the synthesizer's settings.

    wave [n], Utterance  ─►  {… the utterance …, "values": {key: number}, "words": [{…, "average_pitch": …}, …]}
                         or  the name of the key whose value is not feasible, "samples" where they are no numbers,
                             "silence" where most of them are zeros: the utterance is to be dropped

Where no words were aligned, speech begins and ends where it is loud enough. Networks hear several
utterances at once. What rests on the background is left out where a gate has cut the background
away. A value that two ways of measuring do not agree on goes with the row, as "in_doubt": it has no
class. How much of a background there is to hear goes with a row, as "background": margins of a tenth
of a second or more before or after the words ("margins"), pauses alone ("pauses"), or neither
("gated"); and how even it is, as "evenness", in dB, or None where
nobody can tell.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from data_prep.corpora.utterance import Utterance
from data_prep.metadata import intensity, noise, word_measures
from data_prep.metadata.absolute import EVENNESS
from data_prep.metadata.experts import Panel, Recording, make_panel
from data_prep.metadata.fields import HEARD, hear_fields
from data_prep.metadata.gender_network import FEMALE_SHARE
from data_prep.metadata.plausible_ranges import is_feasible
from data_prep.metadata.silence import cut_silence
from sift_jax.sift.labels import GENDERS

# Utterances that networks hear together.
_BATCH = 16
# Why an utterance is dropped, where it is not for a key.
SAMPLES, SILENCE = "samples", "silence"
# What a row says of its background.
BACKGROUND = "background"
MARGINS, PAUSES, GATED = "margins", "pauses", "gated"
# The keys of a row that have a value, and no class.
IN_DOUBT = "in_doubt"
_BY_BACKGROUND = frozenset({"noise_level", "reverberation", "distortion_level"})
_LEAST_MARGIN = 0.1
_RATE = 16_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """A metadata row without labels, or the key that was infeasible."""

    row: dict[str, Any] | None
    rejected: str | None


def measure_utterance(
    wave: np.ndarray, utterance: Utterance, panel: Panel | None = None
) -> Measured:
    """One utterance by itself."""
    return next(measure_utterances([(wave, utterance)], panel or make_panel()))[1]


def measure_utterances(
    timed: Iterable[tuple[np.ndarray, Utterance]], panel: Panel
) -> Iterator[tuple[Utterance, Measured]]:
    """The acoustic values, by default six, and those of each word, in order; no rate where no
    phones are known."""
    waiting = iter(timed)
    while batch := list(itertools.islice(waiting, _BATCH if panel.hears_many else 1)):
        recordings = [make_recording(wave, utterance, panel) for wave, utterance in batch]
        heard = [recording for recording in recordings if recording]
        answers: list[dict[str, float | None]] = [{} for _ in heard]
        for network, keys in panel.networks:
            for answer, found in zip(
                answers, network([recording.wave for recording in heard]), strict=True
            ):
                answer |= {key: found[key] for key in keys}
        remaining, shares = iter(answers), _hear_genders(batch, recordings, panel)
        fields = _hear_fields(batch, recordings, panel)
        for place, ((wave, utterance), recording) in enumerate(zip(batch, recordings, strict=True)):
            measured = _measure(
                utterance, wave, recording, next(remaining) if recording else {}, panel
            )
            if measured.row and place in shares:
                measured.row[FEMALE_SHARE] = shares[place]
            if measured.row and fields.get(place):
                measured.row[HEARD] = fields[place]
            yield utterance, measured


def _hear_genders(
    batch: Sequence[tuple[np.ndarray, Utterance]],
    recordings: Sequence[Recording | None],
    panel: Panel,
) -> dict[int, float | None]:
    """P(female) of those in a batch of whom the corpus does not tell the gender."""
    if panel.gender is None:
        return {}
    places = [
        place
        for place, ((_, utterance), recording) in enumerate(zip(batch, recordings, strict=True))
        if recording and utterance.gender not in GENDERS
    ]
    heard = panel.gender([batch[place][0] for place in places]) if places else []
    return {place: found[FEMALE_SHARE] for place, found in zip(places, heard, strict=True)}


def _hear_fields(
    batch: Sequence[tuple[np.ndarray, Utterance]],
    recordings: Sequence[Recording | None],
    panel: Panel,
) -> dict[int, dict[str, dict[str, float]]]:
    """What is heard of free fields, by the place in a batch."""
    places = [place for place, recording in enumerate(recordings) if panel.listeners and recording]
    heard = hear_fields(
        panel.listeners,
        [batch[place][0] for place in places],
        [batch[place][1].fields for place in places],
    )
    return dict(zip(places, heard, strict=True))


def make_recording(wave: np.ndarray, utterance: Utterance, panel: Panel) -> Recording | None:
    """What the experts hear, without the digital silence at its ends; None of samples that are no
    numbers."""
    if not np.isfinite(wave).all():
        return None
    heard = cut_silence(wave)
    begin, end = int(heard.firsts[0]), int(heard.lasts[-1])
    lead, zeros = begin / _RATE, begin + len(wave) - end
    wave = wave[begin:end]
    if utterance.words:
        times = utterance.words[0].start, utterance.words[-1].end
    else:
        start, stop = intensity.find_speech(intensity.frame_power(heard.wave))
        times = heard.to_whole(start), heard.to_whole(stop)
    first, last = (round(max(time - lead, 0.0), 9) for time in times)
    return Recording(
        wave=wave,
        phonemes=utterance.phonemes or "",
        first_word=first,
        last_word=last,
        lead=lead,
        zeros=zeros,
        track_pitch=panel.track_pitch,
    )


def _is_silence(wave: np.ndarray) -> bool:
    """Whether more than half of the samples lie in digital silence: next to nothing was
    recorded."""
    power = intensity.frame_power(wave)
    return bool(np.count_nonzero(intensity.find_blank(power)) > len(power) / 2)


def _describe_background(recording: Recording) -> str:
    if noise.is_gated(recording.heard, recording.heard_power):
        return GATED
    after = len(recording.wave) / _RATE - recording.last_word
    return MARGINS if max(recording.first_word, after) >= _LEAST_MARGIN else PAUSES


def _measure_evenness(recording: Recording) -> float | None:
    """In dB; None where no background is left of which it could be told."""
    power = recording.heard_power
    if noise.has_lost_margins(recording.zeros, power):
        return None
    return round(noise.measure_evenness(power, recording.heard_first), 1)


def _measure(
    utterance: Utterance,
    wave: np.ndarray,
    recording: Recording | None,
    heard: dict[str, float | None],
    panel: Panel,
) -> Measured:
    if recording is None:
        return Measured(row=None, rejected=SAMPLES)
    if _is_silence(wave):
        return Measured(row=None, rejected=SILENCE)
    values: dict[str, float] = {}
    background = _describe_background(recording)
    for key in panel.keys:
        if key == "speaking_rate" and not utterance.phonemes:
            continue
        # A network was taught what it makes of gates.
        if background == GATED and key in _BY_BACKGROUND and key in panel.singles:
            continue
        value = heard[key] if key in heard else panel.singles[key](recording)
        if value is None or not is_feasible(key, value):
            return Measured(row=None, rejected=key)
        values[key] = round(value, 3)
    row = dataclasses.asdict(utterance)
    truth = row.pop("truth")
    row["words"] = word_measures.measure_words(
        recording.track, recording.power, utterance.words, recording.lead
    )
    is_in_doubt = "pitch_variation" in values and not recording.is_variation_sure
    row |= {
        "values": values,
        "truth": truth,
        IN_DOUBT: ["pitch_variation"] if is_in_doubt else [],
        BACKGROUND: background,
        EVENNESS: _measure_evenness(recording),
    }
    return Measured(row=row, rejected=None)
