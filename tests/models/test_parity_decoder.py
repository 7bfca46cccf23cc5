"""Our decoder against Qwen2ForCausalLM and LlamaForCausalLM of transformers: sizes, logits,
paddings, bfloat16."""

import dataclasses
from functools import partial

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

from sift_jax.models.attention import AttentionMask, make_mask
from sift_jax.models.decoder import Decoder, DecoderConfig, compute_logits, embed_tokens
from sift_jax.models.layers import NO_LORA
from sift_jax.models.presets import DECODERS, read_decoder_preset
from sift_jax.models.speech_lm import describe_params
from sift_jax.weights.key_table import QWEN2

pytestmark = pytest.mark.parity

# every size differs from the others, and no value is a default
SIZES = {
    "vocab_size": 320,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 3e-5,
    "max_position_embeddings": 777,
}
PLAIN_ROPE = {"rope_type": "default", "rope_theta": 3e4}
# within 64 positions the pairs of a head turn often, a few times and hardly: all three cases of the
# scaling
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 3e3,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
CASES = {
    "qwen2": ("Qwen2", {"rope_parameters": PLAIN_ROPE, "tie_word_embeddings": False}),
    "qwen2-tied": ("Qwen2", {"rope_parameters": PLAIN_ROPE, "tie_word_embeddings": True}),
    "llama": ("Llama", {"rope_parameters": PLAIN_ROPE, "tie_word_embeddings": False}),
    "llama-all-heads": ("Llama", {"rope_parameters": PLAIN_ROPE, "num_key_value_heads": 4}),
    "llama3-tied": (
        "Llama",
        {"rope_parameters": LLAMA3_ROPE, "tie_word_embeddings": True, "head_dim": 16},
    ),
}


def make_pair(case: str, folder) -> tuple[DecoderConfig, dict, torch.nn.Module]:
    """(our config as read from theirs, our params, their model)."""
    name, changes = CASES[case]
    theirs_config = getattr(transformers, f"{name}Config")(**{**SIZES, **changes})
    theirs_config.save_pretrained(folder)
    config = read_decoder_preset(folder)
    torch.manual_seed(0)
    model = shake(getattr(transformers, f"{name}ForCausalLM")(theirs_config))
    ignored = ("lm_head.weight",) if config.is_tied else ()
    rows = [row for row in QWEN2 if row[0] != "head" or not config.is_tied]
    return config, take_weights(rows, model.state_dict(), config.layers, ignored=ignored), model


@partial(jax.jit, static_argnames=("config", "dtype"))
def compute_ours(config: DecoderConfig, params: dict, ids, group, dtype: str = "float32"):
    decoder = Decoder(config=config, lora=NO_LORA, dtype=jnp.dtype(dtype), remat="none")
    position = jnp.broadcast_to(jnp.arange(ids.shape[1]), ids.shape)
    x = embed_tokens(params, ids, jnp.dtype(dtype))
    hidden = decoder.apply(
        {"params": params}, x, position, AttentionMask.of(make_mask(group, jnp.zeros_like(group)))
    )
    return compute_logits(params, hidden)


def make_ids(config: DecoderConfig, tokens: int = 70) -> np.ndarray:
    return np.random.default_rng(0).integers(0, config.vocab_size, (2, tokens))


@pytest.mark.parametrize("case", CASES)
def test_logits(tmp_path, case):
    config, params, theirs = make_pair(case, tmp_path)
    ids = make_ids(config)
    assert_equal(compute_ours(config, params, ids, np.ones_like(ids)), run(theirs, ids).logits)
    assert config.is_tied == ("head" not in params) and config.max_positions == 777


def test_padding_behind_a_row(tmp_path):
    config, params, theirs = make_pair("qwen2", tmp_path)
    ids = make_ids(config, 40)
    mask = (np.arange(40) < np.array([[40], [23]])).astype(np.int64)
    ours = np.asarray(compute_ours(config, params, ids, mask))
    wanted = run(theirs, ids, attention_mask=mask).logits.numpy()
    assert_equal(ours[mask > 0], wanted[mask > 0])


def test_rope_scaling_is_seen(tmp_path):
    """The parity above would also hold if no pair were stretched: here the unscaled model
    differs."""
    config, params, _ = make_pair("llama3-tied", tmp_path)
    ids = make_ids(config)
    scaled = compute_ours(config, params, ids, np.ones_like(ids))
    plain = compute_ours(
        dataclasses.replace(config, rope_scaling=None), params, ids, np.ones_like(ids)
    )
    assert measure_difference(plain, scaled) > 1e-2


@pytest.mark.parametrize("case", ["qwen2", "llama3-tied"])
def test_bfloat16_is_as_near_as_theirs(tmp_path, case):
    """Against their float32: within 3 % of the largest logit, and not twice as far as their own
    bfloat16."""
    config, params, theirs = make_pair(case, tmp_path)
    ids = make_ids(config)
    exact = run(theirs, ids).logits
    ours = measure_difference(
        compute_ours(config, params, ids, np.ones_like(ids), dtype="bfloat16"), exact
    )
    rounded = measure_difference(run(theirs.to(torch.bfloat16), ids).logits.float(), exact)
    assert 1e-4 < ours <= 0.03 and ours <= 2 * rounded, (ours, rounded)


def count_theirs(c: DecoderConfig) -> int:
    """Parameters of their class at these sizes, none of which is allocated."""
    name = {"qwen2": "Qwen2", "llama": "Llama"}[c.architecture]
    sizes = {
        "vocab_size": c.vocab_size,
        "hidden_size": c.width,
        "intermediate_size": c.hidden,
        "num_hidden_layers": 2,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads,
        "tie_word_embeddings": c.is_tied,
        "head_dim": c.head_size,
    }
    with torch.device("meta"):
        model = getattr(transformers, f"{name}ForCausalLM")(
            getattr(transformers, f"{name}Config")(**sizes)
        )
    layer = sum(x.numel() for x in model.model.layers[0].parameters())
    return sum(x.numel() for x in model.parameters()) + (c.layers - 2) * layer


@pytest.mark.parametrize("name", [name for name in DECODERS if not name.endswith("-instruct")])
def test_a_preset_has_the_parameters_of_their_class(name):
    params = describe_params(make_config(decoder=name))["decoder"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count_theirs(DECODERS[name])
