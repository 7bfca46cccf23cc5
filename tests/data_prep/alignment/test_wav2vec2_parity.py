"""Our wav2vec2 and HuBERT against the PyTorch classes, from folders that those classes wrote."""

import json

import numpy as np
import pytest

from data_prep.alignment.checkpoint import read_checkpoint
from data_prep.alignment.wav2vec2 import compute_log_probs

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
         "conv_dim": [24, 24, 24], "conv_kernel": [10, 8, 4], "conv_stride": [5, 4, 2], "vocab_size": 12,
         "num_conv_pos_embedding_groups": 4, "hidden_dropout": 0.0, "feat_proj_dropout": 0.0, "pad_token_id": 0}
VARIANTS = {
    "group": {"feat_extract_norm": "group", "conv_bias": False, "num_conv_pos_embeddings": 16},
    "layer": {"feat_extract_norm": "layer", "conv_bias": True, "num_conv_pos_embeddings": 15},
    "stable": {"feat_extract_norm": "layer", "conv_bias": True, "num_conv_pos_embeddings": 16,
               "do_stable_layer_norm": True, "layer_norm_eps": 1e-4},
}


def write_folder(folder, kind, variant, **more):
    config = getattr(transformers, f"{kind}Config")(**SIZES, **VARIANTS[variant], **more)
    torch.manual_seed(3)
    model = getattr(transformers, f"{kind}ForCTC")(config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
    model.save_pretrained(folder)
    symbols = ["<pad>", "|", *"abcdefghij"]
    (folder / "vocab.json").write_text(json.dumps({symbol: i for i, symbol in enumerate(symbols)}))
    return model


@pytest.mark.parametrize(("kind", "variant", "more"), [
    ("Wav2Vec2", "group", {}), ("Wav2Vec2", "layer", {}), ("Wav2Vec2", "stable", {}),
    ("Hubert", "group", {"feat_proj_layer_norm": False}), ("Hubert", "stable", {}),
])
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
