"""HuBERT units: a code book fitted on a tiny random encoder, ids that do not depend on company,
errors that name."""

import json
import shutil

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from test_units_commands import run
from voices import make_speech

from sift_jax.audio.files import write_audio
from sift_jax.codecs.codec import join_runs
from sift_jax.codecs.hubert.hubert_codec import HubertOptions, draw_frames, fit_hubert
from sift_jax.codecs.registry import load_codec

WIDTH, LAYERS = 16, 3
CONFIG = {
    "model_type": "hubert",
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "feat_extract_norm": "group",
    "num_attention_heads": 2,
    "num_hidden_layers": LAYERS,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}


def write_encoder(folder, seed=0):
    folder.mkdir()
    random = np.random.default_rng(seed)
    shapes = {
        "encoder.pos_conv_embed.conv.weight_g": (1, 1, 16),
        "encoder.pos_conv_embed.conv.bias": (WIDTH,),
        "encoder.pos_conv_embed.conv.weight_v": (WIDTH, WIDTH // 2, 16),
        "feature_projection.projection.weight": (WIDTH, 8),
        "feature_projection.projection.bias": (WIDTH,),
    }
    norms = {
        "encoder.layer_norm": WIDTH,
        "feature_projection.layer_norm": 8,
        "feature_extractor.conv_layers.0.layer_norm": 8,
    }
    for i, kernel in enumerate(CONFIG["conv_kernel"]):
        shapes[f"feature_extractor.conv_layers.{i}.conv.weight"] = (8, 8 if i else 1, kernel)
    for i in range(LAYERS):
        layer = f"encoder.layers.{i}"
        norms |= {f"{layer}.layer_norm": WIDTH, f"{layer}.final_layer_norm": WIDTH}
        linear = {f"attention.{name}_proj": (WIDTH, WIDTH) for name in ("q", "k", "v", "out")}
        linear |= {
            "feed_forward.intermediate_dense": (24, WIDTH),
            "feed_forward.output_dense": (WIDTH, 24),
        }
        for name, shape in linear.items():
            shapes |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
    tensors = {name: random.standard_normal(shape) * 0.4 for name, shape in shapes.items()}
    for name, width in norms.items():
        tensors |= {f"{name}.weight": np.ones(width), f"{name}.bias": np.zeros(width)}
    save_file(
        {name: tensor.astype(np.float32) for name, tensor in tensors.items()},
        folder / "model.safetensors",
    )
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


WAVES = [make_speech(100 + 40 * i, seed=i, seconds=1.0 + 0.3 * i) for i in range(3)]


def make_options(**more):
    return HubertOptions(
        **(
            {"layer": 2, "codes": 8, "frames": 60, "is_deduplicated": False, "has_weights": False}
            | more
        )
    )


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("hub") / "hubert")


@pytest.fixture(scope="module")
def fitted(encoder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "codec"
    fit_hubert(encoder, [WAVES[:1], WAVES[1:]], out, make_options(), seed=0)
    return out


def test_units_are_fifty_a_second_and_use_the_book(fitted):
    codec = load_codec(fitted)
    found = codec.encode(WAVES)
    assert codec.config.frame_rate == 50
    assert (
        [len(ids) for ids in found]
        == [codec.count_units(len(wave)) for wave in WAVES]
        == [49, 64, 79]
    )
    assert len(np.unique(np.concatenate(found))) == 8


def test_a_wave_gives_the_same_alone(fitted):
    codec = load_codec(fitted)
    together = codec.encode(WAVES)
    for wave, ids in zip(WAVES, together, strict=True):
        assert np.array_equal(codec.encode(wave)[0], ids)
    assert [
        len(ids) for ids in codec.encode([np.zeros(3, np.float32), np.ones(400, np.float32)])
    ] == [1, 1]


def test_a_long_wave_gives_every_frame(fitted):
    codec = load_codec(fitted)
    wave = np.tile(WAVES[0], 33)
    assert len(codec.encode(wave)[0]) == codec.count_units(len(wave)) == 1_649


def test_almost_no_silence_is_computed():
    from sift_jax.codecs.chunked_batches import cut_pieces, make_batches

    seconds = np.random.default_rng(0).uniform(1, 9, 40)
    pieces = list(cut_pieces([np.ones(round(s * 16_000), np.float32) for s in seconds], 320))
    batches = list(make_batches(pieces, is_heavy=True))
    assert sorted(place for places, _, _ in batches for place in places) == list(range(40))
    for places, waves, lengths in batches:
        assert lengths[: len(places)].tolist() == [len(pieces[place].samples) for place in places]
        assert waves.shape[1] % 320 == 0 and len(waves) % len(jax.local_devices()) == 0
        assert np.array_equal(np.asarray(waves).sum(1)[: len(places)], lengths[: len(places)])
    computed = sum(waves.size for _, waves, _ in batches)
    assert sum(len(piece.samples) for piece in pieces) > 0.8 * computed
    assert len({waves.shape for _, waves, _ in batches}) < 20


def test_the_same_fit_gives_the_same_codec(encoder, fitted, tmp_path):
    again = fit_hubert(encoder, [WAVES[:1], WAVES[1:]], tmp_path / "again", make_options(), seed=0)
    assert again.fingerprint == load_codec(fitted).fingerprint
    whole = fit_hubert(encoder, [WAVES], tmp_path / "whole", make_options(), seed=0)
    books = [folder.read_tensors("book")["points"] for folder in (again, whole)]
    assert np.allclose(*books, atol=1e-4), "how recordings are grouped changes rounding alone"
    other = fit_hubert(encoder, [WAVES], tmp_path / "other", make_options(layer=3), seed=0)
    assert other.fingerprint != again.fingerprint


def test_runs_are_one_where_asked(encoder, fitted, tmp_path):
    fit_hubert(encoder, [WAVES], tmp_path / "short", make_options(is_deduplicated=True), seed=0)
    short, whole = load_codec(tmp_path / "short").encode(WAVES), load_codec(fitted).encode(WAVES)
    assert all(np.array_equal(a, join_runs(b)) for a, b in zip(short, whole, strict=True))


def test_a_copied_encoder_needs_no_other_folder(encoder, fitted, tmp_path):
    moved = shutil.copytree(encoder, tmp_path / "moved")
    fit_hubert(moved, [WAVES], tmp_path / "whole", make_options(has_weights=True), seed=0)
    fit_hubert(moved, [WAVES], tmp_path / "thin", make_options(), seed=0)
    shutil.rmtree(moved)
    ids = load_codec(tmp_path / "whole").encode(WAVES)
    assert all(
        np.array_equal(a, b) for a, b in zip(ids, load_codec(fitted).encode(WAVES), strict=True)
    )
    with pytest.raises(
        ValueError,
        match="moved, which is not there; put it there again, or fit with --copy_encoder",
    ):
        load_codec(tmp_path / "thin")
    write_encoder(moved, seed=1)
    with pytest.raises(ValueError, match="is not the encoder that .*thin was fitted on"):
        load_codec(tmp_path / "thin")


def test_units_without_a_vocoder_are_not_spoken(fitted):
    with pytest.raises(
        ValueError, match="has no vocoder, so its units cannot be spoken; train one by `python -m"
    ):
        load_codec(fitted).decode([0, 1])


def test_frames_are_drawn_evenly_in_bounded_memory():
    rows = np.arange(5_000.0)[:, None]
    drawn = draw_frames(np.split(rows, 50), 500, seed=0)[:, 0]
    assert len(drawn) == len(set(drawn)) == 500 and (np.diff(drawn) > 0).all()
    assert np.array_equal(drawn, draw_frames([rows], 500, seed=0)[:, 0])
    assert abs(drawn.mean() - 2_500) < 200
    assert np.array_equal(draw_frames([rows], 9_000, seed=0), rows)


def test_choices_that_cannot_be(encoder, tmp_path):
    with pytest.raises(
        ValueError, match="4 frames cannot fill a book of 8 codes; ask for more frames"
    ):
        make_options(frames=4)
    with pytest.raises(ValueError, match="has layers 1 … 3, not 4; ask for another"):
        fit_hubert(encoder, [WAVES], tmp_path / "out", make_options(layer=4), seed=0)
    with pytest.raises(ValueError, match="there are no recordings to fit on"):
        fit_hubert(encoder, [], tmp_path / "out", make_options(), seed=0)
    broken = shutil.copytree(encoder, tmp_path / "broken")
    tensors = load_file(broken / "model.safetensors")
    save_file(
        {name: tensor for name, tensor in tensors.items() if "layers.1.attention.q" not in name},
        broken / "model.safetensors",
    )
    with pytest.raises(ValueError, match="no tensors for layers/1/attention/q_proj/bias"):
        fit_hubert(broken, [WAVES], tmp_path / "out", make_options(), seed=0)


def test_the_command_fits_and_encodes(encoder, tmp_path, monkeypatch, capsys):
    write_audio(tmp_path / "a.wav", WAVES[0])
    told = run(
        monkeypatch,
        capsys,
        "fit_hubert",
        f"--encoder={encoder}",
        "--layer=2",
        "--codes=8",
        "--frames=40",
        f"--audio={tmp_path / 'a.wav'}",
        f"--out={tmp_path / 'codec'}",
    )
    assert "8 units, 50 a second, from 40 frames of 1 recordings" in told
    run(
        monkeypatch,
        capsys,
        "encode",
        f"--codec={tmp_path / 'codec'}",
        f"--audio={tmp_path / 'a.wav'}",
        f"--out={tmp_path / 'units.jsonl'}",
    )
    row = json.loads((tmp_path / "units.jsonl").read_text())
    assert row["codec"] == load_codec(tmp_path / "codec").fingerprint and len(row["units"]) == 49
