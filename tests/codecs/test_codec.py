"""The contract of codecs: folders that are whole, inputs that are right, units that meet only their
own codec."""

import json

import numpy as np
import pytest

from sift_jax.codecs import registry
from sift_jax.codecs.codec import Codec, join_runs
from sift_jax.codecs.codec_folder import CodecConfig, read_folder, write_folder
from sift_jax.codecs.registry import load_codec


class SignCodec(Codec):
    """One unit a hundredth of a second: whether its middle is above zero; two thirds of the way to
    a real one."""

    def _encode(self, waves):
        return [(wave[80::160] > 0).astype(int) for wave in waves]

    def _decode(self, batch, reference, seed):
        return [np.repeat(ids * 0.5, 160) for ids in batch]


CONFIG = CodecConfig(
    kind="sign", codes=2, frame_rate=100.0, sample_rate=16_000, is_deduplicated=False, options={}
)


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.setitem(registry.KINDS, "sign", SignCodec)

    def write(name="codec", value=1.0, config=CONFIG):
        write_folder(
            tmp_path / name, config, {"book": {"weights": np.full((3, 2), value, np.float32)}}
        )
        return tmp_path / name

    return write


def test_a_folder_is_read_as_it_was_written(make):
    codec = load_codec(make())
    assert codec.config == CONFIG and len(codec.fingerprint) == 64
    assert read_folder(codec.path).read_tensors("book")["weights"].tolist() == [[1, 1]] * 3
    assert load_codec(make("again")).fingerprint == codec.fingerprint, (
        "the same bytes elsewhere are the same codec"
    )
    assert load_codec(make("other", 2.0)).fingerprint != codec.fingerprint
    slower = CodecConfig(**{**vars(CONFIG), "frame_rate": 50.0})
    assert load_codec(make("slower", config=slower)).fingerprint != codec.fingerprint


def test_waves_to_units_and_back(make):
    codec = load_codec(make())
    wave = np.repeat([0.5, -0.5, 0.5], [320, 160, 160])
    (ids,) = codec.encode(wave)
    assert ids.tolist() == [1, 1, 0, 1] and ids.dtype == np.int32
    assert len(ids) == codec.count_units(len(wave)) and codec.count_units(1) == 1
    assert codec.decode(ids).tolist() == np.maximum(wave, 0).tolist()
    both = codec.encode([wave, wave[:160]])
    assert [len(found) for found in both] == [4, 1]


def test_runs_are_joined_where_the_codec_says_so(make):
    codec = load_codec(make(config=CodecConfig(**{**vars(CONFIG), "is_deduplicated": True})))
    assert codec.encode(np.repeat([0.5, -0.5, 0.5], [320, 160, 160]))[0].tolist() == [1, 0, 1]
    assert join_runs(np.array([0, 0, 3, 3, 0])).tolist() == [0, 3, 0] and not len(
        join_runs(np.zeros(0, int))
    )


@pytest.mark.parametrize(
    "wave, told",
    [
        (np.zeros(0, np.float32), "b.wav: holds no samples; leave it out"),
        (np.full(200, np.nan, np.float32), "b.wav: samples contain NaN"),
        (
            np.zeros(200, np.int16),
            r"b.wav: samples must be one channel of floats in −1 … 1, not int16\[200\]",
        ),
        (np.zeros((200, 2), np.float32), r"b.wav: samples must be one channel .*\[200, 2\]"),
    ],
)
def test_a_wave_that_is_none_is_named(make, wave, told):
    with pytest.raises(ValueError, match=told):
        load_codec(make()).encode([np.zeros(160, np.float32), wave], names=["a.wav", "b.wav"])


def test_another_rate_is_refused(make):
    with pytest.raises(
        ValueError,
        match="wave 0 of 1: samples at 44100 Hz, and units are made at 16000 Hz; resample",
    ):
        load_codec(make()).encode(np.zeros(160, np.float32), rate=44_100)


@pytest.mark.parametrize(
    "ids, told",
    [
        ([], "row 0 of 1: there are no units to speak"),
        ([0, 1, 2], "row 0 of 1: unit 2 at place 2 is none of the codec's 2"),
        ([0, -1], "unit -1 at place 1"),
        ([0.0, 1.0], "must be a row of integers"),
        ([[0, 1]], "must be a row of integers"),
    ],
)
def test_units_that_are_none_are_named(make, ids, told):
    with pytest.raises(ValueError, match=told):
        load_codec(make()).decode(ids)


def test_units_of_another_codec_are_refused(make):
    codec, other = load_codec(make()), load_codec(make("other", 2.0))
    codec.decode([0, 1], fingerprint=codec.fingerprint)
    with pytest.raises(
        ValueError,
        match=f"made by the codec {other.fingerprint[:12]}….*use the codec that they were",
    ):
        codec.decode([0, 1], fingerprint=other.fingerprint)
    with pytest.raises(ValueError, match="use the codec that they were"):
        load_codec(codec.path, fingerprint=other.fingerprint)


def test_a_reference_voice_is_refused_where_none_is_used(make):
    with pytest.raises(ValueError, match="give no reference recording"):
        load_codec(make()).decode([0], reference=np.zeros(16_000, np.float32))


def tear(path, how):
    file, document = path / "book.safetensors", path / "codec.json"
    held = json.loads(document.read_text())
    if how == "cut":
        file.write_bytes(file.read_bytes()[:-4])
    elif how == "flipped":
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    elif how == "lost":
        file.unlink()
    elif how == "added":
        (path / "more.safetensors").write_bytes(file.read_bytes())
    elif how == "edited":
        held["codec"]["frame_rate"] = 50.0
    elif how == "newer":
        held["format"] = 99
    elif how == "strange":
        held["codec"]["colour"] = "red"
    document.write_text("{" if how == "half" else json.dumps(held))
    if how == "bare":
        document.unlink()


@pytest.mark.parametrize(
    "how, told",
    [
        ("cut", "book.safetensors is not the file that codec.json was written with; copy"),
        ("flipped", "book.safetensors is not the file"),
        ("lost", "book.safetensors is missing; copy"),
        ("added", "more.safetensors is not part of this codec"),
        ("edited", "codec.json was changed since it was written"),
        ("newer", "a codec of format 99, and this release reads 1; fit it again"),
        ("strange", "fields are missing or strange .*colour"),
        ("half", "codec.json is torn or no codec's"),
        ("bare", "no codec.json there; give a folder that"),
    ],
)
def test_a_torn_folder_is_told(make, how, told):
    path = make()
    tear(path, how)
    with pytest.raises(ValueError, match=told):
        load_codec(path)


def test_an_unknown_kind_is_told(make):
    path = make(config=CodecConfig(**{**vars(CONFIG), "kind": "wax"}))
    with pytest.raises(ValueError, match="no codec of kind 'wax' is known; it is one of embedded"):
        load_codec(path)


def test_a_folder_with_something_else_in_it_is_left_alone(make, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match="holds something that is not a codec"):
        make("mine")
    first = load_codec(make()).fingerprint
    assert load_codec(make(value=3.0)).fingerprint != first, "an older codec gives way"
    assert not list(tmp_path.glob(".*"))


def test_a_file_of_tensors_is_copied(make, tmp_path):
    first = make()
    write_folder(tmp_path / "copy", CONFIG, {"book": first / "book.safetensors"})
    assert load_codec(tmp_path / "copy").fingerprint == load_codec(first).fingerprint
