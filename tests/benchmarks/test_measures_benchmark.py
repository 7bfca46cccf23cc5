"""The benchmark of the measures on a folder and a manifest: known noise, rooms and zeros leave
their traces."""

import json

import numpy as np
import pytest

from benchmarks import measures
from data_prep.embedded.corpus import make_plans, synthesize
from sift_jax.audio.files import write_audio


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    (folder / "audio").mkdir()
    lines = []
    for plan in make_plans("en", "train", 14, seed=21):
        wave, utterance = synthesize(plan)
        write_audio(folder / "audio" / f"{utterance.id}.flac", wave)
        lines.append(
            {"audio": f"audio/{utterance.id}.flac", "text": utterance.transcript, "language": "en"}
        )
    (folder / "manifest.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
    )
    out = folder / "measures.json"
    measures.main([str(folder / "manifest.jsonl"), "--clips=8", f"--json={out}"])
    return json.loads(out.read_text())[str(folder / "manifest.jsonl")], folder


def test_added_noise_and_rooms_are_measured(figures, capsys):
    found, _ = figures
    medians = [found["noise"][f"white, {snr} dB"]["gaps"]["median"] for snr in (0, 10, 20)]
    assert medians == sorted(medians) and medians[1] == pytest.approx(10, abs=3)
    assert found["rooms"]["25 dB"]["median"] > found["rooms"]["3 dB"]["median"]
    assert found["rooms"]["all"]["rho"] > 0.3


def test_zeros_move_nothing(figures):
    found, _ = figures
    for key, moved in found["altered"]["zeros at both ends"].items():
        assert moved["mean change"] < 0.02 and moved["class %"] == 0 and moved["lost"] == 0, key
    assert "speaking_rate" in found["altered"]["MP3 alone"]


def test_a_class_is_changed_where_rows_tell_another():
    """A clip of 14 dB that reads as 30 changes its class; one in doubt, or uneven, has none."""
    sound = {"reverberation": 40.0, "evenness": -2.0, "seconds": 3.0}
    before = [{**sound, "noise_level": 14.0}] * 3 + [{**sound, "noise_level": 30.0}] * 5
    after = [
        {**sound, "noise_level": 30.0},
        {**sound, "noise_level": 24.5},
        {**sound, "noise_level": 14.0, "evenness": -20.0},
        *before[3:],
    ]
    found = measures.compare(before, after)["noise_level"]
    assert found["told"] == 6 and found["class %"] == pytest.approx(100 / 6, abs=0.1)
    assert found["lost"] == 0


def test_a_gate_closes_in_pauses_alone():
    loud, pause = np.full(8_000, 0.1, np.float32), np.full(4_000, 0.001, np.float32)
    gated = measures.ALTERATIONS["pauses gated"](np.concatenate([loud, pause, loud]))
    np.testing.assert_array_equal(gated[:8_000], loud)
    assert not gated[8_500:11_500].any() and (gated[12_000:] == loud).all()


def test_a_folder_needs_no_texts(figures, capsys):
    _, folder = figures
    clips = measures.read_clips(folder / "audio", 3, seed=0)
    assert len(clips) == 3 and all(clip.phonemes is None for clip in clips)
    assert "speaking_rate" not in measures.measure(clips[0], clips[0].wave)
    with pytest.raises(SystemExit, match="no recordings"):
        measures.main([str(folder / "nowhere")])
