"""The embedded codec: speech comes back as long, as high, as loud; any row of units is spoken or
refused."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from voices import RATE, make_speech

from sift_jax.codecs import chunked_batches
from sift_jax.codecs.codec_folder import write_folder
from sift_jax.codecs.embedded.embedded_codec import EmbeddedOptions
from sift_jax.codecs.embedded.fit import fit_embedded
from sift_jax.codecs.embedded.utterance_header import HEAD_CODES, HEIGHTS, PACES, read_head
from sift_jax.codecs.registry import load_codec

OPTIONS = EmbeddedOptions(tones=64, sounds=48, sound_steps=4, slices=2, sounds_a_tone=4)
PITCHES, LEVELS = (90, 105, 125, 150, 200, 260, (90, 200), (250, 110)), (-36.0, -28.0, -20.0)


@pytest.fixture(scope="module")
def codec(tmp_path_factory):
    waves = [
        make_speech(hertz, seed=i, level=level)
        for i, (hertz, level) in enumerate((hertz, level) for hertz in PITCHES for level in LEVELS)
    ]
    out = tmp_path_factory.mktemp("codec") / "codec"
    fit_embedded(waves, out, OPTIONS, seed=0)
    return load_codec(out)


def measure(codec, wave):
    """(semitones of the voiced steps, dB)"""
    import jax

    from sift_jax.codecs.embedded import embedded_features

    padded = np.zeros((1, 2 * RATE), np.float32)
    padded[0, : len(wave)] = wave[: 2 * RATE]
    measured = jax.jit(embedded_features.measure)(padded, np.array([2 * RATE]))
    _, _, semitone, voicing = (np.asarray(x)[0] for x in measured)
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
    (rising,), (falling,) = (
        codec.encode(make_speech((100, 180))),
        codec.encode(make_speech((180, 100))),
    )
    for ids, sign in ((rising, 1), (falling, -1)):
        pitch, _ = measure(codec, codec.decode(ids))
        third = len(pitch) // 3
        assert sign * (np.median(pitch[-third:]) - np.median(pitch[:third])) > 3


def test_the_stream_is_a_head_and_tones_with_their_sounds(codec):
    (ids,) = codec.encode(make_speech(150, seconds=1.3))
    assert (ids[:4] < HEAD_CODES).all() and (ids[4:] >= HEAD_CODES).all()
    is_tone = ids[4:] < codec.first_sound
    assert is_tone[::5].all() and is_tone.sum() == len(ids[4::5])
    assert codec.config.frame_rate == 31.25 and codec.config.codes == HEAD_CODES + 112
    sound = 4 / read_head(ids).pace
    assert read_head(ids).length == pytest.approx((~is_tone).sum(), rel=0.08)
    assert (~is_tone).sum() == np.ceil(130 / sound)
    assert len(codec.decode(ids)) == round((~is_tone).sum() * sound) * 160


def test_fast_speech_has_shorter_sounds_and_not_fewer(codec):
    counts, paces = [], []
    for tempo in (0.7, 1.0, 1.5):
        (ids,) = codec.encode(make_speech(130, seconds=3 / tempo, tempo=tempo, seed=9))
        counts.append(len(ids))
        paces.append(read_head(ids).pace)
    assert paces[0] < paces[1] < paces[2]
    assert counts[2] > counts[0]


def test_the_pace_of_a_row_says_how_long_it_lasts(codec):
    (ids,) = codec.encode(make_speech(130, seconds=2.0))
    slow, fast = (codec.decode(np.concatenate([[pace], ids[1:]])) for pace in (0, len(PACES) - 1))
    assert len(slow) == pytest.approx(5 * len(fast), abs=320)


def test_height_and_spread_of_a_row_move_its_melody(codec):
    (ids,) = codec.encode(make_speech((100, 180), seconds=3.0))
    low = len(PACES)
    deep, high = (
        measure(codec, codec.decode(np.concatenate([ids[:1], [low + semitone], ids[2:]])))[0]
        for semitone in (8, 20)
    )
    assert 9 < np.median(high) - np.median(deep) < 15
    first = len(PACES) + len(HEIGHTS)
    flat, lively = (
        measure(codec, codec.decode(np.concatenate([ids[:2], [first + spread], ids[3:]])))[0]
        for spread in (0, 9)
    )
    assert flat.std() < 0.6 < 1.2 < lively.std()


def test_tones_say_how_high_and_how_loud_whatever_is_said(codec):
    (ids,) = codec.encode(make_speech((110, 180), level=-34.0))
    is_tone = (ids >= HEAD_CODES) & (ids < codec.first_sound)
    away, level = codec.tones.T
    high, loud = (
        HEAD_CODES + np.argmax(away - np.abs(level + 34) / 8),
        HEAD_CODES + np.argmax(level),
    )
    pitch, loudness = measure(codec, codec.decode(ids))
    higher, _ = measure(codec, codec.decode(np.where(is_tone, high, ids)))
    _, louder = measure(codec, codec.decode(np.where(is_tone, loud, ids)))
    assert np.median(higher) > np.median(pitch) + 2 and louder > loudness + 3


def test_tones_rise(codec):
    assert (np.diff(np.round(2 * codec.tones[:, 0])) >= 0).all()


def test_a_batch_gives_what_its_waves_give_alone(codec):
    waves = [
        make_speech(hertz, seed=i, seconds=s)
        for i, (hertz, s) in enumerate(((90, 1.0), (200, 3.0), (150, 1.7)))
    ]
    together = codec.encode(waves)
    for wave, ids in zip(waves, together, strict=True):
        assert np.array_equal(codec.encode(wave)[0], ids)
    assert codec.decode_batch(together)[1].tobytes() == codec.decode(together[1]).tobytes()
    assert codec.decode(together[1], seed=1).tobytes() != codec.decode(together[1]).tobytes()


def test_a_long_recording_in_pieces_is_the_whole(codec, monkeypatch):
    wave = make_speech(150, seconds=14.0, seed=3)
    monkeypatch.setattr(chunked_batches, "BUCKET_SECONDS", (16,))
    (whole,) = codec.encode(wave)
    monkeypatch.setattr(chunked_batches, "BUCKET_SECONDS", (2, 4, 8))
    monkeypatch.setattr(chunked_batches, "_PIECE_SECONDS", 2)
    (cut,) = codec.encode(wave)
    assert len(cut) == len(whole) and (cut == whole).mean() > 0.995


@pytest.mark.parametrize(
    "wave",
    [
        np.zeros(2 * RATE, np.float32),
        np.full(1, 0.1, np.float32),
        np.full(RATE, 0.9, np.float32),
        np.zeros(100, np.float32),
    ],
)
def test_what_is_no_speech_is_encoded_all_the_same(codec, wave):
    (ids,) = codec.encode(wave)
    made = codec.decode(ids)
    assert np.isfinite(made).all()
    if not wave.any():
        assert read_head(ids).pace == pytest.approx(1, rel=0.05)
        assert np.abs(made).max() < 0.05


@pytest.mark.parametrize("seed", range(4))
def test_any_row_with_a_sound_is_spoken(codec, seed):
    ids = np.random.default_rng(seed).integers(0, codec.config.codes, 90)
    made = codec.decode(ids)
    sounds = (ids >= codec.first_sound).sum()
    assert (
        len(made) == round(sounds * 4 / read_head(ids).pace) * 160
        and np.isfinite(made).all()
        and made.std() > 0
    )


def test_sounds_without_a_head_and_a_tone_are_spoken_in_middling_ones(codec):
    made = codec.decode(codec.first_sound + np.array([1, 2, 11]))
    assert len(made) == pytest.approx(3 * 640, rel=0.05)


def test_units_without_a_sound_are_refused(codec):
    assert codec.can_speak([codec.first_sound]) and not codec.can_speak([1, 2, 70])
    with pytest.raises(
        ValueError, match="row 1 of 2: its units have no sound among them; nothing is said"
    ):
        codec.decode_batch([[codec.first_sound], [1, 2, 70]])


def test_a_fast_sound_must_hold_its_slices():
    with pytest.raises(
        ValueError, match="sounds of 3 steps, 1.5 where speech is fastest, cannot hold 2 slices"
    ):
        EmbeddedOptions(tones=8, sounds=8, sound_steps=3, slices=2, sounds_a_tone=4)


def test_a_codec_without_heads_is_refused(codec, tmp_path):
    tensors = {
        "tones": codec.tones,
        "sounds": codec.sounds,
        "voicing": codec.voicing,
        "points": codec._points,
    }
    write_folder(tmp_path / "old", codec.config, {"book": tensors})
    with pytest.raises(
        ValueError,
        match="old: its head is another than this version writes and reads; fit the codec",
    ):
        load_codec(tmp_path / "old")


@pytest.mark.slow
def test_eight_devices_give_what_one_gives(codec, tmp_path):
    program = (
        "import sys, numpy as np; from sift_jax.codecs.registry import load_codec; from voices "
        "import make_speech\n"
        "waves = [make_speech(120, seed=i, seconds=1.5) for i in range(5)]\n"
        "np.save(sys.argv[2], np.concatenate(load_codec(sys.argv[1]).encode(waves)))\n"
    )
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests / "support"), str(tests.parent)])
    environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": path}
    subprocess.run(
        [sys.executable, "-c", program, codec.path, tmp_path / "ids.npy"],
        env=environment,
        check=True,
    )
    alone = np.concatenate(codec.encode([make_speech(120, seed=i, seconds=1.5) for i in range(5)]))
    assert (np.load(tmp_path / "ids.npy") == alone).mean() > 0.995
