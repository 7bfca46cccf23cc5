"""What is measured follows what is true, each key varied alone with all else held, with and without word times."""

import dataclasses
import importlib.machinery
import importlib.util
import sys
import types

import numpy as np
import pytest
import scipy.stats
from known_speech import Truth, compute_si_sdr, speak

from data_prep.metadata import networks
from data_prep.metadata.experts import DEFAULT_EXPERTS, Recording, make_experts
from data_prep.metadata.measure import measure_utterance
from data_prep.metadata.networks import ExpertError

COUNT = 12
# key, the truth's field, its range, the least rank correlation with word times and without
VARIED = [
    ("average_pitch", "hz", (85.0, 260.0), 0.9, 0.9),
    ("speaking_rate", "rate", (90, 320), 0.9, 0.9),
    ("average_intensity", "level_db", (-45.0, -15.0), 0.9, 0.9),
    ("noise_level", "snr", (0.0, 50.0), 0.9, 0.9),
    ("reverberation", "c50", (-2.0, 40.0), 0.8, 0.7),
]


def measure_all(field, ends, has_words, chosen=DEFAULT_EXPERTS, count=COUNT):
    experts = make_experts(chosen)
    rows, truths, pairs = [], [], []
    for i, value in enumerate(np.linspace(*ends, count)):
        truth = Truth(**{field: int(value) if isinstance(ends[0], int) else float(value)})
        wave, dry, utterance = speak(truth, i)
        if not has_words:
            utterance = dataclasses.replace(utterance, words=())
        measured = measure_utterance(wave, utterance, experts)
        assert measured.row is not None, measured.rejected
        rows.append(measured.row["values"])
        truths.append(getattr(truth, field))
        pairs.append((wave, dry))
    return rows, truths, pairs


@pytest.mark.parametrize("has_words", [True, False])
@pytest.mark.parametrize(("key", "field", "ends", "least", "least_without"), VARIED)
def test_measured_follows_true(key, field, ends, least, least_without, has_words):
    rows, truths, _ = measure_all(field, ends, has_words)
    correlation = scipy.stats.spearmanr([row[key] for row in rows], truths)[0]
    assert correlation >= (least if has_words else least_without)


def test_known_values_are_met():
    pitches, hz, _ = measure_all("hz", (85.0, 260.0), True)
    assert np.median(np.abs(np.log2([row["average_pitch"] for row in pitches]) - np.log2(hz))) < 1 / 12
    levels, level_db, _ = measure_all("level_db", (-45.0, -15.0), True)
    np.testing.assert_allclose([row["average_intensity"] for row in levels], level_db, atol=1.5)


def test_distortion_follows_si_sdr():
    chosen = {"distortion_level": "energy"}
    rows, _, pairs = measure_all("snr", (0.0, 45.0), True, chosen)
    true = [compute_si_sdr(wave, dry) for wave, dry in pairs]
    measured = [row["distortion_level"] for row in rows]
    assert set(rows[0]) == {"distortion_level"}
    assert scipy.stats.spearmanr(measured, true)[0] >= 0.9
    assert np.median(np.abs(np.array(measured) - true)) < 2


def test_si_sdr_by_definition():
    rng = np.random.default_rng(0)
    speech, noise = rng.standard_normal((2, 16_000))
    noise -= (noise @ speech) / (speech @ speech) * speech
    noise *= np.sqrt(speech @ speech / (noise @ noise)) / 10
    assert compute_si_sdr(3 * (speech + noise), speech) == pytest.approx(20.0, abs=1e-6)


def test_experts_are_chosen_by_name(monkeypatch):
    assert set(make_experts()) == set(DEFAULT_EXPERTS)
    with pytest.raises(ValueError, match="no expert 'crepe' for 'average_pitch'; choose of average_pitch=autocorrel"):
        make_experts({"average_pitch": "crepe"})
    with pytest.raises(ValueError, match="no expert 'x' for 'shoe_size'"):
        make_experts({"shoe_size": "x"})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    networks._load_squim.cache_clear()
    with pytest.raises(ExpertError, match=r"speechmos and onnxruntime not inst.*sift_jax\[quality\]"):
        make_experts({"speech_quality": "dnsmos"})
    with pytest.raises(ExpertError, match="torch and torchaudio not installed; pip install torch torchaudio"):
        make_experts({"distortion_level": "squim"})


@pytest.mark.extras
def test_dnsmos_hears_noise():
    pytest.importorskip("speechmos")
    rows, truths, _ = measure_all("snr", (0.0, 45.0), True, {"speech_quality": "dnsmos"}, count=6)
    assert scipy.stats.spearmanr([row["speech_quality"] for row in rows], truths)[0] >= 0.7


@pytest.mark.extras
def test_dnsmos_is_that_of_its_package():
    speechmos = pytest.importorskip("speechmos.dnsmos")
    wave = np.concatenate([speak(Truth(snr=20.0), i)[0] for i in range(4)])[:150_000]
    ours = make_experts({"speech_quality": "dnsmos"})["speech_quality"](
        Recording(wave=wave, phonemes="", first_word=0.0, last_word=9.0))
    assert ours == pytest.approx(speechmos.run(wave, sr=16_000)["ovrl_mos"], abs=0.1)


@pytest.mark.parity
def test_squim_is_asked_for_the_right_scores(monkeypatch):
    torch = pytest.importorskip("torch")

    class Squim(torch.nn.Module):
        def forward(self, waves):
            assert waves.shape == (1, 16_000) and waves.dtype == torch.float32
            return torch.tensor([0.9]), torch.tensor([3.2]), torch.tensor([17.5])

    # The real one fetches its weights; only the order of its answers (STOI, PESQ, SI-SDR) is tried here.
    package, pipelines = types.ModuleType("torchaudio"), types.ModuleType("torchaudio.pipelines")
    package.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
    pipelines.SQUIM_OBJECTIVE = types.SimpleNamespace(get_model=Squim)
    monkeypatch.setitem(sys.modules, "torchaudio", package)
    monkeypatch.setitem(sys.modules, "torchaudio.pipelines", pipelines)
    networks._load_squim.cache_clear()
    experts = make_experts({"distortion_level": "squim", "speech_quality": "squim"})
    recording = Recording(wave=np.zeros(16_000, np.float32), phonemes="", first_word=0.0, last_word=1.0)
    assert {key: round(expert(recording), 3) for key, expert in experts.items()} == {
        "distortion_level": 17.5, "speech_quality": 3.2}
    networks._load_squim.cache_clear()


def test_windows_cover_the_recording():
    wave = np.linspace(-1, 1, 400_000).astype(np.float32)
    windows = networks.cut_windows(wave)
    assert windows.shape == (3, 144_160)
    assert windows[0, 0] == wave[0] and windows[-1, -1] == wave[-1]
    assert all(later[0] <= before[-1] for before, later in zip(windows[:-1], windows[1:], strict=True))
    short = networks.cut_windows(wave[:50_000])
    np.testing.assert_array_equal(short[0, :100_000], np.tile(wave[:50_000], 2))
