"""X-codec2, there and back, against the PyTorch classes, from a folder that these wrote."""

import numpy as np
import pytest

from sift_jax.codecs.network_folder import find_files, read_tensors
from sift_jax.codecs.registry import load_codec
from sift_jax.codecs.xcodec2.decoder_checkpoint import make_config, make_params
from sift_jax.codecs.xcodec2.encoder_checkpoint import make_encoder_config, make_encoder_params
from sift_jax.codecs.xcodec2.kaldi_mel import measure_kaldi_mel
from sift_jax.codecs.xcodec2.xcodec2_codec import adopt_xcodec2
from sift_jax.codecs.xcodec2.xcodec2_decoder import decode_codes
from sift_jax.codecs.xcodec2.xcodec2_encoder import describe_waves, encode_waves

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def write_folder(folder, **more):
    semantic = transformers.Wav2Vec2BertConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        feature_projection_input_dim=160,
    )
    sizes = {
        "hidden_size": 64,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 16,
        "encoder_hidden_size": 4,
        "downsampling_ratios": [2, 2, 5],
        "quantization_dim": 96,
        "quantization_levels": [4, 5, 3],
        "semantic_model_config": semantic,
    }
    torch.manual_seed(3)
    model = transformers.Xcodec2Model(transformers.Xcodec2Config(**sizes | more)).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"attention_bias": True, "rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
    ],
)
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
    assert np.abs(padded - alone).max() <= 1e-4 * np.abs(alone).max(), (
        "what stands behind a row changes nothing"
    )


def make_wave(samples, seed=0):
    """Noise whose loudness and colour wander, and a tone in it."""
    random = np.random.default_rng(seed)
    noise = (
        np.cumsum(random.standard_normal(samples)) * 0.01 + random.standard_normal(samples) * 0.02
    )
    wave = (
        noise
        - np.convolve(noise, np.ones(160) / 160, "same")
        + 0.2 * np.sin(np.arange(samples) * 0.08)
    )
    return (wave * np.linspace(0.1, 1, samples)).astype(np.float32)


def hear_theirs(wave):
    """What transformers' feature extractor gives of a wave, by the one of its classes that runs on
    numpy alone."""
    whole = np.pad(wave, (0, 320 - len(wave) % 320))
    extractor = transformers.SeamlessM4TFeatureExtractor()
    mel = extractor(np.pad(whole, (160, 160)), sampling_rate=16_000, return_tensors="np")[
        "input_features"
    ]
    return whole, mel


ENCODING = {
    "downsampling_ratios": [4, 4, 4, 5],
    "hidden_size": 32,
    "quantization_levels": [4, 4, 5, 3],
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("xcodec2")
    model = write_folder(folder, **ENCODING, quantization_dim=64)
    found = find_files(folder)
    config = make_encoder_config(found.raw, folder)
    return (
        model,
        folder,
        config,
        make_encoder_params(read_tensors(found.files, folder), config, folder),
    )


def test_log_mel_equals():
    whole, theirs = hear_theirs(make_wave(16_000))
    ours = np.asarray(measure_kaldi_mel(whole[None], np.array([len(whole)])))
    assert ours.shape == theirs.shape and np.abs(ours - theirs).max() <= 2e-3
    assert np.abs(ours - theirs).mean() <= 1e-4
    longer = np.pad(whole, (0, 6_400), constant_values=0.5)
    padded = np.asarray(measure_kaldi_mel(longer[None], np.array([len(whole)])))
    assert (
        np.abs(padded[:, : ours.shape[1]] - ours).max() <= 1e-4
        and not padded[:, ours.shape[1] :].any()
    )


def test_codes_equal(encoder):
    model, _, config, params = encoder
    whole, mel = hear_theirs(make_wave(33_000))
    caught = {}
    model.quantizer.project_in.register_forward_hook(
        lambda module, args, output: caught.update(latents=output)
    )
    with torch.no_grad():
        theirs = (
            model.encode(torch.from_numpy(whole)[None, None], torch.from_numpy(mel))
            .audio_codes[0, 0]
            .numpy()
        )
    latents = caught["latents"].numpy()
    ours = np.asarray(describe_waves(config, params, whole[None], np.array([len(whole)])))
    assert np.abs(ours - latents).max() <= 2e-4 * np.abs(latents).max()
    codes = np.asarray(encode_waves(config, params, whole[None], np.array([len(whole)])))[0]
    assert codes.shape == theirs.shape == (104,) and len(np.unique(theirs)) > 10
    # a scalar halfway between two levels may fall to either side
    assert (codes == theirs).mean() >= 0.98


def test_what_stands_behind_a_wave_changes_nothing(encoder):
    _, _, config, params = encoder
    whole, _ = hear_theirs(make_wave(20_000))
    alone = np.asarray(describe_waves(config, params, whole[None], np.array([len(whole)])))
    longer = np.pad(whole, (0, 9_600), constant_values=0.5)[None]
    longer = np.asarray(describe_waves(config, params, longer, np.array([len(whole)])))
    assert np.abs(longer[:, : alone.shape[1]] - alone).max() <= 1e-4 * np.abs(alone).max()


def test_an_adopted_codec_goes_both_ways(encoder, tmp_path):
    _, folder, config, params = encoder
    adopt_xcodec2(folder, tmp_path / "codec")
    codec = load_codec(tmp_path / "codec")
    waves = [make_wave(40_321, seed=n)[:n] for n in (100, 16_000, 40_321)]
    found = codec.encode(waves)
    assert (
        [len(ids) for ids in found]
        == [codec.count_units(len(wave)) for wave in waves]
        == [1, 51, 127]
    )
    whole = np.pad(waves[1], (0, 320))
    alone = np.asarray(encode_waves(config, params, whole[None], np.array([len(whole)])))[0]
    assert (found[1] == alone).mean() >= 0.98
    assert len(codec.decode(found[2])) == 127 * 320
