"""Digital silence: samples that are exactly zero, or as good as.

    wave    0 0 0 0 .1 -.2 .3 0 .1 … .2 0 0 0 0 0 … 0 0 -.1 .2 .1 0 0 0
            └─────┘ an end: cut off     └─────────────┘ a gate, an edit: these frames, and those that touch them, are
                                                        no background

Padding, edited ends, noise gates and decoders write it. It is neither a room nor a noise, so whatever looks for the
quietest frames of a recording must not find these.
"""

import numpy as np
import scipy.ndimage

# An eighth of a 16-bit step: a frame of less has hardly a sample that is not zero.
SMALLEST = 2.0**-18
# Half a step: coders leave so much where there were zeros.
_SMALLEST_AT_ENDS = 2.0**-16


def find_sound(wave: np.ndarray) -> slice:
    """The wave without the digital silence at its ends; all of one that is nothing else."""
    heard = np.flatnonzero(np.abs(wave) >= _SMALLEST_AT_ENDS)
    if not len(heard):
        return slice(0, len(wave))
    return slice(int(heard[0]), int(heard[-1]) + 1)


def find_heard(power: np.ndarray, blank_power: float, overlap: int) -> np.ndarray:
    """Bool [t]: frames that hold no digital silence, or all where there is no such frame.

    Blank are those of less than `blank_power`; a frame that shares samples with one of them, as `overlap` frames on
    either side do, is blank in part, and quieter than anything that was recorded.
    """
    is_blank = power < blank_power
    if not is_blank.any():
        return np.ones(len(power), bool)
    is_heard = ~scipy.ndimage.binary_dilation(is_blank, iterations=overlap)
    return is_heard if is_heard.any() else np.ones(len(power), bool)
