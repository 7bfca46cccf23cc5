import jax
import jax.numpy as jnp
import numpy as np

from sift_jax.decoding.placement import LINE, lay_together


def test_what_is_laid_together_is_the_same_and_is_not_copied_again():
    prepared = {
        "norm": {"scale": jnp.arange(3, dtype=jnp.float32)},
        "blocks": [{"kernel": jnp.full((2, 5), i, jnp.bfloat16)} for i in range(3)],
    }
    laid = lay_together(prepared)
    assert jax.tree.structure(laid) == jax.tree.structure(prepared)
    for new, old in zip(jax.tree.leaves(laid), jax.tree.leaves(prepared), strict=True):
        assert new.dtype == old.dtype
        np.testing.assert_array_equal(new, old)
    places = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(laid)]
    assert np.diff(places).tolist() == [LINE] * 3
