"""A module of a user's that reads for ever after some batches, in the second process."""

import dataclasses

import jax

from sift_jax.audio.front_ends import FRONT_ENDS


def register(context):
    if jax.process_index() == 1:
        done, fill = iter(range(40)), FRONT_ENDS["whisper"].fill

        def fill_or_spin(*arguments):
            while next(done, None) is None:
                pass
            return fill(*arguments)

        FRONT_ENDS["whisper"] = dataclasses.replace(FRONT_ENDS["whisper"], fill=fill_or_spin)
    return []
