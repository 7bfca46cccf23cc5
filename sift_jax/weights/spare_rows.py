"""Rows of the vocabulary that are needed here and that a published model has never trained.

    a row of Qwen2.5-7B's head
    0 … 151664        a token of its tokenizer: as published, always
    151665 … 152063   spare, padding to a round number: all but one vector. The delimiters of audio stand here, those of
                      speech, and the first 394 units
    152064 …          new, drawn by resize.py

Equal rows of a frozen head have equal logits whatever the decoder does: the end of speech would be
as likely as 396 other tokens. So a needed row that lies closer to another than two trained rows
ever do is re-initialised, after parameters are read and before the first step. What is drawn depends on
the parameter's name, the other rows and its own number alone; it is saved with the run's
parameters, where a resume, an export and `ask` find it. Rows of tokens that the tokenizer's file
has are never touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from sift_jax.models.layers import Array
from sift_jax.models.speech_lm import Params
from sift_jax.parallel.distributed import fetch, is_first_process
from sift_jax.text.unit_tokens import NeededRows
from sift_jax.weights.resize import hash_path

EMBEDDING, HEAD = "decoder/embedding", "decoder/head"
# Closer than this part of the distance between two rows at random is the same row. Spare rows as
# published differ by their rounding, .001 to .004; rows that were drawn by about 1.
NEAR = 0.02
# rows compared at once with all others: 256 of them with 200,000 are 0.2 GB
BLOCK = 256
# row → the row that it equals
Twins = dict[int, int]


def find_twins(params: Mapping[str, Array], rows: NeededRows, *, is_tied: bool) -> dict[str, Twins]:
    """By path, the needed rows that equal another: any other where they are written, and a needed
    one where they are read. A prompt never holds a row that nobody needs, but a softmax is over all
    of them."""
    read, written = np.array(rows.read), np.array(rows.written)
    found: dict[str, Twins] = {}
    if EMBEDDING in params:
        found[EMBEDDING] = _compare(params[EMBEDDING], read, read, is_turned=False)
    if is_tied and EMBEDDING in params:
        found[EMBEDDING] |= _compare(params[EMBEDDING], written, None, is_turned=False)
    if HEAD in params:
        found[HEAD] = _compare(params[HEAD], written, None, is_turned=True)
    return found


def _compare(table: Array, ids: np.ndarray, among: np.ndarray | None, *, is_turned: bool) -> Twins:
    padded = np.pad(ids, (0, -len(ids) % min(BLOCK, len(ids))), mode="edge")
    distance, other = _find_nearest(table, padded, among, is_turned=is_turned)
    distance, other = (np.asarray(fetch(x))[: len(ids)] for x in (distance, other))
    return {
        int(row): int(twin)
        for row, twin, x in zip(ids, other, distance, strict=True)
        if x < NEAR**2
    }


@partial(jax.jit, static_argnames="is_turned")
def _find_nearest(
    table: Array, id_n: Array, among_m: Array | None, *, is_turned: bool
) -> tuple[Array, Array]:
    """Of each row the nearest other: (squared distance as a part of that between two rows at
    random, its number)."""
    x_vd = (table.T if is_turned else table).astype(jnp.float32)
    # what all rows share tells none from another, and would cost digits
    x_vd = x_vd - jnp.mean(x_vd, axis=0)
    usual = 2 * jnp.mean(jnp.sum(jnp.square(x_vd), axis=1)) + jnp.finfo(jnp.float32).tiny
    other_m = jnp.arange(x_vd.shape[0]) if among_m is None else among_m
    y_md = x_vd if among_m is None else x_vd[among_m]
    size_m = jnp.sum(jnp.square(y_md), axis=1)

    def look(id_k: Array) -> tuple[Array, Array]:
        x_kd = x_vd[id_k]
        product_km = jnp.matmul(x_kd, y_md.T, precision=jax.lax.Precision.HIGHEST)
        square_km = jnp.sum(jnp.square(x_kd), axis=1)[:, None] + size_m - 2 * product_km
        square_km = jnp.where(id_k[:, None] == other_m, jnp.inf, square_km)
        nearest_k = jnp.argmin(square_km, axis=1)
        return jnp.min(square_km, axis=1) / usual, other_m[nearest_k]

    block = min(BLOCK, len(id_n))
    distance, other = jax.lax.map(look, id_n.reshape(-1, block))
    return distance.reshape(-1), other.reshape(-1)


def draw_spare_rows(loaded: Mapping[str, Array], rows: NeededRows) -> dict[str, Array]:
    """Parameters as they were read, with those of the needed rows re-initialised that equal others and
    are no published token's; says how many."""
    drawn = dict(loaded)
    for path, twins in find_twins(loaded, rows, is_tied=HEAD not in loaded).items():
        ids = sorted(twins.keys() & rows.free)
        if not ids:
            continue
        drawn[path] = _draw(loaded[path], path, np.array(ids))
        if is_first_process():
            print(
                f"{path}: {len(ids)} rows that were almost equal are re-initialised, of "
                f"{_name_some(ids, rows)}; no token of the tokenizer's file has them"
            )
    return drawn


def _draw(table: Array, path: str, ids: np.ndarray) -> Array:
    """The table with these rows drawn with the mean and spread of the others, each by its
    number."""
    key = jax.random.fold_in(jax.random.key(0), hash_path(path))

    def replace(table: Array) -> Array:
        x_vd = (table.T if path == HEAD else table).astype(jnp.float32)
        is_kept_v1 = jnp.ones((len(x_vd), 1)).at[ids].set(0.0)
        count = len(x_vd) - len(ids)
        mean_d = jnp.sum(x_vd * is_kept_v1, axis=0) / count
        spread_d = jnp.sqrt(jnp.sum(jnp.square(x_vd - mean_d) * is_kept_v1, axis=0) / count)
        draw = jax.vmap(lambda row: jax.random.normal(jax.random.fold_in(key, row), mean_d.shape))
        new_nd = (mean_d + spread_d * draw(jnp.asarray(ids))).astype(table.dtype)
        return table.at[:, ids].set(new_nd.T) if path == HEAD else table.at[ids].set(new_nd)

    return jax.jit(replace, out_shardings=getattr(table, "sharding", None))(table)


def check_told_apart(
    trainable: Params, frozen: Params, rows: NeededRows, *, is_resumed: bool
) -> None:
    """An error where a row that is needed equals another and does not train, so that nothing could
    tell them apart."""
    kept, trained = flatten_dict(frozen, sep="/"), flatten_dict(trainable, sep="/")
    for path, twins in find_twins(kept, rows, is_tied=HEAD not in kept | trained).items():
        if twins:
            ids = sorted(twins)
            raise ValueError(
                f"{path} does not train, and {_name_some(ids, rows)} equal other rows (id "
                f"{ids[0]} equals id {twins[ids[0]]}), so that the model cannot tell them apart; "
                f"{_mend(path, ids, rows, is_resumed)}"
            )


def _mend(path: str, ids: list[int], rows: NeededRows, is_resumed: bool) -> str:
    train = f"add {path!r} to TRAINABLE"
    if is_resumed and set(ids) <= rows.free:
        return (
            "start another OUT_DIR with this run as START_RUN, which re-initialises these rows, or "
            f"{train} there"
        )
    return (
        f"{train}, or take a decoder that has learnt these tokens, with its tokenizer as published"
    )


def _name_some(ids: list[int], rows: NeededRows) -> str:
    """ "<|AUDIO|> and units of speech (ids 151666, 151670 to 152063)"."""
    named = {token: name for name, token in rows.names.items()}
    names = [named[token] for token in ids if token in named]
    names += ["units of speech"] if set(ids) - set(named) else []
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if names[1:] else names[0]
    return f"{listed} (ids {', '.join(_join_spans(ids))})"


def _join_spans(ids: list[int]) -> Iterator[str]:
    start = last = ids[0]
    for token in [*ids[1:], -1]:
        if token != last + 1:
            yield str(start) if start == last else f"{start} to {last}"
            start = token
        last = token
