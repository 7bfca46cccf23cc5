"""The state of a run: trainable and frozen parameters apart, so that gradients exist only for the
first.

{"step": int32, "trainable": params, "frozen": params, "optimizer": optax state}
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import optax
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import Mesh, NamedSharding

from sift_jax.models.quantization import is_quantized_path
from sift_jax.models.speech_lm import Params, SpeechLMConfig, init_params
from sift_jax.parallel.mesh import replicate
from sift_jax.parallel.sharding import make_spec, path_of

State = dict

# counters and coefficients of an optimizer belong to no parameter; they are at most this large, and
# whole everywhere
LOOSE_LEAF = 16


def split_params(params: Params, trainable: tuple[str, ...]) -> tuple[Params, Params]:
    """(trainable, frozen) by patterns over full paths; a pattern that matches nothing is an
    error."""
    if not trainable:
        raise ValueError(
            "RunConfig.trainable is empty, so nothing would train; name parameters as "
            "--dry_run prints them"
        )
    flat = flatten_dict(params, sep="/")
    for pattern in trainable:
        if not any(re.fullmatch(pattern, path) for path in flat):
            raise ValueError(
                f"trainable pattern {pattern!r} matches no parameter; see the table that "
                "--dry_run prints"
            )
    is_trained = {path: any(re.fullmatch(p, path) for p in trainable) for path in flat}
    whole = [p for p in flat if is_trained[p] and is_quantized_path(p)]
    if whole:
        raise ValueError(
            f"parameter {whole[0]} is in int8, which cannot train; leave it out of "
            "RunConfig.trainable, or set ModelConfig.quantized = None"
        )
    chosen = unflatten_dict({p: x for p, x in flat.items() if is_trained[p]}, sep="/")
    rest = unflatten_dict({p: x for p, x in flat.items() if not is_trained[p]}, sep="/")
    return chosen, rest


def join_params(trainable: Params, frozen: Params) -> Params:
    return unflatten_dict(
        {**flatten_dict(trainable, sep="/"), **flatten_dict(frozen, sep="/")}, sep="/"
    )


def cast_params(params: Params, dtype: str) -> Params:
    """What is in int8 stays so, and so do its scales."""
    return jax.tree_util.tree_map_with_path(
        lambda path, x: x if is_quantized_path(path_of(path)) else x.astype(dtype), params
    )


def drop_params(state: State, paths: Iterable[str]) -> State:
    """The state without the parameters of these paths: what need not be drawn at random, because it
    is read."""
    gone = set(paths)

    def drop(params: Params) -> Params:
        return unflatten_dict(
            {p: x for p, x in flatten_dict(params, sep="/").items() if p not in gone}, sep="/"
        )

    return {**state, "trainable": drop(state["trainable"]), "frozen": drop(state["frozen"])}


def fill_params(state: State, loaded: dict[str, jax.Array], trainable: tuple[str, ...]) -> State:
    """The state with the parameters that drop_params left out."""
    params = flatten_dict(join_params(state["trainable"], state["frozen"]), sep="/")
    chosen, rest = split_params(unflatten_dict({**params, **loaded}, sep="/"), trainable)
    return {**state, "trainable": chosen, "frozen": rest}


def make_state(
    params: Params, trainable: tuple[str, ...], optimizer: optax.GradientTransformation
) -> State:
    chosen, rest = split_params(params, trainable)
    return {
        "step": jnp.zeros((), jnp.int32),
        "trainable": chosen,
        "frozen": rest,
        "optimizer": optimizer.init(chosen),
    }


def init_state(
    config: SpeechLMConfig,
    trainable: tuple[str, ...],
    optimizer: optax.GradientTransformation,
    seed: int,
) -> State:
    return make_state(init_params(config, jax.random.key(seed)), trainable, optimizer)


def shard_state(state: State, mesh: Mesh) -> State:
    """Shardings of a state. Moments lie where their parameters lie: their paths end in the
    parameter's."""
    params = flatten_dict(join_params(state["trainable"], state["frozen"]), sep="/")

    def shard(path: tuple, leaf: jax.Array | jax.ShapeDtypeStruct) -> NamedSharding:
        if leaf.size <= LOOSE_LEAF:
            return replicate(mesh)
        name = path_of(path)
        parts = name.split("/")
        for start in range(len(parts)):
            tail = "/".join(parts[start:])
            if tail in params:
                return NamedSharding(mesh, make_spec(tail, leaf.shape, mesh))
        raise ValueError(
            f"state leaf {name} belongs to no parameter; the sharding table cannot place it"
        )

    return jax.tree_util.tree_map_with_path(shard, state)
