"""From logits to a token: penalties that look back, then the likeliest or a draw from the nucleus.

    logits (b, v) ─► repeats penalised ─► n-grams that were there before forbidden ─► greedy: argmax
                                                                                 └─► / temperature ─► top-p ─► draw

Every row draws with a key of its own: what is said to one question does not depend on those beside
it.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypedDict

import jax
import jax.numpy as jnp

from sift_jax.field_ranges import CheckedConfig, Count, NotNegative, Positive, Share, Whole
from sift_jax.models.layers import Array

# The nucleus is looked for among so many likeliest tokens before the whole vocabulary is sorted.
FEW = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodingConfig(CheckedConfig):
    """Temperature 0 is greedy; top_p 1, penalty 1 and n-gram 0 are off. What looks back sees the
    prompt too."""

    max_new_tokens: Count
    temperature: NotNegative
    top_p: Share
    repetition_penalty: Positive
    # no run of so many tokens comes twice
    no_repeat_ngram: Whole
    # answers that are searched side by side for the likeliest, see beams.py; 1 is none but the one
    beams: Count = dataclasses.field(metadata={"before": 1})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beams > 1 and self.temperature:
            raise ValueError(
                f"DecodingConfig.beams is {self.beams} and temperature {self.temperature:g}: beams "
                "look for the likeliest answer, and nothing is drawn; set temperature to 0, or "
                "beams to 1"
            )

    def describe(self) -> dict[str, Any]:
        """What answers depend on, to be kept beside them; those of one beam were kept before there
        was a choice."""
        fields = dataclasses.asdict(self)
        return fields if self.beams > 1 else {k: x for k, x in fields.items() if k != "beams"}


class DecodingOptions(TypedDict, total=False):
    """Fields of DecodingConfig, to be given one by one."""

    max_new_tokens: int
    temperature: float
    top_p: float
    repetition_penalty: float
    no_repeat_ngram: int
    beams: int


# of answers in text, where nothing else is said
ANSWERING = DecodingConfig(
    max_new_tokens=64,
    temperature=0.0,
    top_p=0.95,
    repetition_penalty=1.0,
    no_repeat_ngram=0,
    beams=1,
)
GREEDY = DecodingConfig(
    max_new_tokens=48,
    temperature=0.0,
    top_p=1.0,
    repetition_penalty=1.0,
    no_repeat_ngram=0,
    beams=1,
)


def penalize_repeats(logits_bv: Array, seen_bv: Array, penalty: float) -> Array:
    """Divides positive logits of seen tokens by the penalty and multiplies negative ones."""
    return jnp.where(
        seen_bv, jnp.where(logits_bv > 0, logits_bv / penalty, logits_bv * penalty), logits_bv
    )


def forbid_ngrams(logits_bv: Array, text_bs: Array, first_b: Array, end: Array, size: int) -> Array:
    """−inf for every token that would repeat a run of `size` tokens of text_bs[:, first:end]."""
    # Runs of 3, of the text 5 7 9 5 7: it ends in 5 7, which stood at place 0, and 9 followed. So 9
    # is what may not come now.
    #     place     0 1 2 3 4
    #     text      5 7 9 5 7
    #     match     x . . . .        place 3 is no match: the run behind it is not over
    #     next      9 5 7 . .
    rows, slots = text_bs.shape
    place_s = jnp.arange(slots)
    is_match_bs = (place_s >= first_b[:, None]) & (place_s + size - 1 < end)
    for i in range(size - 1):
        last_b1 = jax.lax.dynamic_slice_in_dim(text_bs, end - size + 1 + i, 1, axis=1)
        is_match_bs &= jnp.roll(text_bs, -i, axis=1) == last_b1
    # A text shorter than the run has no such last tokens, and nothing to repeat.
    is_match_bs &= (end - first_b >= size)[:, None]
    next_bs = jnp.roll(text_bs, -(size - 1), axis=1)
    # a token may stand behind several places, and one match is enough: the least of them holds
    floor_bs = jnp.where(is_match_bs, -jnp.inf, jnp.inf)
    return logits_bv.at[jnp.arange(rows)[:, None], next_bs].min(floor_bs)


def find_likeliest(logits_bv: Array) -> Array:
    """The first of the largest; two plain reductions are several times faster on a CPU than an
    argmax."""
    vocabulary = logits_bv.shape[-1]
    # 2 5 5 1: the places of the largest are 1 and 2, all others count as the last, 3; the least is 1
    is_best = logits_bv == jnp.max(logits_bv, axis=-1, keepdims=True)
    return jnp.min(
        jnp.where(is_best, jnp.arange(vocabulary, dtype=jnp.int32), vocabulary - 1), axis=-1
    )


def keep_nucleus(logits_bv: Array, top_p: float | Array) -> Array:
    """Only the most probable tokens whose mass reaches top_p, one for all rows or (b, 1); the first
    always stays."""
    # Probabilities .5 .3 .15 .05 at top_p .9: the mass is .5 .8 .95 1, of which two stay below .9. The
    # token at place 2 takes it over, and its logit is the least that stays.
    ordered = jnp.sort(logits_bv, axis=-1)[:, ::-1]
    mass = jnp.cumsum(jax.nn.softmax(ordered, axis=-1), axis=-1)
    kept = jnp.sum(mass < top_p, axis=-1, keepdims=True)
    floor = jnp.take_along_axis(ordered, jnp.minimum(kept, logits_bv.shape[-1] - 1), axis=-1)
    return jnp.where(logits_bv < floor, -jnp.inf, logits_bv)


def _draw(keys_b: Array, logits_bv: Array) -> Array:
    return jax.vmap(jax.random.categorical)(keys_b, logits_bv).astype(jnp.int32)


def draw_from_nucleus(logits_bv: Array, top_p: float | Array, keys_b: Array) -> Array:
    """A token of the nucleus, of one top_p for all rows or (b, 1); the whole vocabulary is sorted
    only where a few tokens do not hold the mass."""
    top_bk, token_bk = jax.lax.top_k(logits_bv, min(FEW, logits_bv.shape[-1]))
    share_bk = jnp.exp(top_bk - jax.nn.logsumexp(logits_bv, axis=-1, keepdims=True))
    mass_bk = jnp.cumsum(share_bk, axis=-1)
    # a token belongs to the nucleus if those before it do not reach the mass; the first has none
    # before it
    is_kept_bk = (mass_bk - share_bk < top_p) | (jnp.arange(top_bk.shape[-1]) == 0)
    place_b = _draw(keys_b, jnp.where(is_kept_bk, top_bk, -jnp.inf))
    among_few_b = jnp.take_along_axis(token_bk, place_b[:, None], axis=1)[:, 0].astype(jnp.int32)
    is_enough_b = (mass_bk[:, -1:] >= top_p)[:, 0]

    def draw_among_all() -> Array:
        return jnp.where(is_enough_b, among_few_b, _draw(keys_b, keep_nucleus(logits_bv, top_p)))

    return jax.lax.cond(jnp.all(is_enough_b), lambda: among_few_b, draw_among_all)


def choose_token(logits_bv: Array, keys_b: Array | None, config: DecodingConfig) -> Array:
    """The next token of each row, of logits that hold what looks back already; without keys the
    likeliest."""
    if keys_b is None or config.temperature == 0.0:
        return find_likeliest(logits_bv)
    logits_bv = logits_bv / config.temperature
    if config.top_p < 1.0:
        return draw_from_nucleus(logits_bv, config.top_p, keys_b)
    return _draw(keys_b, logits_bv)


def choose_for_each(logits_bv: Array, keys_b: Array, temperature_b: Array, top_p_b: Array) -> Array:
    """The next token of rows that are each decoded in their own way: what choose_token gives a row
    of its temperature and top_p."""
    likeliest_b = find_likeliest(logits_bv)
    is_drawn_b, is_whole_b = temperature_b > 0.0, top_p_b >= 1.0

    def draw() -> Array:
        scaled_bv = logits_bv / jnp.where(is_drawn_b, temperature_b, 1.0)[:, None]
        # a row that is not drawn, or not from a nucleus, must not have the vocabulary sorted
        share_b1 = jnp.where(is_drawn_b & ~is_whole_b, top_p_b, 0.0)[:, None]
        nucleus_b = draw_from_nucleus(scaled_bv, share_b1, keys_b)
        whole_b = jax.lax.cond(
            jnp.any(is_drawn_b & is_whole_b),
            lambda: _draw(keys_b, scaled_bv),
            lambda: nucleus_b,
        )
        return jnp.where(is_drawn_b, jnp.where(is_whole_b, whole_b, nucleus_b), likeliest_b)

    return jax.lax.cond(jnp.any(is_drawn_b), draw, lambda: likeliest_b)
