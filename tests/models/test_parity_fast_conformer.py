"""FastConformer against ParakeetEncoder of transformers, with random weights: hidden states, masks,
files both ways."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import make_config
from torch_models import (
    assert_equal,
    measure_difference,
    run,
    shake,
    take_weights,
    torch,
    transformers,
)

from sift_jax.exporting.hf_configs import make_encoder_config
from sift_jax.models.fast_conformer import FastConformerEncoder
from sift_jax.models.presets import ENCODERS, read_encoder_preset
from sift_jax.models.speech_lm import describe_params
from sift_jax.weights.key_table import FAST_CONFORMER, to_theirs
from sift_jax.weights.load import load_part
from sift_jax.weights.tensor_writer import write_tensors

pytestmark = pytest.mark.parity

COUNTED = "num_batches_tracked"


def make_theirs(**sizes):
    given = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 72,
        "conv_kernel_size": 5,
        "subsampling_conv_channels": 6,
    }
    torch.manual_seed(0)
    theirs = shake(
        transformers.ParakeetEncoder(transformers.ParakeetEncoderConfig(**{**given, **sizes}))
    )
    for name, buffer in theirs.named_buffers():
        # fresh statistics are 0 and 1
        if name.endswith("running_mean"):
            buffer += 0.3 * torch.randn(buffer.shape)
        if name.endswith("running_var"):
            buffer *= 0.5 + torch.rand(buffer.shape)
    return theirs


def take_encoder(theirs) -> dict:
    state = {key: x for key, x in theirs.state_dict().items() if not key.endswith(COUNTED)}
    return take_weights(FAST_CONFORMER, state, theirs.config.num_hidden_layers)


def encode(config, params, mel_bsf, frames_b, dtype="float32"):
    encoder = FastConformerEncoder(config=config, dtype=jnp.dtype(dtype), remat="none")
    return jax.jit(encoder.apply)({"params": params}, mel_bsf, np.asarray(frames_b))


def make_mel(frames: list[int], longest: int, mel_bins: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """(mel with zeros behind each clip, mask)."""
    mask = np.arange(longest)[None] < np.array(frames)[:, None]
    mel = np.random.default_rng(0).normal(size=(len(frames), longest, mel_bins)).astype(np.float32)
    return mel * mask[:, :, None], mask


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {
            "num_mel_bins": 128,
            "attention_bias": False,
            "convolution_bias": False,
            "scale_input": False,
        },
    ],
)
def test_hidden_states_with_padding(tmp_path, sizes):
    theirs = make_theirs(**sizes)
    theirs.config.save_pretrained(tmp_path)
    config = read_encoder_preset(tmp_path)
    assert config.has_bias == config.is_scaled == (not sizes)
    frames = [200, 93, 8, 141]
    mel, mask = make_mel(frames, 200, config.mel_bins)
    wanted = run(theirs, mel, attention_mask=mask)
    assert wanted.attention_mask.sum(axis=1).tolist() == [config.count_frames(n) for n in frames]
    found = np.asarray(encode(config, take_encoder(theirs), mel, frames))
    heard = wanted.attention_mask.numpy().astype(bool)
    assert_equal(found[heard], wanted.last_hidden_state.numpy()[heard])
    assert not found[~heard].any()
    # bfloat16: within 5 % of the largest value
    rounded = encode(config, take_encoder(theirs), mel, frames, dtype="bfloat16").astype(np.float32)
    assert (
        1e-4 < measure_difference(rounded[heard], wanted.last_hidden_state.numpy()[heard]) <= 0.05
    )


def test_without_a_mask():
    theirs = make_theirs()
    mel, _ = make_mel([77], 77)
    config = dataclasses.replace(
        ENCODERS["test-fastconformer"], layers=3, heads=4, hidden=72, kernel=5, channels=6
    )
    assert_equal(
        encode(config, take_encoder(theirs), mel, [77]), run(theirs, mel).last_hidden_state
    )


@pytest.mark.parametrize(
    "name", [name for name in ENCODERS if name.startswith(("fastconformer", "parakeet"))]
)
def test_a_preset_has_the_parameters_of_their_class(name):
    described = make_encoder_config(make_config(encoder=name))
    del described["architectures"], described["model_type"]
    with torch.device("meta"):
        theirs = transformers.ParakeetEncoder(transformers.ParakeetEncoderConfig(**described))
    wanted = sum(x.numel() for key, x in theirs.state_dict().items() if not key.endswith(COUNTED))
    params = describe_params(make_config(encoder=name))["encoder"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == wanted


def test_a_folder_of_the_hub_is_read(tmp_path):
    """ParakeetForCTC as it is published: the encoder below `encoder.`, beside a head that is of no
    use here."""
    theirs = make_theirs()
    whole = transformers.ParakeetForCTC(
        transformers.ParakeetCTCConfig(encoder_config=theirs.config, vocab_size=20, pad_token_id=19)
    )
    whole.encoder.load_state_dict(theirs.state_dict())
    whole.save_pretrained(tmp_path)
    config = make_config(encoder=str(tmp_path))
    loaded = load_part("encoder", tmp_path, config)
    flat = {path: np.asarray(x) for path, x in loaded.items()}
    wanted = take_encoder(theirs)
    for path, x in flat.items():
        leaf = wanted
        for part in path.split("/"):
            leaf = leaf[part]
        np.testing.assert_array_equal(x, leaf, err_msg=path)
    with pytest.raises(ValueError, match="layers is 3 there and 2 in this model"):
        load_part("encoder", tmp_path, make_config(encoder="test-fastconformer"))
    with pytest.raises(
        ValueError, match="another family than this model's .FastConformerConfig, not EncoderConfig"
    ):
        load_part("encoder", tmp_path, make_config())


def test_what_is_written_is_their_encoder(tmp_path):
    theirs = make_theirs()
    config = make_config(encoder="test-fastconformer")
    sizes = dataclasses.replace(config.encoder, layers=3, heads=4, hidden=72, kernel=5, channels=6)
    config = dataclasses.replace(config, encoder=sizes)
    flat = {
        jax.tree_util.keystr(path, simple=True, separator="/"): x
        for path, x in jax.tree_util.tree_leaves_with_path(take_encoder(theirs))
    }
    write_tensors(tmp_path, to_theirs(FAST_CONFORMER, flat), dtype="float32", max_bytes=10**9)
    (tmp_path / "config.json").write_text(json.dumps(make_encoder_config(config)))
    again, report = transformers.ParakeetEncoder.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["unexpected_keys"] and all(
        key.endswith(COUNTED) for key in report["missing_keys"]
    )
    mel, mask = make_mel([64, 30], 64)
    wanted = run(theirs, mel, attention_mask=mask).last_hidden_state
    assert_equal(run(again.eval(), mel, attention_mask=mask).last_hidden_state, wanted, bound=1e-6)
