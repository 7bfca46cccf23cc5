"""The strided convolution's own gradient against JAX's, for even and odd sizes, one channel and
several."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sift_jax.models.strided_convolution import convolve_strided


def convolve_plainly(x_bsfc, kernel):
    groups = x_bsfc.shape[-1]
    return jax.lax.conv_general_dilated(
        x_bsfc,
        jnp.swapaxes(kernel, 0, 1)[:, :, None],
        (2, 2),
        ((1, 1), (1, 1)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


@pytest.mark.parametrize("size", [(2, 8, 6, 3), (2, 7, 5, 3), (3, 7, 4, 1), (1, 1, 2, 1)])
def test_value_and_gradients(size):
    rng = np.random.default_rng(0)
    x, kernel = (
        rng.normal(size=size).astype(np.float32),
        rng.normal(size=(3, 3, 3)).astype(np.float32),
    )
    wanted = convolve_plainly(x, kernel)
    weight = rng.normal(size=wanted.shape).astype(np.float32)
    np.testing.assert_allclose(convolve_strided(x, kernel), wanted, rtol=1e-5, atol=1e-5)
    found, right = (
        jax.grad(lambda x, kernel, run=run: jnp.sum(run(x, kernel) * weight), (0, 1))(x, kernel)
        for run in (convolve_strided, convolve_plainly)
    )
    for one, other in zip(found, right, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
