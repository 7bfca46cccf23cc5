"""The embedded codec: speech comes back as long, as high, as loud; any row of units is spoken or refused."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from voices import RATE, make_speech

from sift_jax.units import pieces
from sift_jax.units.codec import load_codec
from sift_jax.units.embedded import EmbeddedOptions
from sift_jax.units.fit_embedded import fit_embedded

OPTIONS = EmbeddedOptions(tones=64, sounds=48, sound_steps=4, slices=2, sounds_a_tone=4)
PITCHES, LEVELS = (90, 105, 125, 150, 200, 260, (90, 200), (250, 110)), (-36.0, -28.0, -20.0)


@pytest.fixture(scope="module")
def codec(tmp_path_factory):
    waves = [make_speech(hertz, seed=i, level=level) for i, (hertz, level) in
             enumerate((hertz, level) for hertz in PITCHES for level in LEVELS)]
    out = tmp_path_factory.mktemp("codec") / "codec"
    fit_embedded(waves, out, OPTIONS, seed=0)
    return load_codec(out)


def measure(codec, wave):
    """(semitones of the voiced steps, dB)"""
    import jax

    from sift_jax.units import features

    padded = np.zeros((1, 2 * RATE), np.float32)
    padded[0, : len(wave)] = wave[: 2 * RATE]
    _, _, semitone, voicing = (np.asarray(x)[0] for x in jax.jit(features.measure)(padded, np.array([2 * RATE])))
    return semitone[voicing > 0], 10 * np.log10((wave.astype(float) ** 2).mean())


def test_speech_comes_back_as_high_and_as_loud(codec):
    for hertz, level in ((100, -33.0), (150, -22.0), (250, -28.0)):
        wave = make_speech(hertz, seed=77, level=level)
        (ids,) = codec.encode(wave)
        made = codec.decode(ids)[: len(wave)]
        (pitch, loudness), (told, _) = measure(codec, made), measure(codec, wave)
        assert abs(np.median(pitch) - np.median(told)) < 2, hertz
        assert abs(loudness - level) < 4, level


def test_a_melody_comes_back(codec):
    (rising,), (falling,) = codec.encode(make_speech((100, 180))), codec.encode(make_speech((180, 100)))
    for ids, sign in ((rising, 1), (falling, -1)):
        pitch, _ = measure(codec, codec.decode(ids))
        third = len(pitch) // 3
        assert sign * (np.median(pitch[-third:]) - np.median(pitch[:third])) > 3


def test_the_stream_is_a_tone_and_its_sounds(codec):
    wave = make_speech(150, seconds=1.3)
    (ids,) = codec.encode(wave)
    sounds = -(-len(wave) // 640)
    assert len(ids) == codec.count_units(len(wave)) == sounds + -(-sounds // 4)
    is_tone = ids < OPTIONS.tones
    assert is_tone[::5].all() and is_tone.sum() == len(ids[::5])
    assert codec.config.frame_rate == 31.25 and codec.config.codes == 112
    assert len(codec.decode(ids)) == sounds * 640


def test_tones_say_how_high_and_how_loud_whatever_is_said(codec):
    (ids,) = codec.encode(make_speech(150, level=-34.0))
    high = np.argmax(codec.tones[:, 0] - np.abs(codec.tones[:, 1] + 34) / 4)
    loud = np.argmax(codec.tones[:, 1])
    pitch, loudness = measure(codec, codec.decode(ids))
    higher, _ = measure(codec, codec.decode(np.where(ids < OPTIONS.tones, high, ids)))
    _, louder = measure(codec, codec.decode(np.where(ids < OPTIONS.tones, loud, ids)))
    assert np.median(higher) > np.median(pitch) + 4 and louder > loudness + 3


def test_tones_rise(codec):
    assert (np.diff(np.round(codec.tones[:, 0])) >= 0).all()


def test_a_batch_gives_what_its_waves_give_alone(codec):
    waves = [make_speech(hertz, seed=i, seconds=s) for i, (hertz, s) in enumerate(((90, 1.0), (200, 3.0), (150, 1.7)))]
    together = codec.encode(waves)
    for wave, ids in zip(waves, together, strict=True):
        assert np.array_equal(codec.encode(wave)[0], ids)
    assert codec.decode_batch(together)[1].tobytes() == codec.decode(together[1]).tobytes()
    assert codec.decode(together[1], seed=1).tobytes() != codec.decode(together[1]).tobytes()


def test_a_long_recording_in_pieces_is_the_whole(codec, monkeypatch):
    wave = make_speech(150, seconds=14.0, seed=3)
    monkeypatch.setattr(pieces, "BUCKET_SECONDS", (16,))
    (whole,) = codec.encode(wave)
    monkeypatch.setattr(pieces, "BUCKET_SECONDS", (2, 4, 8))
    monkeypatch.setattr(pieces, "_PIECE_SECONDS", 2)
    (cut,) = codec.encode(wave)
    assert len(cut) == len(whole) and (cut == whole).mean() > 0.995


@pytest.mark.parametrize("wave", [np.zeros(2 * RATE, np.float32), np.full(1, 0.1, np.float32),
                                  np.full(RATE, 0.9, np.float32), np.zeros(100, np.float32)])
def test_what_is_no_speech_is_encoded_all_the_same(codec, wave):
    (ids,) = codec.encode(wave)
    made = codec.decode(ids)
    assert len(ids) == codec.count_units(len(wave)) and np.isfinite(made).all()
    if not wave.any():
        assert np.abs(made).max() < 0.05


@pytest.mark.parametrize("seed", range(4))
def test_any_row_with_a_sound_is_spoken(codec, seed):
    ids = np.random.default_rng(seed).integers(0, codec.config.codes, 60)
    made = codec.decode(ids)
    assert len(made) == (ids >= OPTIONS.tones).sum() * 640 and np.isfinite(made).all() and made.std() > 0


def test_sounds_without_a_tone_are_spoken_in_a_middling_one(codec):
    assert len(codec.decode([70, 71, 80])) == 3 * 640


def test_tones_without_a_sound_are_refused(codec):
    with pytest.raises(ValueError, match="row 1 of 2: its 3 units are tones without a sound"):
        codec.decode_batch([[70], [1, 2, 3]])


def test_slices_must_divide_a_sound():
    with pytest.raises(ValueError, match="sounds of 5 steps cannot hold 2 slices alike; give a divisor"):
        EmbeddedOptions(tones=8, sounds=8, sound_steps=5, slices=2, sounds_a_tone=4)


@pytest.mark.slow
def test_eight_devices_give_what_one_gives(codec, tmp_path):
    program = (
        "import sys, numpy as np; from sift_jax.units.codec import load_codec; from voices import make_speech\n"
        "waves = [make_speech(120, seed=i, seconds=1.5) for i in range(5)]\n"
        "np.save(sys.argv[2], np.stack(load_codec(sys.argv[1]).encode(waves)))\n"
    )
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    path = os.pathsep.join(str(Path(__file__).parents[i]) for i in (0, 2))
    environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", program, codec.path, tmp_path / "ids.npy"], env=environment, check=True)
    alone = np.stack(codec.encode([make_speech(120, seed=i, seconds=1.5) for i in range(5)]))
    assert (np.load(tmp_path / "ids.npy") == alone).mean() > 0.995
