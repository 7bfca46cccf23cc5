"""The classes of free fields: the corpus's word, else an expert's where it is sure; nothing
else."""

import json

import numpy as np
import pytest

from data_prep.corpora.utterance import Utterance
from data_prep.metadata.expert_networks import ExpertError
from data_prep.metadata.experts import DEFAULT_EXPERTS, make_panel, parse_experts
from data_prep.metadata.fields import HEARD, check_listeners, label_fields, settle_fields
from data_prep.metadata.measure import measure_utterances
from sift_jax.sift.fields import load_fields

(EMOTION,) = FIELDS = load_fields()


def make_row(stated=None, **shares):
    return {
        "id": "u",
        "language": "en",
        "fields": {"emotion": stated} if stated else {},
        **({HEARD: {"emotion": shares}} if shares else {}),
    }


@pytest.mark.parametrize(
    ("row", "found", "fault"),
    [
        (make_row("Wut"), {"label": "angry", "source": "corpus"}, None),
        (make_row("puzzled"), None, "emotion 'puzzled' is in no class"),
        # What a corpus states is not overruled, were it a word that the table does not know.
        (make_row("puzzled", ang=1.0), None, "emotion 'puzzled' is in no class"),
        (make_row("sad", ang=1.0), {"label": "sad", "source": "corpus"}, None),
        (
            make_row(ang=0.91, hap=0.09),
            {"label": "angry", "source": "expert", "confidence": 0.91},
            None,
        ),
        (make_row(ang=0.79, hap=0.21), None, "emotion is not sure to its expert"),
        # Two labels of one class are one.
        (
            make_row(joy=0.5, hap=0.45, sad=0.05),
            {"label": "happy", "source": "expert", "confidence": 0.95},
            None,
        ),
        (make_row(puzzled=0.95, hap=0.05), None, "emotion is not sure to its expert"),
        (make_row(), None, None),
    ],
)
def test_a_class_is_stated_or_surely_heard(row, found, fault):
    assert label_fields(row, FIELDS) == (
        {"emotion": found} if found else {},
        [fault] if fault else [],
    )


def test_a_field_that_is_free_text_does_not_flood_the_account(tmp_path):
    rows = [{**make_row(f"mood {number}"), "id": f"u{number}"} for number in range(100)]
    settle_fields(tmp_path, lambda: iter([*rows, *rows[:5], make_row("sad")]), FIELDS)
    account = json.loads((tmp_path / "parts" / "accounts" / "fields.json").read_text())
    assert (account["in"], account["out"], len(account["rejected"])) == (106, 1, 21)
    assert account["rejected"]["another value that is in no class"] == 80
    lines = (tmp_path / "parts" / "accounts" / "fields_rejected.jsonl").read_text().splitlines()
    assert "emotion 'mood 99' is in no class" in lines[99]


def test_an_expert_of_a_field_is_a_folder(tmp_path):
    assert parse_experts(f"emotion={tmp_path}", ["emotion"]) == (
        *DEFAULT_EXPERTS,
        ("emotion", str(tmp_path)),
    )
    assert parse_experts(f"emotion={tmp_path},emotion=none", ["emotion"]) == DEFAULT_EXPERTS
    with pytest.raises(ValueError, match="no expert"):
        parse_experts(f"emotion={tmp_path}")
    everything = ",".join(f"{key}=none" for key, _ in DEFAULT_EXPERTS)
    with pytest.raises(ValueError, match="no expert is left"):
        parse_experts(f"{everything},emotion={tmp_path}", ["emotion"])


def test_torch_is_asked_for_with_its_line(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        ExpertError, match="torch not installed; pip install torch, or choose another expert"
    ):
        make_panel(parse_experts(f"emotion={tmp_path}", ["emotion"]))


def write_classifier(folder, labels):
    torch = pytest.importorskip("torch")
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForSequenceClassification,
    )

    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8),
        conv_kernel=(10, 64),
        conv_stride=(5, 64),
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        classifier_proj_size=8,
        id2label=dict(enumerate(labels)),
        label2id={name: i for i, name in enumerate(labels)},
    )
    Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


def make_speech(seconds, seed):
    time = np.arange(int(16_000 * seconds)) / 16_000
    wave = (
        0.1
        * sum(np.cos(2 * np.pi * 120 * k * time) / k for k in range(1, 9))
        * (np.sin(9 * time) > 0)
    )
    return (wave + 0.001 * np.random.default_rng(seed).standard_normal(len(time))).astype(
        np.float32
    )


def make_utterance(name, stated):
    return Utterance(
        id=name,
        language="en",
        split="train",
        speaker="s",
        duration=5.0,
        transcript="x",
        topic=None,
        phonemes=None,
        is_question=None,
        gender=None,
        age_category=None,
        accent=None,
        words=(),
        truth={},
        fields=stated,
    )


@pytest.mark.parity
def test_a_classifier_of_transformers_hears_what_the_corpus_does_not_tell(tmp_path):
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForAudioClassification

    labels = ("ang", "hap", "neu", "sad")
    folder = write_classifier(tmp_path / "model", labels)
    panel = make_panel(parse_experts(f"emotion={folder}", ["emotion"]))
    check_listeners(panel.listeners, FIELDS)
    wave = make_speech(5.0, 0)
    utterances = [
        make_utterance("a", {"emotion": "Wut"}),
        make_utterance("b", {}),
        make_utterance("c", {"role": "x"}),
    ]
    rows = [
        measured.row
        for _, measured in measure_utterances([(wave, one) for one in utterances], panel)
    ]
    with torch.no_grad():
        normal = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
        logits = (
            AutoModelForAudioClassification.from_pretrained(folder)
            .eval()(torch.from_numpy(normal)[None])
            .logits
        )
    expected = dict(zip(labels, torch.softmax(logits[0], -1).tolist(), strict=True))
    assert HEARD not in rows[0] and rows[1][HEARD] == rows[2][HEARD]
    assert rows[1][HEARD]["emotion"] == pytest.approx(expected, abs=2e-4)
    # A network that guesses says nothing.
    assert label_fields(rows[1], FIELDS) == ({}, ["emotion is not sure to its expert"])


@pytest.mark.parity
def test_a_classifier_of_something_else_is_refused(tmp_path):
    folder = write_classifier(tmp_path / "dogs", ("LABEL_0", "LABEL_1"))
    panel = make_panel(parse_experts(f"emotion={folder}", ["emotion"]))
    with pytest.raises(
        ExpertError, match="its labels are LABEL_0, LABEL_1, and none is a class of emotion"
    ):
        check_listeners(panel.listeners, FIELDS)
