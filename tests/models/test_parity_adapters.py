"""Adapters of PEFT: read into our LoRA, or merged, they compute what PEFT's own model computes.

random Qwen3 ─save_pretrained─► base ─┬─ PeftModel ─────────────────────────► logits
                  PEFT ─save─► adapter ┴─ Sources(decoder=adapter), or merged ─► the same
"""

import dataclasses

import pytest
from flax.traverse_util import unflatten_dict
from tiny_model import make_config

from sift_jax.models.layers import LoraConfig
from sift_jax.models.presets import read_decoder_preset
from sift_jax.models.speech_lm import describe_params
from sift_jax.weights.foreign.convert import import_weights
from sift_jax.weights.load import Sources, load_sources

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")
from test_parity_decoder import CASES, SIZES, make_ids  # noqa: E402 - needs torch
from test_parity_lora import compute_ours  # noqa: E402 - needs torch
from torch_models import assert_equal, measure_difference, run, shake  # noqa: E402 - needs torch

pytestmark = pytest.mark.parity

TARGETS = ("q", "o", "up")
# rows of the vocabulary that the adapter brings along
ROWS = [3, 70]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "rank-stabilised"])
def adapted(request, tmp_path_factory):
    """(base's folder, adapter's folder, PEFT's model, whether it divides by the root of the
    rank)."""
    root = tmp_path_factory.mktemp("adapted")
    torch.manual_seed(0)
    _, changes = CASES["qwen3"]
    base = shake(transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**{**SIZES, **changes})))
    base.save_pretrained(root / "base")
    base = transformers.AutoModelForCausalLM.from_pretrained(root / "base", dtype=torch.float32)
    described = peft.LoraConfig(
        r=4,
        lora_alpha=6,
        target_modules=[f"{name}_proj" for name in TARGETS],
        use_rslora=request.param,
        trainable_token_indices={"embed_tokens": ROWS},
    )
    model = peft.get_peft_model(base, described).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "lora_" in name or "trainable_tokens_delta" in name:
                tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
    model.save_pretrained(root / "adapter")
    return root / "base", root / "adapter", model, request.param


def make_ours(base, alpha: float, **changes):
    lora = LoraConfig(rank=4, alpha=alpha, targets=TARGETS)
    fields = {"decoder": read_decoder_preset(base), "lora": lora, **changes}
    return dataclasses.replace(make_config(), **fields)


def load_adapted_decoder(adapter, config):
    sources = Sources(run=None, step=None, model=None, encoder=None, decoder=str(adapter))
    loaded = load_sources(describe_params(config), config, sources)
    return unflatten_dict(
        {path.removeprefix("decoder/"): leaf for path, leaf in loaded.items()}, sep="/"
    )


def test_an_adapter_becomes_our_lora(adapted):
    base, adapter, theirs, is_stabilised = adapted
    config = make_ours(base, 12.0 if is_stabilised else 6.0)
    params = load_adapted_decoder(adapter, config)
    ids = make_ids(config.decoder, 30)
    ids[:, :4] = ROWS * 2
    wanted = run(theirs, ids).logits
    assert_equal(compute_ours(config.decoder, config.lora, params, ids), wanted)
    # it says something: with half the scale the logits are others
    half = dataclasses.replace(config.lora, alpha=config.lora.alpha / 2)
    assert measure_difference(compute_ours(config.decoder, half, params, ids), wanted) > 1e-2


def test_an_adapter_merged_is_a_decoder(adapted, tmp_path):
    base, adapter, theirs, _ = adapted
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_text("{}")
    said = import_weights(adapter, tmp_path / "out", dtype="float32", tokenizer=str(tokenizer))
    assert f"{base} with the adapter of rank 4 merged" in said
    merged = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "out", dtype=torch.float32
    )
    ids = make_ids(read_decoder_preset(base), 30)
    ids[:, :4] = ROWS * 2
    assert_equal(run(merged.eval(), ids).logits, run(theirs, ids).logits)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"lora": LoraConfig(rank=8, alpha=16.0, targets=TARGETS)},
            r"has rank 4 and alpha .*; set LORA_RANK = 4 and LORA_ALPHA = ",
        ),
        ({"targets": ("q", "v")}, "missing .*v_proj.*; or set ModelConfig.lora_targets"),
    ],
)
def test_a_lora_that_is_not_the_adapters_is_refused(adapted, changes, message):
    base, adapter, _, is_stabilised = adapted
    config = make_ours(base, 12.0 if is_stabilised else 6.0)
    if "targets" in changes:
        changes = {"lora": dataclasses.replace(config.lora, targets=changes["targets"])}
    with pytest.raises(ValueError, match=message):
        load_adapted_decoder(adapter, dataclasses.replace(config, **changes))


def test_an_adapter_on_another_base_is_refused(adapted, tmp_path):
    _, adapter, _, _ = adapted
    other = transformers.GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=32)
    transformers.GPT2LMHeadModel(other).save_pretrained(tmp_path / "base")
    with pytest.raises(ValueError, match=r"changes model.layers.0.* which .* has not; give the"):
        import_weights(adapter, tmp_path / "out", dtype="float32", base=str(tmp_path / "base"))
    assert not (tmp_path / "out").exists()
