"""The embedded codec: one stream of units for how it sounds, and between them some for how high and how loud.

    step of 10 ms   ....................................................   features.measure
    sound units        s   s   s   s     s   s   s   s     s   s   s       envelope less the level, and voicing
    tone units       T                 T                 T                 pitch and level of the sounds behind it

    ids              T s s s s T s s s s T s s s

Tones are 0 … tones − 1, by rising pitch; sounds follow. Any row of units can be spoken: a tone holds until the next, a
sound lasts one frame, and pitch and level move in straight lines between tones. So rate is how many sounds a phone
has, loudness and pitch are the tones', and words the sounds', which are free of how loud and how high they are said.

Dims: b waves, g tones, t sounds, c slices a sound, f bands, s steps, d dimensions of a code book.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from sift_jax.units import features
from sift_jax.units.code_book import find_nearest
from sift_jax.units.codec import Codec, CodecFolder
from sift_jax.units.features import BANDS, STEP
from sift_jax.units.pieces import run_over
from sift_jax.units.synthesis import synthesise

# natural logarithm of power, of one dB
NEPER = float(np.log(10) / 10)
# a tone's distance: so many semitones weigh as much as so many dB
_SEMITONES, _DECIBELS = 1.0, 2.0
# of log power, less the level
_SILENCE = -9.0
_CEPSTRA = 14
# where no voice is near: 156 Hz, between men and women
_NO_VOICE = 16.0
_LOUDNESS_WEIGHT, _VOICING_WEIGHT = 0.6, 2.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddedOptions:
    """The shape of the stream."""

    # code books
    tones: int
    sounds: int
    # of a sound, in steps of 10 ms
    sound_steps: int
    # envelopes that a sound holds, one after the other
    slices: int
    # sounds to a tone
    sounds_a_tone: int

    def __post_init__(self) -> None:
        if self.sound_steps % self.slices:
            raise ValueError(f"sounds of {self.sound_steps} steps cannot hold {self.slices} slices alike; "
                             "give a divisor")

    @property
    def tone_steps(self) -> int:
        return self.sound_steps * self.sounds_a_tone

    @property
    def frame_rate(self) -> float:
        """Units a second, of both kinds."""
        return features.STEPS_A_SECOND * (self.sounds_a_tone + 1) / self.tone_steps


def describe(
    wave_bn: jax.Array, sample_b: jax.Array, options: EmbeddedOptions
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Tones [b, g, 2], log power [b, g, steps' slices of a tone, f] and voicing [b, g, slices], group by group."""
    missing = -wave_bn.shape[1] % (options.tone_steps * STEP)
    wave_bn = jnp.pad(wave_bn, ((0, 0), (0, missing)))
    power, level, semitone, voicing = features.measure(wave_bn, sample_b)
    batch, groups = len(wave_bn), wave_bn.shape[1] // STEP // options.tone_steps
    slices = options.slices * options.sounds_a_tone
    pitch = _find_contour(semitone, voicing)
    middle = np.arange(groups) * options.tone_steps + options.tone_steps // 2
    tones = jnp.stack([pitch[:, middle], level[:, middle]], axis=-1)
    power = power.reshape(batch, groups, slices, -1, BANDS).mean(3)
    return tones, jnp.log(power), voicing.reshape(batch, groups, slices, -1).mean(3)


def _find_contour(semitone: jax.Array, voicing: jax.Array) -> jax.Array:
    """The pitch [b, s] everywhere: of voice at hand, else of what is nearest within REACH, else _NO_VOICE."""
    reach = int(features.REACH * features.STEPS_A_SECOND)
    away = np.abs(np.arange(-reach, reach + 1))
    kernel = np.exp(-0.5 * (away / 3.0) ** 2) + 1e-3 * np.exp(-away / 12.0)
    weight = features.smooth(voicing, kernel)
    heard = features.smooth(voicing * (semitone - _NO_VOICE), kernel)
    # a transform rounds: what no voice has reached is not 0 but tiny
    return _NO_VOICE + jnp.where(weight > 1e-6, heard / jnp.maximum(weight, 1e-6), 0.0)


def scale_tones(tones: np.ndarray | jax.Array) -> np.ndarray | jax.Array:
    """[…, 2] semitones and dB in units that weigh alike."""
    return tones / np.array([_SEMITONES, _DECIBELS], np.float32)


@functools.cache
def _make_lifter() -> np.ndarray:
    """[f, cepstra]: a cosine transform whose first row, loudness, weighs less."""
    n = np.arange(BANDS)
    cosines = np.sqrt(2 / BANDS) * np.cos(np.pi / BANDS * (n[:, None] + 0.5) * np.arange(_CEPSTRA))
    cosines[:, 0] *= _LOUDNESS_WEIGHT / np.sqrt(2)
    return cosines.astype(np.float32)


def place_sounds(
    wave_bn: jax.Array, sample_b: jax.Array, tones: np.ndarray, options: EmbeddedOptions
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Ids of the tones [b, g]; and sound by sound, log power less the tones' level [b, g, t, c, f], voicing
    [b, g, t, c], and the points of both [b, g, t, d] among which the code book lies."""
    heard, log_power, voicing = describe(wave_bn, sample_b, options)
    tone, _ = find_nearest(scale_tones(heard), scale_tones(tones))
    batch, groups, slices, _ = log_power.shape
    place = np.clip((np.arange(groups * slices) + 0.5) / slices - 0.5, 0, groups - 1)
    low, share = place.astype(int), (place % 1).astype(np.float32)
    level = jnp.asarray(tones)[tone, 1]
    level = level[:, low] * (1 - share) + level[:, np.minimum(low + 1, groups - 1)] * share
    relative = log_power - level.reshape(batch, groups, slices, 1) * NEPER
    # what is far below the level is silence, all alike
    relative = jnp.logaddexp(relative, _SILENCE)
    points = jnp.concatenate([relative @ _make_lifter(), _VOICING_WEIGHT * voicing[..., None]], axis=-1)
    inner = (batch, groups, options.sounds_a_tone, options.slices)
    return tone, relative.reshape(*inner, BANDS), voicing.reshape(inner), points.reshape(*inner[:3], -1)


class EmbeddedCodec(Codec):
    """Units in which words, pitch and loudness can be told apart."""

    def __init__(self, folder: CodecFolder):
        super().__init__(folder)
        self.options = EmbeddedOptions(**folder.config.options)
        book = folder.read_tensors("book")
        self.tones, self.sounds = book["tones"], book["sounds"]
        self.voicing, self._points = book["voicing"], book["points"]
        self._assign = jax.jit(self._find_ids)

    def count_units(self, samples: int) -> int:
        sounds = max(-(-samples // (self.options.sound_steps * STEP)), 1)
        return sounds + -(-sounds // self.options.sounds_a_tone)

    def _find_ids(self, wave_bn: jax.Array, sample_b: jax.Array) -> tuple[jax.Array]:
        tone, _, _, points = place_sounds(wave_bn, sample_b, self.tones, self.options)
        sound, _ = find_nearest(points, self._points)
        return (jnp.concatenate([tone[..., None], self.options.tones + sound], axis=-1),)

    def _encode(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        groups = run_over(waves, self.options.tone_steps * STEP, self._assign)
        return [found.reshape(-1)[: self.count_units(len(wave))] for (found,), wave in zip(groups, waves, strict=True)]

    def _decode(self, batch: Sequence[np.ndarray], reference: np.ndarray | None, seed: int) -> list[np.ndarray]:
        return [self._speak(ids, seed, f"row {i} of {len(batch)}") for i, ids in enumerate(batch)]

    def _speak(self, ids: np.ndarray, seed: int, name: str) -> np.ndarray:
        is_sound = ids >= self.options.tones
        if not is_sound.any():
            raise ValueError(f"{name}: its {len(ids)} units are tones without a sound to bear them; nothing is said")
        sounds = ids[is_sound] - self.options.tones
        # where each tone begins, in sounds; of tones at one place the last holds
        begins = np.cumsum(is_sound)[~is_sound]
        held = np.flatnonzero(np.append(np.diff(begins) > 0, True)) if len(begins) else []
        tones = self.tones[ids[~is_sound][held]] if len(begins) else np.median(self.tones, axis=0)[None]
        middle = (begins[held] if len(begins) else np.zeros(1)) * self.options.sound_steps
        middle = middle + self.options.tone_steps / 2
        steps = np.arange(len(sounds) * self.options.sound_steps) + 0.5
        semitone, level = (np.interp(steps, middle, row) for row in tones.T)
        slice_steps = self.options.sound_steps / self.options.slices
        place = np.clip(steps / slice_steps - 0.5, 0, len(sounds) * self.options.slices - 1)
        low = place.astype(int)
        share = (place - low).astype(np.float32)
        envelope, voicing = self.sounds[sounds].reshape(-1, BANDS), self.voicing[sounds].reshape(-1)
        high = np.minimum(low + 1, len(envelope) - 1)
        log_power = envelope[low] * (1 - share[:, None]) + envelope[high] * share[:, None]
        log_power += (level * NEPER).astype(np.float32)[:, None]
        voiced = voicing[low] * (1 - share) + voicing[high] * share
        return synthesise(log_power, semitone, np.clip((voiced - 0.25) * 2, 0, 1), seed=seed)
