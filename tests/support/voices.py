"""Speech-like waves for the tests: vowels of harmonics at a pitch and a loudness, hisses and pauses
between them."""

import numpy as np

RATE = 16_000
FORMANTS = {"a": (750, 1_200), "i": (300, 2_300), "u": (320, 800), "e": (500, 1_900)}


def make_vowel(name, hertz, seconds):
    """Harmonics of a pitch under two formants."""
    phase = 2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE
    harmonics = np.arange(1, int(5_000 / hertz))
    heights = (
        sum(np.exp(-0.5 * ((harmonics * hertz - f) / 150) ** 2) for f in FORMANTS[name]) + 0.03
    )
    return np.sin(harmonics * phase[:, None]) @ heights


def make_speech(hertz=120, *, seed=0, seconds=2.0, level=-25.0, tempo=1.0):
    """float32 syllables, `level` dB on the mean; a pitch of (from, to) moves through all of it, a
    higher `tempo` shortens them."""
    random = np.random.default_rng(seed)
    parts, length = [np.zeros(RATE // 10)], 0
    while length < seconds * RATE:
        first, last = hertz if isinstance(hertz, tuple) else (hertz, hertz)
        here = first + (last - first) * min(length / (seconds * RATE), 1)
        vowel = make_vowel(random.choice(list(FORMANTS)), here, random.uniform(0.12, 0.2) / tempo)
        hiss = (
            random.standard_normal(int(random.uniform(0.04, 0.08) * RATE / tempo))
            * 0.1
            * np.abs(vowel).max()
        )
        ramp = np.minimum(1, np.minimum(np.arange(len(vowel)), np.arange(len(vowel))[::-1]) / 200)
        parts += [hiss, vowel * ramp]
        length += len(hiss) + len(vowel)
    wave = np.concatenate(parts)[: int(seconds * RATE)]
    return (wave * 10 ** (level / 20) / np.sqrt((wave**2).mean())).astype(np.float32)
