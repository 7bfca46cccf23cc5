"""A vocoder from recordings to a codec that speaks: trained, killed and gone on with, added,
refused where it is not its own."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_hubert_codec import WAVES, make_options, write_encoder
from test_units_commands import run as run_command

from sift_jax.audio.files import write_audio
from sift_jax.checkpoints.checkpoint_errors import CheckpointError
from sift_jax.cli import build_arguments
from sift_jax.codecs.codec_folder import read_folder
from sift_jax.codecs.hubert.hubert_codec import fit_hubert
from sift_jax.codecs.registry import load_codec
from sift_jax.launch import Launch
from sift_jax.vocoder_training.run import train_vocoder
from sift_jax.vocoder_training.segments import Segments, open_corpus

ROOT = Path(__file__).parents[2]
# smaller than configs/vocoder/tiny.gin: what is tried is that it runs
SMALL = """include 'configs/vocoder/tiny.gin'
OUT_DIR = '{out}'
CODEC = '{codec}'
AUDIO = ('{audio}',)
STEPS = {steps}
BATCH_ROWS = 2
SEGMENT_UNITS = 4
LOG_EVERY = 1
CHECKPOINT_EVERY = 2
VocoderData.reference_seconds = 0.5
HifiGanConfig.channels = 8
HifiGanConfig.block_kernels = (3,)
HifiGanConfig.block_dilations = ((1,),)
CriticsConfig.periods = (5,)
CriticsConfig.period_channels = (4, 4)
CriticsConfig.resolutions = ((128, 64, 128),)
CriticsConfig.spectrum_channels = 2
VocoderLosses.spectrum_resolutions = ((128, 64, 128),)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Recordings, two of which cannot serve, and codecs with and without runs of units."""
    folder = tmp_path_factory.mktemp("vocoder")
    (folder / "audio").mkdir()
    for i, wave in enumerate(WAVES):
        write_audio(folder / "audio" / f"{i}.wav", wave)
    write_audio(folder / "audio" / "short.wav", WAVES[0][:900])
    (folder / "audio" / "torn.wav").write_bytes(b"RIFF")
    encoder = write_encoder(folder / "encoder")
    fit_hubert(encoder, [WAVES], folder / "codec", make_options(), seed=0)
    fit_hubert(encoder, [WAVES], folder / "joined", make_options(is_deduplicated=True), seed=0)
    return folder


def write_gin(place, out, *, steps=4, codec="codec"):
    path = out.with_name(f"{out.name}.gin")
    path.write_text(SMALL.format(out=out, codec=place / codec, audio=place / "audio", steps=steps))
    return path


def make_arguments(place, out, **more):
    return build_arguments(train_vocoder, [str(write_gin(place, out, **more))], [])


@pytest.fixture(scope="module")
def trained(place):
    """A run over units whose runs are joined, so that durations are learnt too."""
    out = place / "run"
    train_vocoder(
        **make_arguments(place, out, codec="joined"), launch=Launch(config_text="as it was")
    )
    return out


def test_the_codec_beside_the_run_speaks_in_any_voice(place, trained):
    codec, silent = load_codec(trained / "codec"), load_codec(place / "joined")
    assert codec.fingerprint == silent.fingerprint, "units made before are still its own"
    (ids,) = silent.encode(WAVES[0])
    wave = codec.decode(ids, fingerprint=silent.fingerprint)
    frames = len(wave) / 320
    assert (
        len(wave) % 320 == 0 and frames >= len(ids) and np.isfinite(wave).all() and wave.std() > 0
    )
    low, high = (
        codec.decode(ids, reference=reference) for reference in (WAVES[0], WAVES[2][:5_000])
    )
    assert not np.array_equal(low, high) and not np.array_equal(low, wave)
    batch = codec.decode_batch([ids[:3], ids], reference=WAVES[0])
    assert np.array_equal(batch[1], low), "company changes nothing"
    with pytest.raises(ValueError, match="unit 8 at place 0 is none of the codec's 8"):
        codec.decode([8])


def test_metrics_say_every_loss(trained):
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert {"mel", "spectrum", "adversarial", "feature", "duration", "critics", "grad_norm"} <= set(
        lines[0]
    )
    held = json.loads((trained / "recordings.json").read_text())
    assert len(held["paths"]) == 3 and sum(held["set_aside"].values()) == 2
    assert held["set_aside"]["shorter than a segment of 4 units"] == 1


def test_a_finished_run_has_nothing_to_do(place, trained, capsys):
    train_vocoder(
        **make_arguments(place, trained, codec="joined"), launch=Launch(config_text="as it was")
    )
    assert "is trained to step 4 of 4: nothing to do" in capsys.readouterr().out


def test_the_command_adds_a_vocoder(place, trained, tmp_path, monkeypatch, capsys):
    told = run_command(
        monkeypatch,
        capsys,
        "add_vocoder",
        f"--codec={place / 'joined'}",
        f"--run={trained}",
        "--step=2",
        f"--out={tmp_path / 'early'}",
    )
    assert "speaks its 8 units now" in told
    early, late = read_folder(tmp_path / "early"), read_folder(trained / "codec")
    assert early.fingerprint == late.fingerprint and early.seal != late.seal
    shutil.copytree(place / "joined", tmp_path / "own")
    for step in (2, 4):
        run_command(
            monkeypatch,
            capsys,
            "add_vocoder",
            f"--codec={tmp_path / 'own'}",
            f"--run={trained}",
            f"--step={step}",
        )
    assert read_folder(tmp_path / "own").seal == late.seal
    assert len(list((tmp_path / "own").glob("vocoder_*"))) == 1, "the one before has given way"
    (ids,) = load_codec(tmp_path / "own").encode(WAVES[0])
    (tmp_path / "units.jsonl").write_text(
        json.dumps({"audio": "a.wav", "codec": late.fingerprint, "units": ids.tolist()})
    )
    write_audio(tmp_path / "voice.wav", WAVES[1])
    told = run_command(
        monkeypatch,
        capsys,
        "decode",
        f"--codec={tmp_path / 'own'}",
        f"--out={tmp_path / 'out'}",
        f"--units={tmp_path / 'units.jsonl'}",
        f"--reference={tmp_path / 'voice.wav'}",
    )
    assert "1 recordings" in told and (tmp_path / "out" / "a.wav").is_file()


def test_a_vocoder_meets_no_other_units(place, trained, tmp_path, monkeypatch, capsys):
    told = run_command(
        monkeypatch, capsys, "add_vocoder", f"--codec={place / 'codec'}", f"--run={trained}"
    )
    assert (
        "learnt the units of the codec" in told
        and "add it to the codec that it was trained for" in told
    )
    mixed = shutil.copytree(place / "codec", tmp_path / "mixed")
    (file,) = (trained / "codec").glob("vocoder_*.safetensors")
    shutil.copy(file, mixed)
    document = json.loads((mixed / "codec.json").read_text())
    document["vocoder"] = json.loads((trained / "codec" / "codec.json").read_text())["vocoder"]
    (mixed / "codec.json").write_text(json.dumps(document))
    with pytest.raises(
        ValueError, match="its vocoder was made for the units of another codec, or changed"
    ):
        load_codec(mixed)
    torn = shutil.copytree(trained / "codec", tmp_path / "torn")
    content = bytearray((torn / file.name).read_bytes())
    content[-1] ^= 1
    (torn / file.name).write_bytes(content)
    with pytest.raises(ValueError, match="is not the file that codec.json was written with"):
        load_codec(torn)


def test_without_a_vocoder_the_way_to_one_is_told(place):
    with pytest.raises(
        ValueError, match=r"has no vocoder.*python -m sift_jax.train_vocoder .*add_vocoder"
    ):
        load_codec(place / "codec").decode([0, 1], reference=WAVES[0])


def test_a_batch_follows_from_its_step(place, tmp_path):
    arguments = make_arguments(place, tmp_path / "run", codec="joined")
    data, codec = arguments["data"], load_codec(place / "joined")
    corpus = open_corpus(codec, data, tmp_path, is_begun=False)
    again = open_corpus(codec, data, tmp_path, is_begun=True)
    assert again.paths == corpus.paths and all(map(np.array_equal, again.units, corpus.units))
    batches = [
        Segments(found, data, hop=320, mel_bins=40, has_durations=True).make_batch(7, [0, 1])
        for found in (corpus, again)
    ]
    assert all(np.array_equal(batches[0][key], batches[1][key]) for key in batches[0])
    one = Segments(corpus, data, hop=320, mel_bins=40, has_durations=True).make_batch(7, [1])
    assert all(np.array_equal(one[key][0], batches[0][key][1]) for key in one), (
        "a row is its own, whoever makes it"
    )
    ids, wave = batches[0]["ids_bt"][0], batches[0]["wave_bn"][0]
    assert wave.shape == (1_280,) and wave.std() > 0
    found = [
        np.array_equal(ids, units[i : i + 4])
        for units in corpus.units
        for i in range(len(units) - 3)
    ]
    assert any(found)
    length = batches[0]["run_length_b"][0]
    assert (np.diff(batches[0]["runs_br"][0][:length]) != 0).all() and batches[0]["run_frames_br"][
        0
    ][:length].min() > 0
    with pytest.raises(ValueError, match="was trained on other recordings, segments or units"):
        open_corpus(codec, dataclasses.replace(data, segment_units=5), tmp_path, is_begun=True)


def test_choices_that_cannot_be(place, trained, tmp_path):
    arguments = make_arguments(place, tmp_path / "run")

    def change(name, **fields):
        return {**arguments, name: dataclasses.replace(arguments[name], **fields)}

    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no recordings there"):
        train_vocoder(**change("data", audio=(str(tmp_path / "empty"),)))
    with pytest.raises(
        ValueError, match="none of 1 recordings can serve .1 shorter than a segment"
    ):
        train_vocoder(**change("data", audio=(str(place / "audio" / "short.wav"),)))
    generator = dataclasses.replace(
        arguments["vocoder"].generator, rates=(8, 8, 8), rate_kernels=(16, 16, 16)
    )
    with pytest.raises(
        ValueError, match="makes 512 samples of a unit, and a unit of this codec lasts 320"
    ):
        train_vocoder(**change("vocoder", generator=generator))
    with pytest.raises(
        CheckpointError, match="holds a run whose codec is .* choose another OUT_DIR"
    ):
        train_vocoder(**make_arguments(place, trained, steps=6))


def start(gin_file, log):
    command = [sys.executable, "-m", "sift_jax.train_vocoder", f"--gin_file={gin_file}"]
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ.copy(), stdout=log, stderr=subprocess.STDOUT
    )


@pytest.mark.slow
def test_a_killed_training_goes_on_bit_for_bit(place, tmp_path):
    ends = {}
    for name in ("whole", "killed"):
        gin_file, out = write_gin(place, tmp_path / name, steps=8), tmp_path / name
        with (tmp_path / f"{name}.log").open("w") as log:
            process = start(gin_file, log)
            if name == "killed":
                while process.poll() is None and not (out / "checkpoints" / "4").is_dir():
                    time.sleep(0.01)
                process.send_signal(signal.SIGKILL)
                assert process.wait() == -signal.SIGKILL, (tmp_path / f"{name}.log").read_text()
                process = start(gin_file, log)
            assert process.wait(timeout=240) == 0, (tmp_path / f"{name}.log").read_text()
        place_file = json.loads((out / "checkpoints" / "8" / "place" / "metadata").read_text())
        losses = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        ends[name] = (place_file["checksums"], losses, read_folder(out / "codec").seal)
    assert "resuming" in (tmp_path / "killed.log").read_text()
    assert ends["whole"] == ends["killed"] and len(ends["whole"][1]) == 8
