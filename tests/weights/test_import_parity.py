"""Files of other programs, read as those who know them read them.

blocks of random bytes   ─► our unpacking ─┬─ equal? ─ transformers' unpacking
torch.save(model)        ─► our reader    ─┴─ equal? ─ torch.load
"""

import dataclasses

import numpy as np
import pytest
from tiny_model import make_config, make_params

from sift_jax.exporting.export import SIFT, export_model
from sift_jax.models.layers import make_sinusoids
from sift_jax.pretrained import Model
from sift_jax.weights.foreign.convert import import_weights
from sift_jax.weights.foreign.gguf_blocks import PACKINGS, unpack
from sift_jax.weights.foreign.torch_file import read_torch_file
from sift_jax.weights.token_rows import read_token_rows

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.parity


@pytest.mark.parametrize("number", [2, 3, 8, 12, 13, 14], ids=lambda number: PACKINGS[number].name)
def test_blocks_of_random_bytes(number):
    from transformers.integrations.gguf.dequant import dequantize

    packing = PACKINGS[number]
    raw = np.random.default_rng(0).integers(0, 256, (200, packing.bytes), dtype=np.uint8)
    # scales in half precision, no NaN among them
    at = {8: [0], 2: [0], 14: [208]}.get(number, [0, 2])
    for start in at:
        raw[:, start : start + 2] = (
            np.linspace(-2, 3, 200).astype("<f2").view(np.uint8).reshape(200, 2)
        )
    theirs = dequantize(torch.from_numpy(raw), number).float().numpy().reshape(-1)
    np.testing.assert_allclose(unpack(packing, raw), theirs, rtol=1e-5, atol=1e-5)


def test_what_torch_saves(tmp_path):
    state = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.LayerNorm(5)).state_dict()
    state["2.view"] = torch.arange(12.0).reshape(3, 4)[:, 1:].T
    state["3.half"], state["4.bfloat16"] = torch.randn(4).half(), torch.randn(2, 2).bfloat16()
    state["5.parameter"] = torch.nn.Parameter(torch.randn(2))
    torch.save({"dims": {"n_mels": 80}, "model_state_dict": state}, tmp_path / "x.pt")
    found = read_torch_file(tmp_path / "x.pt")
    assert found["dims"] == {"n_mels": 80} and list(found["model_state_dict"]) == list(state)
    for name, value in state.items():
        np.testing.assert_array_equal(
            found["model_state_dict"][name].astype(np.float32),
            value.detach().float().numpy(),
            err_msg=name,
        )
    torch.save({"model_state_dict": torch.nn.Linear(2, 2)}, tmp_path / "y.pt")
    with pytest.raises(
        ValueError,
        match="names torch.nn.modules.linear.Linear, and nothing but tensors is read here",
    ):
        read_torch_file(tmp_path / "y.pt")


@pytest.mark.parametrize("is_tied", [True, False])
def test_peft_takes_an_adapter_onto_a_base_with_fewer_rows(tokenizer, tmp_path, is_tied):
    """Resized first, as for any adapter with tokens of its own."""
    peft = pytest.importorskip("peft")
    large = make_config(lora_rank=2, extra_tokens=5)
    large = dataclasses.replace(large, decoder=dataclasses.replace(large.decoder, is_tied=is_tied))
    rows = large.decoder.vocab_size - 5
    params = make_params(large)
    decoder = dict(params["decoder"])
    small = dataclasses.replace(large, decoder=dataclasses.replace(large.decoder, vocab_size=rows))
    small = dataclasses.replace(small, lora=dataclasses.replace(small.lora, rank=0))
    cut = {**decoder, "embedding": decoder["embedding"][:rows]}
    if not is_tied:
        cut["head"] = decoder["head"][:, :rows]
    cut["blocks"] = _without_lora(cut["blocks"])
    published = Model(config=small, params={**params, "decoder": cut}, tokenizer=tokenizer, step=0)
    export_model(published, tmp_path / "base", dataclasses.replace(SIFT, format="merged"))
    trained = Model(config=large, params=params, tokenizer=tokenizer, step=1)
    onto = dataclasses.replace(SIFT, format="peft", base=str(tmp_path / "base"))
    export_model(trained, tmp_path / "peft", onto)
    assert {module: len(x) for module, x in read_token_rows(tmp_path / "peft").items()} == (
        {"embed_tokens": 5} if is_tied else {"embed_tokens": 5, "lm_head": 5}
    )
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "base", dtype=torch.float32
    )
    said = f"base.resize_token_embeddings({large.decoder.vocab_size})"
    assert said in (tmp_path / "peft" / "README.md").read_text()
    theirs.resize_token_embeddings(large.decoder.vocab_size)
    theirs = peft.PeftModel.from_pretrained(theirs, tmp_path / "peft").eval()
    export_model(trained, tmp_path / "merged", dataclasses.replace(SIFT, format="merged"))
    whole = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "merged", dtype=torch.float32
    ).eval()
    ids = torch.tensor([[1, 5, 9, rows, rows + 4, 3]])
    with torch.no_grad():
        expected, found = whole(ids).logits, theirs(ids).logits
    assert (expected - found).abs().max() < 1e-4 * expected.abs().max()


def _without_lora(tree):
    if not isinstance(tree, dict):
        return tree
    return {name: _without_lora(x) for name, x in tree.items() if not name.startswith("lora_")}


def test_openais_whisper_computes_what_transformers_does(tmp_path):
    """A random Whisper's state under OpenAI's names, saved by torch: imported, transformers gives
    the same."""
    from test_import_weights import name_openai

    config = transformers.WhisperConfig(
        # a file says nothing of special tokens, so that their ids are those of Whisper's own
        # vocabulary
        vocab_size=51_865,
        d_model=64,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=1,
        decoder_attention_heads=1,
        encoder_ffn_dim=256,
        decoder_ffn_dim=256,
        max_target_positions=16,
    )
    model = transformers.WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        model.model.encoder.embed_positions.weight.copy_(
            torch.from_numpy(np.asarray(make_sinusoids(1500, 64)))
        )
    state = {
        name_openai(key): value
        for key, value in model.state_dict().items()
        if key != "proj_out.weight"
    }
    torch.save({"dims": {}, "model_state_dict": state}, tmp_path / "w.pt")
    import_weights(tmp_path / "w.pt", tmp_path / "out", dtype="float32")
    again = transformers.WhisperForConditionalGeneration.from_pretrained(tmp_path / "out").eval()
    mel, ids = torch.randn(1, 80, 3000), torch.tensor([[1, 5, 7]])
    with torch.no_grad():
        expected, found = (
            m(input_features=mel, decoder_input_ids=ids).logits for m in (model, again)
        )
    np.testing.assert_allclose(found, expected, atol=1e-5)
