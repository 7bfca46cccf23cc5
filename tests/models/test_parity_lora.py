"""Our LoRA against PEFT's on Qwen2ForCausalLM: the same logits, and the same gradients of the
adapters."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_parity_decoder import CASES, SIZES, make_ids
from torch_models import assert_equal, measure_difference, shake, take_weights, torch, transformers

from sift_jax.models.attention import AttentionMask, make_mask
from sift_jax.models.decoder import Decoder, compute_logits, embed_tokens
from sift_jax.models.layers import NO_LORA, Linear, LoraConfig
from sift_jax.models.presets import read_decoder_preset
from sift_jax.weights.key_table import QWEN2

peft = pytest.importorskip("peft")
pytestmark = pytest.mark.parity

TARGETS = {
    "the papers": ("q", "v"),
    "all": ("q", "k", "v", "o", "gate", "up", "down"),
}


def read_adapters(tensors: dict, layers: int, targets: tuple[str, ...]) -> dict:
    """{target: {"lora_a", "lora_b"}} stacked over layers, from PEFT's names."""
    found = {}
    for name in targets:
        group = "self_attn" if name in "qkvo" else "mlp"
        keys = [
            f"base_model.model.model.layers.{i}.{group}.{name}_proj.lora_{{}}.default.weight"
            for i in range(layers)
        ]
        found[name] = {
            f"lora_{half.lower()}": np.stack(
                [tensors[key.format(half)].detach().numpy().T for key in keys]
            )
            for half in "AB"
        }
    return found


@partial(jax.jit, static_argnames=("config", "lora"))
def compute_ours(config, lora, params, ids):
    decoder = Decoder(config=config, lora=lora, dtype=jnp.dtype("float32"), remat="none")
    position, group = jnp.broadcast_to(jnp.arange(ids.shape[1]), ids.shape), jnp.ones_like(ids)
    x = embed_tokens(config, params, ids, jnp.dtype("float32"))
    hidden = decoder.apply(
        {"params": params}, x, position, AttentionMask.of(make_mask(group, 0 * group))
    )
    return compute_logits(params, hidden)


@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
def test_adapters_as_peft_has_them(tmp_path, targets):
    name, changes = CASES["qwen2"]
    theirs_config = transformers.Qwen2Config(**{**SIZES, **changes})
    theirs_config.save_pretrained(tmp_path)
    config = read_decoder_preset(tmp_path)
    torch.manual_seed(0)
    base = shake(transformers.Qwen2ForCausalLM(theirs_config))
    params = take_weights(QWEN2, base.state_dict(), config.layers)
    bare = params["blocks"]
    adapter = peft.LoraConfig(
        r=4, lora_alpha=6, target_modules=[f"{name}_proj" for name in targets], lora_dropout=0.0
    )
    theirs = peft.get_peft_model(base, adapter)
    generator = torch.Generator().manual_seed(3)
    trained = {key: x for key, x in theirs.named_parameters() if "lora_" in key}
    with torch.no_grad():
        for x in trained.values():
            x += 0.1 * torch.randn(x.shape, generator=generator)
    adapters = read_adapters(trained, config.layers, targets)
    params = {
        **params,
        "blocks": {**bare, **{name: {**bare[name], **adapters[name]} for name in targets}},
    }
    lora = LoraConfig(rank=4, alpha=6.0, targets=targets)

    ids = make_ids(config, 30)
    weights = np.random.default_rng(1).normal(size=(2, 30, config.vocab_size)).astype(np.float32)
    logits = theirs(input_ids=torch.from_numpy(ids)).logits
    (logits * torch.from_numpy(weights)).sum().backward()
    wanted = logits.detach().numpy()
    assert_equal(compute_ours(config, lora, params, ids), wanted)
    assert (
        measure_difference(compute_ours(config, NO_LORA, {**params, "blocks": bare}, ids), wanted)
        > 1e-2
    )

    measure = jax.jit(
        jax.grad(lambda params: jnp.sum(weights * compute_ours(config, lora, params, ids)))
    )
    grads = measure(params)["blocks"]
    wanted_grads = read_adapters(
        {key: x.grad for key, x in trained.items()}, config.layers, targets
    )
    for name in targets:
        for half in ("lora_a", "lora_b"):
            assert_equal(grads[name][half], wanted_grads[name][half])


def test_adapters_are_drawn_as_peft_draws_them():
    """Before any training: the same bounds, the same spread, and the other half zero."""
    inputs, outputs, rank = 256, 48, 64
    torch.manual_seed(0)
    base = torch.nn.Sequential(torch.nn.Linear(inputs, outputs))
    theirs = peft.get_peft_model(
        base, peft.LoraConfig(r=rank, target_modules=["0"])
    ).base_model.model[0]
    linear = Linear(features=outputs, use_bias=False, dtype=jnp.float32, lora_rank=rank)
    ours = linear.init(jax.random.key(0), jnp.zeros((1, inputs)))["params"]
    drawn, wanted = np.asarray(ours["lora_a"]), theirs.lora_A["default"].weight.detach().numpy().T
    assert (
        drawn.shape == wanted.shape
        and not ours["lora_b"].any()
        and not theirs.lora_B["default"].weight.any()
    )
    for measure in (np.std, lambda x: np.abs(x).max(), lambda x: np.abs(x).mean()):
        assert measure(drawn) == pytest.approx(measure(wanted), rel=0.02)
