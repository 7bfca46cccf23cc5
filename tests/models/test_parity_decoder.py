"""Our decoder against transformers' classes of Qwen2, Qwen3, Llama, Mistral, SmolLM3 and Gemma 3:
keys, shapes, logits, paddings, windows, bfloat16."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
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
from sift_jax.weights.key_table import GEMMA3 as GEMMA3_TABLE
from sift_jax.weights.key_table import QWEN2, list_tables

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
LINEAR_ROPE = {"rope_type": "linear", "rope_theta": 3e4, "factor": 8.0}
LOCAL_ROPE = {"rope_type": "default", "rope_theta": 200.0}
GEMMA3 = {
    "head_dim": 20,
    "query_pre_attn_scalar": 31,
    # of three layers the second sees all, the others 16 of the 70 positions
    "sliding_window": 16,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
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
    "qwen3": ("Qwen3", {"rope_parameters": PLAIN_ROPE, "head_dim": 20}),
    "qwen3-tied": (
        "Qwen3",
        {"rope_parameters": PLAIN_ROPE, "tie_word_embeddings": True, "head_dim": 16},
    ),
    "mistral": ("Mistral", {"rope_parameters": PLAIN_ROPE, "sliding_window": 16}),
    "mistral-nemo": (
        "Mistral",
        {"rope_parameters": PLAIN_ROPE, "sliding_window": None, "head_dim": 20},
    ),
    "smollm3": (
        "SmolLM3",
        {"rope_parameters": PLAIN_ROPE, "no_rope_layers": [1, 0, 1], "pad_token_id": 0},
    ),
    "gemma3": (
        "Gemma3",
        {
            **GEMMA3,
            "rope_parameters": {"full_attention": PLAIN_ROPE, "sliding_attention": LOCAL_ROPE},
        },
    ),
    "gemma3-stretched": (
        "Gemma3",
        {
            **GEMMA3,
            "rope_parameters": {"full_attention": LINEAR_ROPE, "sliding_attention": LOCAL_ROPE},
        },
    ),
}


def find_config_class(name: str):
    return getattr(transformers, "Gemma3TextConfig" if name == "Gemma3" else f"{name}Config")


def make_pair(case: str, folder) -> tuple[DecoderConfig, dict, torch.nn.Module]:
    """(our config as read from theirs, our params, their model)."""
    name, changes = CASES[case]
    theirs_config = find_config_class(name)(**{**SIZES, **changes})
    theirs_config.save_pretrained(folder)
    config = read_decoder_preset(folder)
    torch.manual_seed(0)
    model = shake(getattr(transformers, f"{name}ForCausalLM")(theirs_config))
    ignored = ("lm_head.weight",) if config.is_tied else ()
    table = GEMMA3_TABLE if config.gemma else QWEN2
    rows = [row for row in table if row[0] != "head" or not config.is_tied]
    return config, take_weights(rows, model.state_dict(), config.layers, ignored=ignored), model


@partial(jax.jit, static_argnames=("config", "dtype"))
def compute_ours(config: DecoderConfig, params: dict, ids, group, dtype: str = "float32"):
    decoder = Decoder(config=config, lora=NO_LORA, dtype=jnp.dtype(dtype), remat="none")
    position = jnp.broadcast_to(jnp.arange(ids.shape[1]), ids.shape)
    x = embed_tokens(config, params, ids, jnp.dtype(dtype))
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


WITHOUT = {
    "no window": {"window": 70},
    "one base": {"rope_theta": None},
    "all layers local": {"every": None},
    "all layers turned": {"is_odd_rotated": True},
}


@pytest.mark.parametrize(
    "case, change",
    [
        ("mistral", "no window"),
        ("smollm3", "all layers turned"),
        ("gemma3", "no window"),
        ("gemma3", "one base"),
        ("gemma3", "all layers local"),
    ],
)
def test_the_pattern_of_layers_is_seen(tmp_path, case, change):
    """A model with all layers alike differs, so that the parity above holds for their pattern."""
    config, params, _ = make_pair(case, tmp_path)
    ids = make_ids(config)
    pattern = dataclasses.replace(config.pattern, **WITHOUT[change])
    plain = dataclasses.replace(config, pattern=pattern)
    wanted = compute_ours(config, params, ids, np.ones_like(ids))
    assert measure_difference(compute_ours(plain, params, ids, np.ones_like(ids)), wanted) > 1e-2


@pytest.mark.parametrize("case", ["qwen2", "llama3-tied", "qwen3", "gemma3"])
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


NAMES = {
    "qwen2": "Qwen2",
    "qwen3": "Qwen3",
    "llama": "Llama",
    "mistral": "Mistral",
    "smollm3": "SmolLM3",
    "gemma3_text": "Gemma3",
}


def describe_theirs(c: DecoderConfig) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of their class at these sizes, of two layers, none of which is allocated."""
    name = NAMES[c.architecture]
    sizes = {
        "vocab_size": c.vocab_size,
        "hidden_size": c.width,
        "intermediate_size": c.hidden,
        "num_hidden_layers": 2,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads,
        "tie_word_embeddings": c.is_tied,
        "head_dim": c.head_size,
        "pad_token_id": 0,
    }
    with torch.device("meta"):
        model = getattr(transformers, f"{name}ForCausalLM")(find_config_class(name)(**sizes))
    return {key: tuple(x.shape) for key, x in model.state_dict().items()}


@pytest.mark.parametrize("name", [name for name in DECODERS if not name.endswith("-instruct")])
def test_a_preset_has_the_keys_and_shapes_of_their_class(name):
    config = make_config(decoder=name)
    ours: dict[str, tuple[int, ...]] = {}
    shapes = flatten_dict(describe_params(config)["decoder"], sep="/")
    for path, key, change in list_tables(config)["decoder"]:
        if path in shapes:
            is_stacked = "{i}" in key
            shape = shapes[path].shape[1:] if is_stacked else shapes[path].shape
            shape = shape if change == "same" else shape[::-1]
            ours |= {key.format(i=i): shape for i in range(2 if is_stacked else 1)}
    assert len(ours) == 2 * sum(path.startswith("blocks/") for path in shapes) + len(
        [path for path in shapes if not path.startswith("blocks/")]
    )
    theirs = describe_theirs(config.decoder)
    if config.decoder.is_tied:
        theirs.pop("lm_head.weight", None)
    assert ours == theirs
