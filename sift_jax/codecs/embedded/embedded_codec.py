"""The embedded codec: what holds for the whole, then how it sounds, and between that how high and
how loud.

    steps of 10 ms   ................................................   embedded_features.measure
    header           P H S L                                            pace, height, spread, length: utterance_header
    sound units              s   s   s     s   s   s     s   s          envelope less the level, and voicing
    tone units             T             T             T                pitch and level of the sounds behind it

    ids              P H S L T s s s T s s s T s s

Of the ids the head's come first, then tones, then sounds. Any row of units can be spoken: a tone
holds until the next, a sound lasts as long as the pace has it, and pitch and level move in straight
lines between tones. A fast speaker's sounds are shorter, not fewer: how many there are follows from
the text, how long they take from the pace. A tone's pitch counts in spreads from the height, so
that a melody is the same one however high and lively it is sung.

Dims: s steps, f bands, g tones, t sounds, c slices a sound, d dimensions of a code book.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from sift_jax.codecs.chunked_batches import run_over
from sift_jax.codecs.code_book import assign
from sift_jax.codecs.codec import Codec
from sift_jax.codecs.codec_folder import CodecFolder
from sift_jax.codecs.embedded import embedded_features
from sift_jax.codecs.embedded.embedded_features import BANDS, STEP
from sift_jax.codecs.embedded.pulse_synthesis import synthesise
from sift_jax.codecs.embedded.utterance_header import (
    HEAD_CODES,
    HEAD_VALUES,
    PACES,
    Head,
    measure_head,
    read_head,
)

Tones = TypeVar("Tones", np.ndarray, jax.Array)
# natural logarithm of power, of one dB
NEPER = float(np.log(10) / 10)
# a tone's distance: so many spreads weigh as much as so many dB
_SPREADS, _DECIBELS = 0.3, 2.0
# pitches further away are a tracker's, not a voice's
_FURTHEST = 3.0
# of log power, less the level
_SILENCE = -9.0
_VOICING_WEIGHT = 2.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddedOptions:
    """The shape of the stream."""

    # code books
    tones: int
    sounds: int
    # of a sound at the pace of 1, in steps of 10 ms
    sound_steps: int
    # envelopes that a sound holds, one after the other
    slices: int
    # sounds to a tone
    sounds_a_tone: int

    def __post_init__(self) -> None:
        if self.sound_steps < self.slices * PACES[-1]:
            raise ValueError(
                f"sounds of {self.sound_steps} steps, {self.sound_steps / PACES[-1]:g} where "
                f"speech is fastest, cannot hold {self.slices} slices; give fewer slices, or "
                "longer sounds"
            )

    @property
    def codes(self) -> int:
        return HEAD_CODES + self.tones + self.sounds

    @property
    def frame_rate(self) -> float:
        """Units a second at the pace of 1, less the head."""
        return (
            embedded_features.STEPS_A_SECOND
            * (self.sounds_a_tone + 1)
            / (self.sound_steps * self.sounds_a_tone)
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heard:
    """One recording, step by step, and its head as the units have it."""

    log_power_sf: np.ndarray
    level_s: np.ndarray
    semitone_s: np.ndarray
    voicing_s: np.ndarray
    head: Head


def hear(waves: Sequence[np.ndarray]) -> list[Heard]:
    """What the units are made of, pieces of long recordings joined."""
    found = []
    for log_power, level, semitone, voicing in run_over(waves, STEP, _measure_steps):
        head = read_head(measure_head(find_relative(log_power, level), semitone, voicing).to_ids())
        # the contour goes on where no voice is; beyond the reach of any it is nothing
        found.append(
            Heard(
                log_power_sf=log_power,
                level_s=level,
                voicing_s=voicing,
                head=head,
                semitone_s=_find_contour(semitone, voicing, head.height),
            )
        )
    return found


@jax.jit
def _measure_steps(wave_bn: jax.Array, sample_b: jax.Array) -> tuple[jax.Array, ...]:
    power, level, semitone, voicing = embedded_features.measure(wave_bn, sample_b)
    return jnp.log(power), level, semitone, voicing


def find_relative(log_power_sf: np.ndarray, level_s: np.ndarray) -> np.ndarray:
    """Log power less the level; what is far below it is silence, all alike."""
    return np.logaddexp(
        log_power_sf - level_s[:, None].astype(np.float32) * NEPER, np.float32(_SILENCE)
    )


def _find_contour(semitone_s: np.ndarray, voicing_s: np.ndarray, height: float) -> np.ndarray:
    """The pitch everywhere: of voice at hand, else of what is nearest within REACH, else the
    height."""
    reach = int(embedded_features.REACH * embedded_features.STEPS_A_SECOND)
    away = np.abs(np.arange(-reach, reach + 1))
    kernel = np.exp(-0.5 * (away / 3.0) ** 2) + 1e-3 * np.exp(-away / 12.0)
    weight = np.convolve(voicing_s, kernel)[reach:][: len(voicing_s)]
    heard = np.convolve(voicing_s * (semitone_s - height), kernel)[reach:][: len(voicing_s)]
    return height + np.where(weight > 1e-6, heard / np.maximum(weight, 1e-6), 0.0)


def find_sound_steps(options: EmbeddedOptions, head: Head) -> float:
    """How many steps a sound lasts."""
    return options.sound_steps / head.pace


def describe_tones(heard: Heard, options: EmbeddedOptions) -> np.ndarray:
    """[g, 2]: spreads away from the height, and dB, in the middle of each tone's sounds."""
    steps = len(heard.level_s)
    sound = find_sound_steps(options, heard.head)
    tones = -(-_count_sounds(steps, sound) // options.sounds_a_tone)
    middle = (np.arange(tones) + 0.5) * options.sounds_a_tone * sound - 0.5
    pitch, level = (
        np.interp(middle, np.arange(steps), x) for x in (heard.semitone_s, heard.level_s)
    )
    away = np.clip((pitch - heard.head.height) / heard.head.spread, -_FURTHEST, _FURTHEST)
    return np.stack([away, level], axis=1).astype(np.float32)


def _count_sounds(steps: int, sound_steps: float) -> int:
    return max(int(np.ceil(steps / sound_steps - 1e-6)), 1)


def scale_tones(tones: Tones) -> Tones:
    """[…, 2] spreads and dB in units that weigh alike."""
    return tones / np.array([_SPREADS, _DECIBELS], np.float32)


def assign_all(described: Sequence[np.ndarray], tones: np.ndarray) -> list[np.ndarray]:
    """The ids of each recording's tones."""
    return _split(assign(scale_tones(np.concatenate(described)), scale_tones(tones)), described)


def _split(joined: np.ndarray, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What was joined, as long as the parts."""
    return np.split(joined, np.cumsum([len(part) for part in parts])[:-1])


def place_sounds(
    heard: Heard, tone_g: np.ndarray, tones: np.ndarray, options: EmbeddedOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each sound log power less the tones' level [t, c, f], voicing [t, c], and the point of
    both [t, d] among which the code book lies."""
    steps, sound = len(heard.level_s), find_sound_steps(options, heard.head)
    slices = _count_sounds(steps, sound) * options.slices
    edges = np.arange(slices + 1) * sound / options.slices
    log_power = _average_between(heard.log_power_sf, edges)
    voicing = _average_between(heard.voicing_s[:, None], edges)[:, 0]
    place = (np.arange(slices) + 0.5) / (options.slices * options.sounds_a_tone) - 0.5
    level = np.interp(place, np.arange(len(tone_g)), tones[tone_g, 1])
    relative = find_relative(log_power, level)
    points = np.concatenate(
        [relative @ embedded_features.make_lifter(), _VOICING_WEIGHT * voicing[:, None]], axis=1
    )
    shape = (-1, options.slices)
    return (
        relative.reshape(*shape, BANDS),
        voicing.reshape(shape),
        points.reshape(slices // options.slices, -1),
    )


def _average_between(x_sf: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Means [len(edges) − 1, f] between places in steps, which may fall within one; the last step
    goes on."""
    padded = np.pad(x_sf, ((0, max(int(np.ceil(edges[-1])) - len(x_sf), 0)), (0, 0)), mode="edge")
    sums = np.concatenate(
        [np.zeros((1, x_sf.shape[1])), np.cumsum(padded, axis=0, dtype=np.float64)]
    )
    low = np.minimum(edges.astype(int), len(padded) - 1)
    at = sums[low] + (edges - low)[:, None] * padded[low]
    return (np.diff(at, axis=0) / np.diff(edges)[:, None]).astype(np.float32)


class EmbeddedCodec(Codec):
    """Units in which words, pace, pitch and loudness can be told apart."""

    def __init__(self, folder: CodecFolder):
        super().__init__(folder)
        book = folder.read_tensors("book")
        if not np.array_equal(book.get("head", ()), HEAD_VALUES):
            raise ValueError(
                f"{folder.path}: its head is another than this version writes and reads; fit the "
                "codec again, and make the units again"
            )
        self.options = EmbeddedOptions(**folder.config.options)
        self.tones, self.sounds = book["tones"], book["sounds"]
        self.voicing, self._points = book["voicing"], book["points"]

    @property
    def first_tone(self) -> int:
        return HEAD_CODES

    @property
    def first_sound(self) -> int:
        return HEAD_CODES + self.options.tones

    def can_speak(self, ids: np.ndarray) -> bool:
        return bool((np.asarray(ids) >= self.first_sound).any())

    def _encode(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        heard = hear(waves)
        tones = assign_all([describe_tones(one, self.options) for one in heard], self.tones)
        placed = [
            place_sounds(one, tone, self.tones, self.options)[2]
            for one, tone in zip(heard, tones, strict=True)
        ]
        sounds = _split(assign(np.concatenate(placed), self._points), placed)
        return [self._lay_out(*parts) for parts in zip(heard, tones, sounds, strict=True)]

    def _lay_out(self, heard: Heard, tone_g: np.ndarray, sound_t: np.ndarray) -> np.ndarray:
        places = np.arange(len(tone_g)) * self.options.sounds_a_tone
        stream = np.insert(self.first_sound + sound_t, places, self.first_tone + tone_g)
        head = dataclasses.replace(heard.head, length=float(len(sound_t)))
        return np.concatenate([head.to_ids(), stream])

    def _decode(
        self, batch: Sequence[np.ndarray], reference: np.ndarray | None, seed: int
    ) -> list[np.ndarray]:
        return [self._speak(ids, seed, f"row {i} of {len(batch)}") for i, ids in enumerate(batch)]

    def _speak(self, ids: np.ndarray, seed: int, name: str) -> np.ndarray:
        head = read_head(ids)
        ids = ids[ids >= self.first_tone]
        is_sound = ids >= self.first_sound
        if not is_sound.any():
            raise ValueError(f"{name}: its units have no sound among them; nothing is said")
        sounds = ids[is_sound] - self.first_sound
        sound_steps = find_sound_steps(self.options, head)
        away, level, middle = self._place_tones(ids, is_sound)
        steps = np.arange(round(len(sounds) * sound_steps)) + 0.5
        semitone = head.height + head.spread * np.interp(steps / sound_steps, middle, away)
        level = np.interp(steps / sound_steps, middle, level)
        place = np.clip(
            steps * self.options.slices / sound_steps - 0.5,
            0,
            len(sounds) * self.options.slices - 1,
        )
        low = place.astype(int)
        share = (place - low).astype(np.float32)
        envelope, voicing = self.sounds[sounds].reshape(-1, BANDS), self.voicing[sounds].reshape(-1)
        high = np.minimum(low + 1, len(envelope) - 1)
        log_power = envelope[low] * (1 - share[:, None]) + envelope[high] * share[:, None]
        log_power += (level * NEPER).astype(np.float32)[:, None]
        voiced = voicing[low] * (1 - share) + voicing[high] * share
        return synthesise(log_power, semitone, np.clip((voiced - 0.25) * 2, 0, 1), seed=seed)

    def _place_tones(
        self, ids: np.ndarray, is_sound: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pitch, level and middle, in sounds, of each tone; of tones at one place the last
        holds."""
        begins = np.cumsum(is_sound)[~is_sound]
        if not len(begins):
            return np.zeros(1), np.median(self.tones[:, 1])[None], np.zeros(1)
        held = np.flatnonzero(np.append(np.diff(begins) > 0, True))
        away, level = self.tones[ids[~is_sound][held] - self.first_tone].T
        return away, level, begins[held] + self.options.sounds_a_tone / 2
