"""The CTC aligner over a tiny checkpoint folder, and over a network whose answer is known."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from data_prep.alignment import ctc, word_time_stage
from data_prep.alignment.ctc import CtcAligner, spell_words
from data_prep.alignment.ctc_checkpoint import read_checkpoint
from data_prep.alignment.word_time import AlignmentError
from data_prep.build import parse_arguments
from data_prep.pipeline.build_stages import build
from sift_jax.audio.files import write_audio

CONFIG = {
    "model_type": "wav2vec2",
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "conv_kernel": [10, 64],
    "conv_stride": [5, 64],
    "feat_extract_norm": "group",
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "pad_token_id": 0,
}
SYMBOLS = ["<pad>", "|", "A", "B", "C", "É", "'"]
WIDTH, CHANNELS, INNER = 8, 6, 12


def write_folder(folder):
    rng = np.random.default_rng(0)
    shapes = {
        "feature_extractor.conv_layers.0.conv.weight": (CHANNELS, 1, 10),
        "feature_extractor.conv_layers.1.conv.weight": (CHANNELS, CHANNELS, 64),
        "feature_projection.projection.weight": (WIDTH, CHANNELS),
        "masked_spec_embed": (WIDTH,),
        "encoder.pos_conv_embed.conv.weight_g": (1, 1, 4),
        "encoder.pos_conv_embed.conv.bias": (WIDTH,),
        "encoder.pos_conv_embed.conv.weight_v": (WIDTH, WIDTH // 2, 4),
    }
    shapes["feature_projection.projection.bias"] = (WIDTH,)
    norms = {
        "feature_extractor.conv_layers.0.layer_norm": CHANNELS,
        "feature_projection.layer_norm": CHANNELS,
        "encoder.layer_norm": WIDTH,
    }
    for i in range(2):
        layer = f"encoder.layers.{i}"
        norms |= {f"{layer}.layer_norm": WIDTH, f"{layer}.final_layer_norm": WIDTH}
        for name, (out, into) in {
            **{f"attention.{p}_proj": (WIDTH, WIDTH) for p in ("q", "k", "v", "out")},
            "feed_forward.intermediate_dense": (INNER, WIDTH),
            "feed_forward.output_dense": (WIDTH, INNER),
        }.items():
            shapes |= {f"{layer}.{name}.weight": (out, into), f"{layer}.{name}.bias": (out,)}
    shapes |= {
        f"{name}.{kind}": (size,) for name, size in norms.items() for kind in ("weight", "bias")
    }
    tensors = {
        f"wav2vec2.{key}": rng.standard_normal(shape).astype(np.float32)
        for key, shape in shapes.items()
    }
    tensors |= {
        "lm_head.weight": rng.standard_normal((len(SYMBOLS), WIDTH)).astype(np.float32),
        "lm_head.bias": np.zeros(len(SYMBOLS), np.float32),
    }
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "vocab.json").write_text(json.dumps({symbol: i for i, symbol in enumerate(SYMBOLS)}))
    return tensors


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path)
    return tmp_path


@pytest.fixture
def wave():
    return np.random.default_rng(5).standard_normal(20_000).astype(np.float32)


def test_a_folder_is_an_aligner(folder, wave):
    times = CtcAligner.read(folder).align(wave, "Ab, c'été 42!")
    assert [time.word for time in times] == ["Ab", "c'été", "42"]
    edges = [edge for time in times for edge in (time.start, time.end)]
    assert edges == sorted(edges) and edges[-1] <= len(wave) / 16_000
    assert all(0 < time.score <= 1 and time.end > time.start for time in times)


def test_a_checkpoint_aligns_a_build_and_its_weights_decide_the_stage(tmp_path, wave):
    (tmp_path / "model").mkdir()
    write_folder(tmp_path / "model")
    for place, (name, text) in enumerate((("a", "Ab, c'été!"), ("b", "Ba"), ("c", "— 42 —"))):
        write_audio(tmp_path / f"{name}.flac", 0.1 * wave[1_000 * place :])
        with (tmp_path / "list.jsonl").open("a") as out:
            out.write(json.dumps({"audio": f"{name}.flac", "text": text}) + "\n")
    flags = [
        "--corpus=manifest",
        f"--manifest={tmp_path / 'list.jsonl'}",
        "--languages=fr",
        f"--out={tmp_path / 'out'}",
        "--workers=2",
        "--dev=0",
        "--evaluation=0",
        "--aligner=ctc",
        f"--checkpoint={tmp_path / 'model'}",
    ]

    def find_words():
        build(parse_arguments(flags), ("corpus", "words"))
        parts = (tmp_path / "out" / "parts" / "words").iterdir()
        rows = [json.loads(line) for part in parts for line in part.read_text().splitlines()]
        return {row["id"]: row.get("words", row.get("reason")) for row in rows}

    first = find_words()
    assert [word["word"] for word in first["a"]] == ["Ab", "c'été"] and len(first["b"]) == len(
        first["c"]
    ) == 1
    weights = load_file(tmp_path / "model" / "model.safetensors")
    save_file(
        {
            key: value[::-1].copy() if key == "lm_head.weight" else value
            for key, value in weights.items()
        },
        tmp_path / "model" / "model.safetensors",
    )
    word_time_stage._load_aligner.cache_clear()
    assert find_words() != first


def test_padding_changes_nothing(folder, wave):
    checkpoint = read_checkpoint(folder)
    rows = np.zeros((2, 32_000), np.float32)
    rows[0, :20_000] = rows[1, :20_000] = wave
    rows[1, 20_000:] = 100.0
    frames = checkpoint.config.count_frames(20_000)
    both = ctc.compute_log_probs(
        checkpoint.config, checkpoint.params, rows, np.array([20_000, 20_000])
    )
    alone = ctc.compute_log_probs(
        checkpoint.config, checkpoint.params, wave[None], np.array([20_000])
    )
    np.testing.assert_allclose(both[0, :frames], alone[0], atol=2e-5)
    np.testing.assert_allclose(both[1, :frames], alone[0], atol=2e-5)


def test_words_are_where_the_network_hears_them(folder, wave, monkeypatch):
    path = np.repeat([0, 2, 0, 3, 1, 4, 1, 2, 0], [3, 2, 1, 1, 2, 3, 1, 2, 4])
    probs = np.full((len(path), len(SYMBOLS)), 0.01)
    probs[np.arange(len(path)), path] = 0.94
    aligner = CtcAligner.read(folder)
    monkeypatch.setattr(aligner, "compute_log_probs", lambda wave: np.log(probs))
    step = 320 / 16_000
    for transcript, middle in (("ab c a", "c"), ("ab 7 a", "7")):
        times = aligner.align(wave, transcript)
        assert [(t.word, round(t.start / step), round(t.end / step)) for t in times] == [
            ("ab", 3, 7),
            (middle, 9, 12),
            ("a", 13, 15),
        ]
        assert times[0].score == pytest.approx(0.94, abs=1e-3)


@pytest.mark.parametrize("samples", [15 * 16_000 + 77, 16 * 16_000, 8 * 16_000 + 400])
def test_long_recordings_are_heard_in_windows(folder, monkeypatch, samples):
    aligner = CtcAligner.read(folder)
    wave = np.random.default_rng(5).standard_normal(samples)
    heard = []

    def hear(piece):
        # what a network with a short memory would answer: each frame knows its own samples
        heard.append(len(piece))
        frames = aligner._checkpoint.config.count_frames(len(piece))
        return np.stack([piece[i * 320 : i * 320 + 325].sum() for i in range(frames)])[:, None]

    monkeypatch.setattr(aligner, "_hear", hear)
    whole = aligner.compute_log_probs(wave)
    monkeypatch.setattr(ctc, "_LONGEST_SECONDS", 6)
    monkeypatch.setattr(ctc, "_WINDOW_SECONDS", 4)
    np.testing.assert_allclose(aligner.compute_log_probs(wave), whole, atol=1e-9)
    assert len(heard) > 2 and max(heard[1:]) <= 10 * 16_000


def test_letters_are_found_in_other_forms():
    vocabulary = {symbol: i for i, symbol in enumerate(SYMBOLS)}
    symbols, owners = spell_words(["é", "bà", "x", "c’"], vocabulary, "|", 99)
    assert symbols.tolist() == [5, 1, 3, 2, 1, 99, 1, 4, 6]
    assert owners.tolist() == [0, -1, 1, 1, -1, 2, -1, 3, 3]
    assert spell_words(["ß", "a"], {"s": 1, "a": 2}, "|", 9)[0].tolist() == [1, 1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "wavlm"}, "model_type 'wavlm'; what is read is wav2vec2 and hubert"),
        ({"adapter_attn_dim": 16}, "adapter_attn_dim is not computed here"),
        ({"conv_stride": None}, "no conv_stride; fetch"),
        ({"feat_extract_norm": "batch"}, "feat_extract_norm is 'batch'"),
        ({"hidden_act": "tanh"}, "activation 'tanh' is not known"),
        ({"num_hidden_layers": 3}, "no tensors for layers/2/"),
    ],
)
def test_other_models_are_refused(folder, change, message):
    (folder / "config.json").write_text(json.dumps(CONFIG | change))
    with pytest.raises(AlignmentError, match=message):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    "end",
    [
        "conv_layers.1.conv.weight",
        "projection.bias",
        "encoder.layer_norm.bias",
        "conv_layers.0.layer_norm.weight",
    ],
)
def test_a_lost_tensor_is_named_when_the_folder_is_read(folder, end):
    tensors = load_file(folder / "model.safetensors")
    [lost] = [key for key in tensors if key.endswith(end)]
    save_file({key: x for key, x in tensors.items() if key != lost}, folder / "model.safetensors")
    with pytest.raises(AlignmentError, match="no tensors for "):
        read_checkpoint(folder)


def test_faulty_folders_are_named(folder, tmp_path):
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {**tensors, "wav2vec2.extra.weight": np.zeros(2, np.float32)}, folder / "model.safetensors"
    )
    with pytest.raises(AlignmentError, match="unknown tensors wav2vec2.extra.weight"):
        read_checkpoint(folder)
    (folder / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(AlignmentError, match="model.safetensors: cannot be read"):
        read_checkpoint(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(AlignmentError, match="no .*safetensors; save the model again"):
        read_checkpoint(folder)
    (folder / "vocab.json").write_text('{"eng": {"a": 1}}')
    with pytest.raises(AlignmentError, match="not one table of symbols"):
        read_checkpoint(folder)
    (folder / "vocab.json").unlink()
    with pytest.raises(AlignmentError, match="no vocab.json"):
        read_checkpoint(folder)


def test_what_cannot_be_aligned_is_said(folder, wave):
    aligner = CtcAligner.read(folder)
    with pytest.raises(AlignmentError, match="no words"):
        aligner.align(wave, "…")
    with pytest.raises(AlignmentError, match="5 samples make no frame"):
        aligner.align(wave[:5], "a")
    with pytest.raises(AlignmentError, match="do not fit"):
        aligner.align(wave[:2_000], "abc abc abc")
