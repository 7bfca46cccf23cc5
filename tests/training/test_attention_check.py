"""At the start of a run our own attention kernel is compared with plain attention, and is left out
where it is not the same; the kernel is interpreted here."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import pytest
from tiny_model import make_config

from sift_jax.models.packed_attention import attend_packed
from sift_jax.parallel.mesh import MeshConfig, make_mesh
from sift_jax.training.attention_check import BOUND, measure_differences, settle_attention

interpreted = partial(attend_packed, is_interpreted=True)


def make_packed(**changes):
    config = make_config(attention="packed", dtype="bfloat16")
    sizes = {"heads": 2, "kv_heads": 1, "head_size": 128, **changes}
    return dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, **sizes))


def open_mesh():
    return make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])


def test_a_kernel_that_is_right_is_taken(capsys):
    config, mesh = make_packed(), open_mesh()
    found = measure_differences(config, mesh, interpreted)
    assert list(found) == ["values", "d query", "d key", "d value"]
    # rounding to bfloat16 is in it, and far from the bound
    assert min(found.values()) > 0 and max(found.values()) < BOUND / 3
    assert settle_attention(config, mesh, platform="tpu", attend_rows=interpreted) is config
    assert not capsys.readouterr().out


def forget_prefix(q, k, v, sight, **others):
    return interpreted(q, k, v, sight.at[:, 1].set(0), **others)


@jax.custom_vjp
def halve_gradient(x):
    return x


halve_gradient.defvjp(lambda x: (x, None), lambda _, g: (g / 2,))


def miss_half_of_a_gradient(q, k, v, sight, **others):
    return interpreted(q, halve_gradient(k), v, sight, **others)


def make_no_numbers(q, k, v, sight, **others):
    return interpreted(q, k, v, sight, **others) * jnp.nan


def refuse(*_, **others):
    raise NotImplementedError("no such layout\nand more")


@pytest.mark.parametrize(
    "wrong, message",
    [
        (forget_prefix, "the packed kernel differs from plain attention (values by "),
        (miss_half_of_a_gradient, "the packed kernel differs from plain attention (d key by 0.5"),
        (make_no_numbers, "the packed kernel differs from plain attention (values by inf"),
        (refuse, "the packed kernel does not run here (no such layout); this run takes"),
    ],
)
def test_a_kernel_that_is_wrong_is_left_out_with_a_line(wrong, message, capsys):
    config = make_packed()
    settled = settle_attention(config, open_mesh(), platform="tpu", attend_rows=wrong)
    assert settled == dataclasses.replace(config, attention="auto")
    told = capsys.readouterr().out
    assert message in told and told.endswith("this run takes ATTENTION = 'auto'\n")
    assert told.count("\n") == 1


@pytest.mark.parametrize("attention, platform", [("packed", "cpu"), ("splash", "tpu")])
def test_where_it_is_not_taken_nothing_is_compared(attention, platform):
    config = dataclasses.replace(make_packed(), attention=attention)
    settled = settle_attention(config, open_mesh(), platform=platform, attend_rows=refuse)
    assert settled is config
