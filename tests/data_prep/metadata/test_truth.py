"""What is measured follows what is true, each key varied alone with all else held, with and without
word times."""

import dataclasses
import importlib.machinery
import importlib.util
import sys
import types

import numpy as np
import pytest
import scipy.stats
from known_speech import Truth, compute_si_sdr, speak

from data_prep.metadata import expert_networks, experts, pitch_trackers
from data_prep.metadata.expert_networks import ExpertError
from data_prep.metadata.experts import DEFAULT_EXPERTS, make_panel, parse_experts
from data_prep.metadata.measure import measure_utterance, measure_utterances

COUNT = 12
# key, the truth's field, its range, the least rank correlation with word times and without
VARIED = [
    ("average_pitch", "hz", (85.0, 260.0), 0.9, 0.9),
    ("speaking_rate", "rate", (90, 320), 0.9, 0.9),
    ("average_intensity", "level_db", (-45.0, -15.0), 0.9, 0.9),
    ("noise_level", "snr", (0.0, 50.0), 0.9, 0.9),
    ("reverberation", "c50", (-2.0, 40.0), 0.8, 0.8),
]


def measure_all(field, ends, has_words, chosen=DEFAULT_EXPERTS, count=COUNT):
    panel = make_panel(chosen)
    rows, truths, pairs = [], [], []
    for i, value in enumerate(np.linspace(*ends, count)):
        truth = Truth(**{field: int(value) if isinstance(ends[0], int) else float(value)})
        wave, dry, utterance = speak(truth, i)
        if not has_words:
            utterance = dataclasses.replace(utterance, words=())
        measured = measure_utterance(wave, utterance, panel)
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
    assert (
        np.median(np.abs(np.log2([row["average_pitch"] for row in pitches]) - np.log2(hz))) < 1 / 12
    )
    levels, level_db, _ = measure_all("level_db", (-45.0, -15.0), True)
    np.testing.assert_allclose([row["average_intensity"] for row in levels], level_db, atol=1.5)


def test_distortion_follows_si_sdr():
    chosen = (("distortion_level", "energy"),)
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


def test_experts_are_chosen_by_name():
    assert parse_experts("") == DEFAULT_EXPERTS and make_panel().keys == tuple(
        key for key, _ in DEFAULT_EXPERTS
    )
    chosen = parse_experts("distortion_level=energy,speech_quality=squim,reverberation=none")
    assert dict(chosen) == {
        **{key: name for key, name in DEFAULT_EXPERTS if key != "reverberation"},
        "distortion_level": "energy",
        "speech_quality": "squim",
    }
    assert parse_experts("distortion_level=none") == DEFAULT_EXPERTS
    everything = ",".join(f"{key}=none" for key, _ in DEFAULT_EXPERTS)
    for text, message in (
        ("average_pitch=crepe", "no expert 'crepe' for 'average_pitch'; choose of average_pitch="),
        ("shoe_size=x", "no expert 'x' for 'shoe_size'"),
        ("shoe_size=none", "no expert 'none' for"),
        ("average_pitch=praat", "read from one track; give both the same"),
        (everything, "nothing is measured"),
    ):
        with pytest.raises(ValueError, match=message):
            parse_experts(text)
    assert (
        dict(parse_experts("average_pitch=praat,pitch_variation=none"))["average_pitch"] == "praat"
    )


def test_experts_that_are_not_installed_are_named(monkeypatch):
    make_panel.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for text, message in (
        (
            "speech_quality=dnsmos",
            r"speechmos and onnxruntime not installed; pip install .speechmos",
        ),
        ("distortion_level=squim", "torch and torchaudio not installed; pip install torch"),
        (
            "noise_level=brouhaha",
            "torch and pyannote.audio and brouhaha not installed; pip install",
        ),
        (
            "average_pitch=penn,pitch_variation=none",
            "torch and penn not installed; pip install penn",
        ),
        ("average_pitch=praat,pitch_variation=praat", "parselmouth not installed; pip install"),
    ):
        with pytest.raises(ExpertError, match=message):
            make_panel(parse_experts(text))


def test_a_network_hears_several_at_once_and_each_by_itself(monkeypatch):
    calls = []

    def hear(windows):
        calls.append(windows.shape)
        return {
            "speech_quality": 1.0 + 4 * np.abs(windows).max(axis=1),
            "distortion_level": windows.mean(axis=1),
        }

    monkeypatch.setitem(experts._MAKERS, "squim", lambda: expert_networks.make_network(hear, 8_000))
    make_panel.cache_clear()
    panel = make_panel(parse_experts("speech_quality=squim,distortion_level=squim"))
    clips = [speak(Truth(level_db=-45.0 + i), i) for i in range(20)]
    broken = (np.full(9_000, np.nan, np.float32), clips[0][2])
    timed = [(wave, utterance) for wave, _, utterance in clips] + [broken]
    found = list(measure_utterances(timed, panel))
    assert [utterance.id for utterance, _ in found] == [utterance.id for _, utterance in timed]
    assert found[-1][1].rejected == "samples" and max(count for count, _ in calls) == 16
    assert len(calls) < sum(-(-len(wave) // 8_000) for wave, _ in timed)
    for (wave, utterance), (_, measured) in zip(timed[:-1], found, strict=False):
        assert measured == measure_utterance(wave, utterance, panel)
        assert measured.row["values"]["speech_quality"] == pytest.approx(
            1
            + 4
            * np.mean(
                [np.abs(window).max() for window in expert_networks.cut_windows(wave, 8_000)]
            ),
            abs=1e-3,
        )
    make_panel.cache_clear()


@pytest.mark.extras
def test_dnsmos_hears_noise():
    pytest.importorskip("speechmos")
    rows, truths, _ = measure_all(
        "snr", (0.0, 45.0), True, (("speech_quality", "dnsmos"),), count=6
    )
    assert scipy.stats.spearmanr([row["speech_quality"] for row in rows], truths)[0] >= 0.7


@pytest.mark.extras
def test_dnsmos_is_that_of_its_package():
    speechmos = pytest.importorskip("speechmos.dnsmos")
    waves = [
        np.concatenate([speak(Truth(snr=snr), i)[0] for i in range(4)])[:150_000]
        for snr in (20.0, 5.0)
    ]
    hear = expert_networks.make_dnsmos()
    both = [found["speech_quality"] for found in hear(waves)]
    assert both[0] == pytest.approx(speechmos.run(waves[0], sr=16_000)["ovrl_mos"], abs=0.1)
    # What is heard together is heard as by itself.
    assert both == pytest.approx([hear([wave])[0]["speech_quality"] for wave in waves], abs=1e-4)


@pytest.mark.parity
def test_squim_is_asked_for_the_right_scores(monkeypatch):
    torch = pytest.importorskip("torch")

    class Squim(torch.nn.Module):
        def forward(self, waves):
            assert waves.shape == (3, 80_000) and waves.dtype == torch.float32
            return torch.full((3,), 0.9), torch.full((3,), 3.2), torch.tensor([17.5, 10.0, 20.0])

    # The real one fetches its weights; only the order of its answers (STOI, PESQ, SI-SDR) is tried
    # here.
    package, pipelines = types.ModuleType("torchaudio"), types.ModuleType("torchaudio.pipelines")
    package.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
    pipelines.SQUIM_OBJECTIVE = types.SimpleNamespace(get_model=Squim)
    monkeypatch.setitem(sys.modules, "torchaudio", package)
    monkeypatch.setitem(sys.modules, "torchaudio.pipelines", pipelines)
    found = expert_networks.make_squim()(
        [np.zeros(16_000, np.float32), np.zeros(100_000, np.float32)]
    )
    assert [{key: round(value, 3) for key, value in row.items()} for row in found] == [
        {"distortion_level": 17.5, "speech_quality": 3.2},
        {"distortion_level": 15.0, "speech_quality": 3.2},
    ]


def put_module(monkeypatch, name, **contents):
    """A package that is not installed, with what we ask of it."""
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    vars(module).update(contents)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parity
def test_penn_lands_on_our_frames(monkeypatch):
    torch = pytest.importorskip("torch")

    def from_audio(audio, rate, *, hopsize, fmin, fmax, center):
        assert audio.shape == (1, 16_000) and (rate, hopsize, center) == (16_000, 0.01, "half-hop")
        assert (fmin, fmax) == (63.0, 600.0)
        return 100.0 + torch.arange(100)[None], (torch.arange(100)[None] >= 10).float()

    put_module(monkeypatch, "penn", from_audio=from_audio)
    track = pitch_trackers.make_penn()(np.zeros(16_000, np.float32))
    # Their frame 2 has its middle at 25 ms, our first one at 24 ms.
    assert np.isnan(track[:8]).all() and len(track) == 96
    np.testing.assert_array_equal(track[8:], 110.0 + np.arange(88))


@pytest.mark.parity
def test_brouhaha_is_averaged_over_speech(monkeypatch):
    pytest.importorskip("torch")
    segment = types.SimpleNamespace(start=0.27, end=0.54)

    def pipe(item):
        assert item["sample_rate"] == 16_000 and item["waveform"].shape == (1, 16_000)
        snr = np.r_[np.full(16, 50.0), np.full(8, 10.0), np.full(4, 20.0), np.zeros(32)]
        return {
            "snr": snr,
            "c50": snr / 2,
            "annotation": types.SimpleNamespace(itertracks=lambda: [(segment, "A")]),
        }

    put_module(monkeypatch, "brouhaha")
    put_module(
        monkeypatch,
        "brouhaha.pipeline",
        RegressiveActivityDetectionPipeline=lambda segmentation: pipe,
    )
    put_module(monkeypatch, "pyannote")
    put_module(
        monkeypatch,
        "pyannote.audio",
        Model=types.SimpleNamespace(from_pretrained=lambda path, strict: path),
    )
    monkeypatch.setattr(expert_networks, "find_file", lambda repository, name: name)
    answers = expert_networks.make_brouhaha()([np.zeros(16_000, np.float32)] * 2)
    assert (
        answers
        == [{"noise_level": pytest.approx(40 / 3), "reverberation": pytest.approx(20 / 3)}] * 2
    )


def test_windows_cover_the_recording():
    wave = np.linspace(-1, 1, 400_000).astype(np.float32)
    windows = expert_networks.cut_windows(wave, 144_160)
    assert windows.shape == (3, 144_160)
    assert windows[0, 0] == wave[0] and windows[-1, -1] == wave[-1]
    assert all(
        later[0] <= before[-1] for before, later in zip(windows[:-1], windows[1:], strict=True)
    )
    short = expert_networks.cut_windows(wave[:50_000], 144_160)
    np.testing.assert_array_equal(short[0, :100_000], np.tile(wave[:50_000], 2))
