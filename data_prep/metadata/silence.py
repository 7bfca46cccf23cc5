"""Digital silence: samples that are exactly zero, or as good as; it is cut out before a background
is measured.

    wave    0 0 0 0 .1 -.2 .3 0 .1 … .2 0 0 0 0 0 … 0 0 -.1 .2 .1 0 0 0
            └─────┘ an end              └─────────────┘ 20 ms or more: a gate, an edit           └───┘ an end
    heard           .1 -.2 .3 0 .1 … .2                 -.1 .2 .1

Padding, edited ends, noise gates and decoders write it. It is neither a room nor a noise, so
whatever looks for the quietest frames of a recording must not find it; a recording into which
somebody has put zeros is measured as the one that it was. What a coder of MP3 smears from the sound
into such zeros, some ten milliseconds far below what follows, is cut out with them. Time goes on
meanwhile: a pause of zeros is a pause to speak in.
"""

import dataclasses
import functools

import numpy as np
import scipy.ndimage

# An eighth of a 16-bit step: a frame of less has hardly a sample that is not zero.
SMALLEST = 2.0**-18
# Half a step: coders leave so much where there were zeros.
_SMALLEST_IN_RUNS = 2.0**-16
# Times are the same to the last bit whatever was cut out before: frames are counted by them.
_RATE, _DIGITS = 16_000, 9
# Between the flickers of the last bit there are shorter ones.
_SHORTEST_RUN = 320
# A coder smears an edge over so many steps of so many samples at most, of so little power, which is
# so small a part of what comes 15 ms later.
_EDGE, _MOST_STEPS, _FAINT, _RISE = 80, 12, 1e-8, 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heard:
    """What was recorded of a wave: `firsts` and `lasts` are the ends of its pieces in it, in
    samples."""

    whole: np.ndarray
    firsts: np.ndarray
    lasts: np.ndarray

    @functools.cached_property
    def wave(self) -> np.ndarray:
        """The pieces, joined."""
        if len(self.firsts) == 1:
            return self.whole[self.firsts[0] : self.lasts[0]]
        return np.concatenate(
            [self.whole[first:last] for first, last in zip(self.firsts, self.lasts, strict=True)]
        )

    @functools.cached_property
    def _joins(self) -> np.ndarray:
        """Where each piece begins in the joined wave."""
        lengths = self.lasts - self.firsts
        return np.cumsum(lengths) - lengths

    @property
    def cut_inside(self) -> int:
        """Samples that were cut out between the first piece and the last."""
        return int(self.lasts[-1] - self.firsts[0] - (self.lasts - self.firsts).sum())

    def to_heard(self, seconds: float) -> float:
        """The time in the joined wave of a time of the whole; within what was cut out, that of the
        join."""
        place = seconds * _RATE
        piece = max(int(np.searchsorted(self.firsts, place, side="right")) - 1, 0)
        within = min(
            max(place - self.firsts[piece], 0.0), float(self.lasts[piece] - self.firsts[piece])
        )
        return round(float(self._joins[piece] + within) / _RATE, _DIGITS)

    def to_whole(self, seconds: float) -> float:
        """And back; a join is the end of what was before it."""
        place = seconds * _RATE
        piece = max(int(np.searchsorted(self._joins, place, side="left")) - 1, 0)
        return round(float(self.firsts[piece] + place - self._joins[piece]) / _RATE, _DIGITS)


def cut_silence(wave: np.ndarray) -> Heard:
    """The wave without digital silence; all of one that is nothing else."""
    is_zero = np.abs(wave) < _SMALLEST_IN_RUNS
    if not len(wave) or is_zero.all():
        return Heard(whole=wave, firsts=np.array([0]), lasts=np.array([len(wave)]))
    bounds = np.flatnonzero(np.diff(is_zero.astype(np.int8), prepend=0, append=0))
    starts, stops = bounds[::2], bounds[1::2]
    # at the ends, however short
    is_cut = (stops - starts >= _SHORTEST_RUN) | (starts == 0) | (stops == len(wave))
    firsts = np.concatenate([[0], stops[is_cut]])
    lasts = np.concatenate([starts[is_cut], [len(wave)]])
    is_piece = lasts > firsts
    firsts, lasts = firsts[is_piece], lasts[is_piece]
    firsts, lasts = _cut_edges(wave, firsts, lasts)
    return Heard(whole=wave, firsts=firsts, lasts=lasts)


def _cut_edges(
    wave: np.ndarray, firsts: np.ndarray, lasts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The pieces without what a coder has made of their edges."""
    found = []
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        piece = wave[first:last]
        begin, end = _count_smeared(piece), _count_smeared(piece[::-1])
        if len(piece) > begin + end:
            found.append((first + begin, last - end))
    if not found:
        return firsts, lasts
    starts, stops = np.array(found).T
    return starts, stops


def _count_smeared(piece: np.ndarray) -> int:
    """Samples in which a sound comes up out of nothing, far below what follows at once."""
    steps = _step_power(piece[: _EDGE * (_MOST_STEPS + 6)])
    count = 0
    while count < min(_MOST_STEPS, len(steps) - 6) and steps[count] < min(
        _FAINT, _RISE * steps[count + 3 : count + 6].min()
    ):
        count += 1
    return count * _EDGE


def _step_power(wave: np.ndarray) -> np.ndarray:
    steps = wave[: len(wave) // _EDGE * _EDGE].astype(np.float64).reshape(-1, _EDGE)
    return (steps**2).mean(axis=1)


def find_heard(power: np.ndarray, blank_power: float, overlap: int) -> np.ndarray:
    """Bool [t]: frames that hold no digital silence, or all where there is no such frame.

    Blank are those of less than `blank_power`; a frame that shares samples with one of them, as
    `overlap` frames on either side do, is blank in part, and quieter than anything that was
    recorded.
    """
    is_blank = power < blank_power
    if not is_blank.any():
        return np.ones(len(power), bool)
    is_heard = ~scipy.ndimage.binary_dilation(is_blank, iterations=overlap)
    return is_heard if is_heard.any() else np.ones(len(power), bool)
