"""The rule on pitch: right where voices are far apart, silent where they are not."""

import dataclasses
import json

import numpy as np
import pytest

from data_prep.corpora.utterance import Utterance
from data_prep.metadata.expert_networks import ExpertError
from data_prep.metadata.experts import DEFAULT_EXPERTS, make_panel
from data_prep.metadata.gender import (
    BY_NETWORK,
    BY_PITCH,
    JUDGES,
    check_stated,
    learn_genders,
    name_by_pitch,
    name_by_share,
)
from data_prep.metadata.gender_network import FEMALE_SHARE, make_gender_network
from data_prep.metadata.measure import measure_utterances


@pytest.mark.parametrize(
    ("hz", "gender"), [(90, "male"), (144, "male"), (160, None), (190, "female")]
)
def test_by_pitch(hz, gender):
    assert name_by_pitch(hz) == gender


def make_rows(table):
    return [
        {"speaker": speaker, "gender": gender, "values": {"average_pitch": hz}}
        for speaker, gender, hz in table
    ]


def test_a_speaker_is_judged_by_all_recordings():
    rows = make_rows(
        [("a", None, hz) for hz in (120, 130, 200)] + [("b", None, hz) for hz in (150, 210, 230)]
    )
    assert learn_genders(rows, JUDGES[BY_PITCH]).guessed == {"a": "male", "b": "female"}


def test_gaps_are_filled_and_nothing_else():
    rows = make_rows(
        [
            ("a", "female", 120),
            ("a", None, 110),
            ("b", None, 120),
            ("b", None, 200),
            ("b", "", 100),
            ("c", None, 160),
            (None, None, 220),
            (None, None, 160),
            (None, "male", 220),
            ("a", "male", 100),
        ]
    )
    genders = learn_genders(rows, JUDGES[BY_PITCH])
    expected = ["female", "female", "male", "male", "male", None, "female", None, "male", "male"]
    assert [genders.find(row) for row in rows] == expected


@pytest.mark.parametrize(
    ("share", "gender"), [(0.02, "male"), (0.3, None), (0.5, None), (0.95, "female")]
)
def test_by_a_network(share, gender):
    assert name_by_share(share) == gender
    rows = [
        {"speaker": "a", "gender": None, FEMALE_SHARE: share},
        {"speaker": "b", "gender": None},
        {"speaker": None, "gender": None, FEMALE_SHARE: share},
    ]
    genders = learn_genders(rows, JUDGES[BY_NETWORK])
    assert [genders.find(row) for row in rows] == [gender, None, gender]


def write_classifier(folder, labels=("Male", "Female", "child")):
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


@pytest.mark.parity
def test_a_classifier_of_transformers_is_heard(tmp_path):
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForAudioClassification

    folder = write_classifier(tmp_path / "model")
    wave = make_speech(5.0, 0)
    ours = make_gender_network(folder)([wave, np.concatenate([wave, wave])])
    with torch.no_grad():
        normal = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
        logits = (
            AutoModelForAudioClassification.from_pretrained(folder)
            .eval()(torch.from_numpy(normal)[None])
            .logits
        )
    expected = float(torch.softmax(logits[0, [1, 0]], -1)[0])
    assert [found[FEMALE_SHARE] for found in ours] == pytest.approx([expected] * 2, abs=1e-4)
    # Only those are heard of whom nobody tells the gender.
    panel = make_panel(DEFAULT_EXPERTS, folder)
    base = Utterance(
        id="a",
        language="en",
        split="train",
        speaker="s",
        duration=5.0,
        transcript="x",
        topic=None,
        phonemes=None,
        is_question=None,
        gender="male",
        age_category=None,
        accent=None,
        words=(),
        truth={},
    )
    utterances = [base, dataclasses.replace(base, id="b", gender=None)]
    rows = [
        measured.row
        for _, measured in measure_utterances([(wave, other) for other in utterances], panel)
    ]
    assert FEMALE_SHARE not in rows[0] and rows[1][FEMALE_SHARE] == pytest.approx(
        expected, abs=1e-4
    )


@pytest.mark.parity
def test_what_is_no_classifier_of_gender_is_said(tmp_path):
    folder = write_classifier(tmp_path / "moods", labels=("happy", "sad"))
    with pytest.raises(
        ExpertError, match="its labels are happy, sad; take a classifier of female and male"
    ):
        make_gender_network(folder)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text(json.dumps({}))
    with pytest.raises(ExpertError, match="no audio classifier .*; give a folder with config.json"):
        make_gender_network(tmp_path / "empty")


def test_a_stated_gender_that_the_pitch_contradicts_is_named():
    rows = make_rows(
        [("carlo", "male", hz) for hz in (140, 205, 215)]
        + [("anna", "female", hz) for hz in (120, 210, 230)]
        + [("deep", "female", 160), (None, "female", 110), (None, "male", 120), ("x", None, 300)]
    )
    rows = [{**row, "id": f"r{place}", "language": "it"} for place, row in enumerate(rows)]
    checked, doubts = check_stated(rows)
    assert checked == 5
    assert [(doubt.id, doubt.detail) for doubt in doubts] == [
        ("r7", "female, at 110 Hz over 1 recording"),
        ("carlo", "male, at 205 Hz over 3 recordings"),
    ]
