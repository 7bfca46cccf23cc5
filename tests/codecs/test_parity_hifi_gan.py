"""The vocoder's generator against the PyTorch classes, from folders that these wrote."""

import jax.numpy as jnp
import numpy as np
import pytest

from sift_jax.codecs.vocoder.hifi_gan import HifiGan
from sift_jax.codecs.vocoder.hifi_gan_checkpoint import read_hifi_gan
from sift_jax.codecs.vocoder.network import DurationPredictor
from sift_jax.codecs.vocoder.snake import snake_smoothly

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def shake(model, scale=0.1):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor += scale * torch.randn(tensor.shape, generator=generator)
    return model.eval()


@pytest.mark.parametrize(
    "more",
    [
        {
            "upsample_rates": [5, 4, 2],
            "upsample_kernel_sizes": [11, 8, 4],
            "normalize_before": False,
        },
        {
            "upsample_rates": [4, 3],
            "upsample_kernel_sizes": [4, 7],
            "resblock_kernel_sizes": [3, 5],
            "resblock_dilation_sizes": [[1, 3], [2]],
            "leaky_relu_slope": 0.2,
        },
    ],
)
@pytest.mark.parametrize("is_normed", [False, True])
def test_samples_equal(tmp_path, more, is_normed):
    torch.manual_seed(0)
    config = transformers.SpeechT5HifiGanConfig(model_in_dim=6, upsample_initial_channel=16, **more)
    model = shake(transformers.SpeechT5HifiGan(config), 0.2)
    with torch.no_grad():
        model.mean += torch.randn(6)
        model.scale *= 1.5
    if is_normed:
        model.apply_weight_norm()
    model.save_pretrained(tmp_path)
    x = np.random.default_rng(0).standard_normal((2, 19, 6)).astype(np.float32)
    with torch.no_grad():
        theirs = model(torch.from_numpy(x)).numpy()
    ours_config, params, statistics = read_hifi_gan(tmp_path)
    mean, scale = statistics or (0.0, 1.0)
    ours = np.asarray(HifiGan(ours_config).apply({"params": params}, (x - mean) / scale))
    assert ours.shape == theirs.shape == (2, 19 * ours_config.hop) and theirs.std() > 0.01
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


def test_snake_equals():
    from transformers.models.xcodec2 import modeling_xcodec2 as theirs

    model = shake(theirs.Xcodec2AntiAliasedActivation1d(theirs.Xcodec2SnakeBeta(5)), 0.5)
    x = np.random.default_rng(0).standard_normal((2, 31, 5)).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(x).transpose(1, 2)).transpose(1, 2).numpy()
    alpha, beta = (tensor.detach().numpy() for tensor in (model.act.alpha, model.act.beta))
    assert (
        np.abs(snake_smoothly(jnp.array(x), alpha, beta, holds_ends=True) - expected).max() <= 1e-5
    )


def test_durations_equal():
    from transformers.models.seamless_m4t.modeling_seamless_m4t import SeamlessM4TVariancePredictor

    config = transformers.SeamlessM4TConfig(unit_embed_dim=12, variance_predictor_kernel_size=3)
    model = shake(SeamlessM4TVariancePredictor(config))
    x = np.random.default_rng(0).standard_normal((2, 9, 12)).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(x)).numpy()

    def convert(conv, norm):
        return {
            "kernel": conv.weight.detach().numpy().transpose(2, 1, 0),
            "bias": conv.bias.detach().numpy(),
        }, {
            "scale": norm.weight.detach().numpy(),
            "bias": norm.bias.detach().numpy(),
        }

    first, second = convert(model.conv1, model.ln1), convert(model.conv2, model.ln2)
    params = {
        "conv_0": first[0],
        "norm_0": first[1],
        "conv_1": second[0],
        "norm_1": second[1],
        "out": {
            "kernel": model.proj.weight.detach().numpy().T,
            "bias": model.proj.bias.detach().numpy(),
        },
    }
    ours = np.asarray(DurationPredictor().apply({"params": params}, x))
    assert np.abs(ours - expected).max() <= 1e-5
