"""Our wav2vec2 and HuBERT against the PyTorch classes, from folders that those classes wrote."""

import json

import numpy as np
import pytest

from data_prep.alignment.ctc_checkpoint import read_checkpoint
from sift_jax.codecs.hubert.hubert_checkpoint import make_config, make_params
from sift_jax.codecs.hubert.network import compute_features, compute_log_probs
from sift_jax.codecs.network_folder import find_files, read_tensors

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [24, 24, 24],
    "conv_kernel": [10, 8, 4],
    "conv_stride": [5, 4, 2],
    "vocab_size": 12,
    "num_conv_pos_embedding_groups": 4,
    "hidden_dropout": 0.0,
    "feat_proj_dropout": 0.0,
    "pad_token_id": 0,
}
VARIANTS = {
    "group": {"feat_extract_norm": "group", "conv_bias": False, "num_conv_pos_embeddings": 16},
    "layer": {"feat_extract_norm": "layer", "conv_bias": True, "num_conv_pos_embeddings": 15},
    "stable": {
        "feat_extract_norm": "layer",
        "conv_bias": True,
        "num_conv_pos_embeddings": 16,
        "do_stable_layer_norm": True,
        "layer_norm_eps": 1e-4,
    },
}


def write_folder(folder, kind, variant, head="ForCTC", **more):
    config = getattr(transformers, f"{kind}Config")(**SIZES, **VARIANTS[variant], **more)
    torch.manual_seed(3)
    model = getattr(transformers, f"{kind}{head}")(config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
    model.save_pretrained(folder)
    symbols = ["<pad>", "|", *"abcdefghij"]
    (folder / "vocab.json").write_text(json.dumps({symbol: i for i, symbol in enumerate(symbols)}))
    return model


@pytest.mark.parametrize(
    ("kind", "variant", "more"),
    [
        ("Wav2Vec2", "group", {}),
        ("Wav2Vec2", "layer", {}),
        ("Wav2Vec2", "stable", {}),
        ("Hubert", "group", {"feat_proj_layer_norm": False}),
        ("Hubert", "stable", {}),
    ],
)
def test_log_probs_equal(tmp_path, kind, variant, more):
    model = write_folder(tmp_path, kind, variant, **more)
    rng = np.random.default_rng(0)
    lengths = [6_000, 4_321]
    rows = np.zeros((2, 6_000), np.float32)
    for row, length in zip(rows, lengths, strict=True):
        row[:length] = rng.standard_normal(length)
    checkpoint = read_checkpoint(tmp_path)
    ours = compute_log_probs(checkpoint.config, checkpoint.params, rows, np.array(lengths))
    for i, length in enumerate(lengths):
        # alone, so that their group norm sees no padding either
        with torch.no_grad():
            logits = model(torch.from_numpy(rows[i : i + 1, :length])).logits[0]
        theirs = torch.log_softmax(logits, dim=-1).numpy()
        assert len(theirs) == checkpoint.config.count_frames(length)
        assert np.abs(np.asarray(ours[i, : len(theirs)]) - theirs).max() <= 1e-4


def read_encoder(folder, layers=None):
    found = find_files(folder)
    config = make_config(found.raw, folder)
    return config, make_params(
        read_tensors(found.files, folder), config, folder, has_head=False, layers=layers
    )


@pytest.mark.parametrize(
    ("variant", "head"), [("group", "Model"), ("layer", "Model"), ("stable", "ForCTC")]
)
def test_every_layer_equals(tmp_path, variant, head):
    model = write_folder(tmp_path, "Hubert", variant, head)
    encoder = model.hubert if head == "ForCTC" else model
    config, params = read_encoder(tmp_path)
    rng = np.random.default_rng(0)
    lengths = np.array([6_000, 4_321])
    rows = np.zeros((2, 6_000), np.float32)
    for row, length in zip(rows, lengths, strict=True):
        row[:length] = rng.standard_normal(length)
    for layer in (*range(config.num_hidden_layers + 1), None):
        ours = np.asarray(compute_features(config, params, rows, lengths, layer=layer))
        for i, length in enumerate(lengths):
            with torch.no_grad():
                told = encoder(
                    torch.from_numpy(rows[i : i + 1, :length]), output_hidden_states=True
                )
            theirs = (told.last_hidden_state if layer is None else told.hidden_states[layer])[
                0
            ].numpy()
            assert len(theirs) == config.count_frames(length)
            assert np.abs(ours[i, : len(theirs)] - theirs).max() <= 1e-4, layer


def test_a_padded_batch_equals(tmp_path):
    """With layer norms the published classes too give a clip in a batch what it gets alone."""
    model = write_folder(tmp_path, "Hubert", "stable", "Model")
    config, params = read_encoder(tmp_path)
    rows = np.random.default_rng(0).standard_normal((2, 6_000)).astype(np.float32)
    lengths = np.array([6_000, 4_321])
    mask = torch.from_numpy(np.arange(6_000) < lengths[:, None]).long()
    with torch.no_grad():
        theirs = model(torch.from_numpy(rows), attention_mask=mask).last_hidden_state.numpy()
    ours = np.asarray(compute_features(config, params, rows, lengths))
    for i, frames in enumerate(config.count_frames(lengths)):
        assert np.abs(ours[i, :frames] - theirs[i, :frames]).max() <= 1e-4


def test_layers_that_are_not_asked_for_are_not_held(tmp_path):
    write_folder(tmp_path, "Hubert", "stable", "Model")
    (config, whole), (_, part) = read_encoder(tmp_path), read_encoder(tmp_path, layers=2)
    assert len(part["layers"]["norm"]["weight"]) == 2
    rows, lengths = np.ones((1, 2_000), np.float32), np.array([2_000])
    there, here = (
        compute_features(config, params, rows, lengths, layer=2) for params in (whole, part)
    )
    assert np.array_equal(there, here)
