"""What may follow what, where answers may be speech: a mask over the logits, inside the jitted
loop.

    last id        │ text ids │ begin │ end                │ unit          │ other rows
    text           │    ✓     │   ✓   │                    │               │              (as ever)
    begin          │          │       │                    │ ✓             │
    unit           │          │       │ ✓                  │ ✓ below limit │
    end            │ end of the turn only

So a segment has a unit at least and `limit` units at most, where its end is forced. Greedy and
sampled tokens obey alike: what may not follow has no probability. Where every row of a batch speaks
from its first token on ("only" units), nothing but units and their end can come: then logits of
those rows alone are computed, which gives the same distribution for a fraction of the work.

What a token counted in training is taken back: where p is what follows and w are the weights, the
weighted loss is least at w·p / Σ w·p, so that log w is subtracted from each id's logit. An end that
counted 15 beside a tone that counted 3 has five times its odds in the model, and its own when it is
spoken.

    ids    … begin │ end  unit 0  unit 1 … │      the rows of the narrow head, one after the other
    place            0    1       2
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np

from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.models.layers import Array
from sift_jax.text.unit_tokens import UnitIds, list_weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeechRules:
    """Static: part of what a loop is compiled for."""

    begin: int
    codes: int
    turn_end: int
    # every row is within speech from its first token on
    is_only: bool
    # what the end and ranges of units counted in training: their logits are too high by the
    # logarithms
    end_weight: float = 1.0
    unit_weights: tuple[tuple[str, float], ...] = ()

    @property
    def ids(self) -> UnitIds:
        return UnitIds(begin=self.begin)

    @property
    def narrow(self) -> slice:
        """The rows of the head that speech needs: its end, and the units."""
        return slice(self.ids.end, self.ids.count_rows(self.codes))

    @property
    def bias_v(self) -> np.ndarray:
        """What training has added to the logits of the narrow rows."""
        return np.log(list_weights(self.codes, self.end_weight, self.unit_weights))


def narrow_head(prepared: dict, rules: SpeechRules) -> dict:
    """{"speech_head": …} of a prepared decoder: a copy of these rows alone."""
    head = prepared.get("head", {"kernel_t": prepared["embedding"]})
    if "kernel_t" in head:
        return {"speech_head": {"kernel_t": head["kernel_t"][rules.narrow]}}
    return {"speech_head": {"kernel": head["kernel"][:, rules.narrow]}}


def check_speaking(decoding: DecodingConfig) -> None:
    """What looks back over text makes no sense among units: a vowel that is held repeats them."""
    if decoding.repetition_penalty != 1.0 or decoding.no_repeat_ngram:
        raise ValueError(
            "speech repeats its units where a sound is held; leave repetition_penalty at 1 "
            "and no_repeat_ngram at 0"
        )


def mask_narrow(logits_bv: Array, spoken_b: Array, limit_b: Array, rules: SpeechRules) -> Array:
    """Of the narrow head: no end before the first unit, nothing but the end at the limit."""
    is_end_v = jnp.arange(logits_bv.shape[-1]) == 0
    logits_bv = logits_bv - rules.bias_v
    is_allowed_bv = jnp.where(is_end_v, spoken_b[:, None] > 0, spoken_b[:, None] < limit_b[:, None])
    return jnp.where(is_allowed_bv, logits_bv, -jnp.inf)


def mask_all(
    logits_bv: Array, last_b: Array, spoken_b: Array, limit_b: Array, rules: SpeechRules
) -> Array:
    """Of the whole vocabulary."""
    ids, id_v, last_b1 = rules.ids, jnp.arange(logits_bv.shape[-1]), last_b[:, None]
    is_unit_v = (id_v >= ids.first) & (id_v < ids.count_rows(rules.codes))
    is_speaking_b1 = (last_b1 == ids.begin) | (last_b1 >= ids.first)
    said_b1, most_b1 = spoken_b[:, None], limit_b[:, None]
    logits_bv = logits_bv - jnp.pad(
        rules.bias_v, (rules.narrow.start, logits_bv.shape[-1] - rules.narrow.stop)
    )
    in_speech_bv = is_unit_v & (said_b1 < most_b1) | (id_v == ids.end) & (said_b1 > 0)
    in_text_bv = jnp.where(last_b1 == ids.end, id_v == rules.turn_end, id_v <= ids.begin)
    return jnp.where(jnp.where(is_speaking_b1, in_speech_bv, in_text_bv), logits_bv, -jnp.inf)


def count_spoken(token_b: Array, spoken_b: Array, rules: SpeechRules) -> Array:
    """Units of the segment that a row is in."""
    return jnp.where(token_b >= rules.ids.first, spoken_b + 1, 0)
