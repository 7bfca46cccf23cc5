"""Token for token what `generate` of transformers says, with the same random weights, where nothing
is drawn.

prompts of unequal length, padded on the left ─► our prefill and cached loop  ═  Qwen2ForCausalLM, Gemma3ForCausalLM, …
"""

import dataclasses

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from tiny_model import make_config, make_params

from sift_jax.decoding import generate as generation
from sift_jax.decoding.generate import Prompt, lay_out_prompts, prepare, speak
from sift_jax.decoding.sampling import GREEDY
from sift_jax.exporting.hf_configs import make_decoder_config
from sift_jax.models.decoder import GemmaStyle, LayerPattern
from sift_jax.models.layers import LinearScaling, RopeScaling
from sift_jax.weights.key_table import list_tables, to_theirs

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.parity


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads that wait for each other over matrices this small take longest of all."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# what processors of transformers make of padding would differ from ours: a pad id that every prompt
# holds hides that
PAD = 7
NEW = 40
SCALING = RopeScaling(factor=8.0, low_frequency=1.0, high_frequency=4.0, positions=64)
# prompts are longer than it, and answers longer still
WINDOW = 9
LLAMA = {"has_qkv_bias": False, "is_tied": False}
KINDS = {
    "qwen2": {"has_qkv_bias": True, "is_tied": True, "rope_scaling": None},
    "llama": LLAMA,
    "llama3": {**LLAMA, "rope_scaling": SCALING},
    "qwen3": {**LLAMA, "has_qk_norm": True, "head_size": 12},
    "mistral": {
        **LLAMA,
        "pattern": LayerPattern(every=None, window=WINDOW, rope_theta=None, is_odd_rotated=True),
    },
    "smollm3": {
        **LLAMA,
        "pattern": LayerPattern(every=2, window=None, rope_theta=None, is_odd_rotated=False),
    },
    "gemma3": {
        "has_qkv_bias": False,
        "has_qk_norm": True,
        "is_tied": True,
        "rope_scaling": LinearScaling(factor=4.0),
        "pattern": LayerPattern(every=2, window=WINDOW, rope_theta=2e2, is_odd_rotated=True),
        "gemma": GemmaStyle(query_size=11),
    },
}
RULES = {
    "greedy": {},
    "penalty": {"repetition_penalty": 1.3},
    "ngram": {"no_repeat_ngram": 3},
    "both": {"repetition_penalty": 1.1, "no_repeat_ngram": 2},
}


@pytest.fixture(scope="module", params=KINDS)
def pair(request):
    """(our config, our parameters, their model)."""
    config = make_config()
    decoder = dataclasses.replace(
        config.decoder,
        vocab_size=160,
        width=48,
        heads=6,
        kv_heads=2,
        hidden=80,
        layers=3,
        rope_theta=3e4,
        norm_eps=3e-5,
        **{"head_size": 8, **KINDS[request.param]},
    )
    config = dataclasses.replace(config, decoder=decoder)
    ids = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": PAD}
    described = {**make_decoder_config(config, 0), **ids}
    theirs = transformers.AutoModelForCausalLM.from_config(
        transformers.AutoConfig.for_model(**described)
    ).eval()
    params = make_params(config)
    tensors = dict(
        to_theirs(list_tables(config)["decoder"], flatten_dict(params["decoder"], sep="/"))
    )
    tensors = {key: torch.from_numpy(np.array(x)) for key, x in tensors.items()}
    missing, unknown = theirs.load_state_dict(tensors, strict=False)
    assert not unknown and set(missing) <= {"lm_head.weight"}
    theirs.tie_weights()
    return config, params, theirs


def make_prompts(lengths):
    rng = np.random.default_rng(3)
    return [np.concatenate([[PAD], rng.integers(8, 160, n - 1)]) for n in lengths]


def ask_theirs(model, prompts, **rules):
    longest = max(map(len, prompts))
    ids = np.stack([np.pad(p, (longest - len(p), 0), constant_values=PAD) for p in prompts])
    mask = np.stack([np.arange(longest) >= longest - len(p) for p in prompts])
    names = {"repetition_penalty": "repetition_penalty", "no_repeat_ngram": "no_repeat_ngram_size"}
    said = model.generate(
        torch.from_numpy(ids),
        attention_mask=torch.from_numpy(mask).long(),
        max_new_tokens=NEW,
        do_sample=False,
        **{names[name]: value for name, value in rules.items()},
    )
    return said[:, longest:].numpy()


def ask_ours(config, params, prompts, tokens, **rules):
    batch = lay_out_prompts([Prompt.of_text(p) for p in prompts], config, tokens=tokens)
    decoding = dataclasses.replace(GREEDY, max_new_tokens=NEW, **rules)
    prepared = prepare(config, params, rows=len(prompts))
    return speak(config, prepared, batch, jax.random.key(0), decoding=decoding, stop_ids=(-1,))


@pytest.mark.parametrize("rules", RULES)
def test_a_left_padded_batch_speaks_the_same_tokens(monkeypatch, pair, rules):
    config, params, theirs = pair
    # small, so that the cache grows on the way
    monkeypatch.setattr(generation, "ROOM", 8)
    prompts = make_prompts((5, 17, 11))
    wanted = ask_theirs(theirs, prompts, **RULES[rules])
    np.testing.assert_array_equal(ask_ours(config, params, prompts, 24, **RULES[rules]), wanted)
    assert len({tuple(row) for row in wanted}) == 3, "rows alike: this compares too little"


def test_one_row_speaks_the_same_tokens(pair):
    config, params, theirs = pair
    prompts = make_prompts((13,))
    for rules in ({}, RULES["both"]):
        wanted = ask_theirs(theirs, prompts, **rules)
        np.testing.assert_array_equal(ask_ours(config, params, prompts, 16, **rules), wanted)
