"""Checksums of arrays: any flipped bit and any exchange is seen, a mesh is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sift_jax.checkpoints.checksums import FORMAT, checksum_leaves, list_leaves, sum_words


@pytest.mark.parametrize(
    "dtype", ["float32", "bfloat16", "int32", "uint8", "int8", "float16", "bool"]
)
def test_every_flipped_bit_is_seen(dtype):
    data = (np.random.default_rng(0).normal(size=(3, 5)) * 50).astype(jnp.dtype(dtype))
    whole = int(sum_words(jnp.asarray(data)))
    words = data.view(f"uint{8 * data.dtype.itemsize}")
    for place in [(0, 0), (1, 3), (2, 4)]:
        for bit in range(1 if dtype == "bool" else 8 * data.dtype.itemsize):
            flipped = words.copy()
            flipped[place] ^= words.dtype.type(1 << bit)
            assert int(sum_words(jnp.asarray(flipped.view(data.dtype)))) != whole, (place, bit)


def test_an_exchange_is_seen():
    data = jnp.arange(1.0, 25.0).reshape(2, 3, 4)
    others = [
        data[::-1],
        data[:, ::-1],
        data[:, :, ::-1],
        jnp.swapaxes(data, 1, 2),
        data.at[0, 0, :2].set([2.0, 1.0]),
    ]
    assert len({int(sum_words(x)) for x in [data, *others]}) == 6
    assert int(sum_words(jnp.asarray(0.0))) != int(sum_words(jnp.asarray(-0.0)))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_signs_are_seen_however_many_change(dtype):
    """With odd weights alone two flips of the highest bit add up to 2³², and cancel."""
    data = np.random.default_rng(0).normal(size=1000).astype(jnp.dtype(dtype))
    whole, pair, half = int(sum_words(jnp.asarray(data))), data.copy(), data.copy()
    pair[[3, 700]] *= -1
    half[:500] *= -1
    assert len({whole, *(int(sum_words(jnp.asarray(x))) for x in (pair, half, -data))}) == 4
    data[[10, 20]] = [1.5, -1.5]
    exchanged = data.copy()
    exchanged[[10, 20]] = [-1.5, 1.5]
    assert int(sum_words(jnp.asarray(data))) != int(sum_words(jnp.asarray(exchanged)))


def test_zeros_are_seen():
    data = np.random.default_rng(0).normal(size=64).astype(np.float32)
    cleared, longer = data.copy(), np.concatenate([data, np.zeros(3, np.float32)])
    cleared[::2] = 0
    nothing = [np.zeros(n, np.float32) for n in range(1, 6)]
    assert len({int(sum_words(jnp.asarray(x))) for x in (data, cleared, longer, *nothing)}) == 8


def test_shards_do_not_matter():
    """Any cut of the places adds up to the same: no device needs another's words."""
    data = jnp.asarray(np.random.default_rng(0).normal(size=(8, 6)), jnp.float32)
    mesh = jax.make_mesh((len(jax.devices()),), ("x",))
    spread = jax.device_put(data, jax.NamedSharding(mesh, jax.P(None)))
    assert checksum_leaves({"x": spread}) == checksum_leaves({"x": data})


def test_the_rule_of_older_checkpoints_is_kept():
    """Word times an odd weight of its place: what was sealed by it is verified by it."""
    data = np.arange(1, 7, dtype=np.uint32).reshape(2, 3)
    weights = np.arange(6, dtype=np.uint64) * 2 * 0x4F1BBCDD + 1
    expected = int((data.ravel() * weights).sum() % 2**32)
    assert int(sum_words(jnp.asarray(data), 1)) == expected == checksum_leaves({"x": data}, 1)["x"]
    assert FORMAT == 2 and checksum_leaves({"x": data})["x"] != expected


def test_leaves_have_the_names_that_orbax_gives():
    import optax

    state = optax.adam(1e-3).init({"a": {"b": jnp.ones(3)}})
    assert list(list_leaves(state)) == ["0/count", "0/mu/a/b", "0/nu/a/b"]
    assert checksum_leaves({}) == {} and set(checksum_leaves({"x": jnp.zeros(2)})) == {"x"}
