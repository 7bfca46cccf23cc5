"""The local neural engine, with the class of `transformers` on random weights."""

import json

import numpy as np
import pytest
from question_sets import write_squad
from test_synthesis_speak import check_books, read_files, read_lines

from data_prep.synthesis.__main__ import main
from data_prep.synthesis.tts.vits import Vits

LETTERS = " abcdefghijklmnopqrstuvwxyz'-"


def write_vits(folder, *, speakers=4, phonemize=False):
    """As a download leaves it, though nobody has trained it."""
    torch = pytest.importorskip("torch")
    from transformers import VitsConfig, VitsModel

    torch.manual_seed(3)
    config = VitsConfig(
        vocab_size=len(LETTERS) + 1,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        window_size=2,
        ffn_dim=16,
        flow_size=16,
        spectrogram_bins=9,
        num_speakers=speakers,
        speaker_embedding_size=4,
        upsample_initial_channel=16,
        upsample_rates=[8, 8, 4],
        upsample_kernel_sizes=[16, 16, 8],
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1]],
        prior_encoder_num_flows=1,
        prior_encoder_num_wavenet_layers=1,
        duration_predictor_num_flows=1,
        duration_predictor_filter_channels=16,
        depth_separable_num_layers=1,
        posterior_encoder_num_wavenet_layers=1,
        use_stochastic_duration_prediction=False,
        sampling_rate=22_050,
    )
    VitsModel(config).save_pretrained(folder)
    vocabulary = {letter: place for place, letter in enumerate(LETTERS)}
    (folder / "vocab.json").write_text(json.dumps({**vocabulary, "<pad>": len(LETTERS)}))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "VitsTokenizer",
                "add_blank": True,
                "language": "eng",
                "normalize": True,
                "phonemize": phonemize,
                "pad_token": "<pad>",
                "unk_token": "<pad>",
            }
        )
    )
    return folder


@pytest.mark.parity
def test_a_vits_speaks_in_all_its_voices(tmp_path):
    model = write_vits(tmp_path / "tiny-vits", speakers=12)
    engine = Vits(model)
    names = {
        split: [voice.name for voice in engine.list_voices("en", split)]
        for split in ("train", "dev", "EvalSIFT")
    }
    assert (
        names["train"][:2] == ["tiny-vits_0", "tiny-vits_1"] and sum(map(len, names.values())) == 12
    )
    voices = engine.list_voices("en", "train")
    first, again = (
        next(engine.speak(["rain falls on seven hills"], voices[0], "en", 5)) for _ in range(2)
    )
    other = next(engine.speak(["rain falls on seven hills"], voices[1], "en", 5))
    assert np.array_equal(first, again) and first.dtype == np.float32 and len(first) > 100
    assert len(first) != len(other) or not np.allclose(first, other)


@pytest.mark.parity
def test_speech_squad_by_a_vits(tmp_path, monkeypatch):
    model = write_vits(tmp_path / "tiny-vits")
    # what nobody has trained says letters at any pace
    monkeypatch.setattr("data_prep.synthesis.speak_passages._FASTEST", 1e6)
    monkeypatch.setattr("data_prep.synthesis.speak_passages._SLOWEST", 0.0)
    flags = [
        "speak",
        "--corpus=squad",
        f"--file={write_squad(tmp_path / 'train.json')}",
        "--workers=1",
        "--engine=local",
        f"--voice_model={model}",
    ]
    for name in ("one", "two"):
        main([*flags, f"--out={tmp_path / name}"])
    assert check_books(tmp_path / "one")["speak"]["out"] == 4
    assert read_files(tmp_path / "one") == read_files(tmp_path / "two")
    assert {row["speaker"] for row in read_lines(tmp_path / "one" / "metadata.jsonl")} <= {
        "tiny-vits_0",
        "tiny-vits_1",
    }


@pytest.mark.parity
def test_what_is_no_vits_is_one_line(tmp_path):
    pytest.importorskip("torch")
    model = write_vits(tmp_path / "tiny-vits")
    (model / "vocab.json").unlink()
    with pytest.raises(ValueError, match="no VITS"):
        Vits(model)
    with pytest.raises(ValueError, match="needs the package phonemizer"):
        Vits(write_vits(tmp_path / "phonemes", phonemize=True))
