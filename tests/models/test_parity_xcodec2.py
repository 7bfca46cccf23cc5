"""X-codec2's way back against the PyTorch class, from a folder that this class wrote."""

import numpy as np
import pytest

from sift_jax.models.hubert_files import find_files, read_tensors
from sift_jax.models.xcodec2 import decode_codes
from sift_jax.models.xcodec2_files import make_config, make_params

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def write_folder(folder, **more):
    semantic = transformers.Wav2Vec2BertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        feature_projection_input_dim=160)
    sizes = {"hidden_size": 64, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 4, "head_dim": 16, "encoder_hidden_size": 4, "downsampling_ratios": [2, 2, 5],
             "quantization_dim": 96, "quantization_levels": [4, 5, 3], "semantic_model_config": semantic}
    torch.manual_seed(3)
    model = transformers.Xcodec2Model(transformers.Xcodec2Config(**sizes | more)).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("more", [{}, {"attention_bias": True, "rope_parameters": {"rope_type": "default",
                                                                                   "rope_theta": 500.0}}])
def test_samples_equal(tmp_path, more):
    model = write_folder(tmp_path, **more)
    found = find_files(tmp_path)
    config = make_config(found.raw, tmp_path)
    params = make_params(read_tensors(found.files, tmp_path), config, tmp_path)
    ids = np.random.default_rng(0).integers(0, config.codes, (2, 23))
    with torch.no_grad():
        theirs = model.decode(torch.from_numpy(ids)[:, None]).audio_values[:, 0].numpy()
    ours = np.asarray(decode_codes(config, params, ids, np.array([23, 23])))
    assert ours.shape == theirs.shape == (2, 23 * config.hop)
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()
    longer = np.pad(ids[1:], ((0, 0), (0, 9)), constant_values=7)
    with torch.no_grad():
        alone = model.decode(torch.from_numpy(ids[1:, :17])[:, None]).audio_values[0, 0].numpy()
    padded = np.asarray(decode_codes(config, params, longer, np.array([17])))[0, : 17 * config.hop]
    assert np.abs(padded - alone).max() <= 1e-4 * np.abs(alone).max(), "what stands behind a row changes nothing"
