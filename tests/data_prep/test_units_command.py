"""Units beside finished records: what has been made is kept, what is missing is made, and each
codec has its own."""

import shutil

import numpy as np
import pytest

from data_prep.units import list_places, main
from sift_jax.audio.files import read_audio
from sift_jax.codecs.embedded.embedded_codec import EmbeddedOptions
from sift_jax.codecs.embedded.fit import fit_embedded
from sift_jax.codecs.registry import load_codec
from sift_jax.data.records.record_reader import RecordReader, decode_clip
from sift_jax.data.records.record_units import UnitSet, name_set
from sift_jax.text.unit_tokens import read_codec_identity


@pytest.fixture
def records(spoken_records, tmp_path):
    return shutil.copytree(spoken_records, tmp_path / "records")


def run(records, codec, capsys):
    main([f"--records={records}", f"--codec={codec}"])
    return capsys.readouterr().out


def test_they_are_those_of_the_codec(spoken_records, codec_folder):
    codec, identity = load_codec(codec_folder), read_codec_identity(codec_folder)
    reader = RecordReader(spoken_records, "de")
    units = UnitSet(spoken_records, identity, "de", "train", digest=reader.digest)
    places = list_places(reader, "train", has_heard=False)
    assert places
    for place in places:
        wave = decode_clip(reader.read_audio("train", place)[0]).astype(np.float32) / 32768
        assert units.read(place, 0) == codec.encode(wave)[0].tolist()


def test_a_second_call_makes_what_is_missing(records, codec_folder, capsys):
    assert "; 0 of them made now" in run(records, codec_folder, capsys)
    folder = name_set(records, read_codec_identity(codec_folder))
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*.bin"))}
    # as a kill leaves it: no mark that it is whole
    (folder / "en_train" / "counts.json").unlink()
    said = run(records, codec_folder, capsys)
    assert "22 clips that are answers" in said and "; 6 of them made now" in said
    assert {path: path.read_bytes() for path in sorted(folder.rglob("*.bin"))} == before


def test_several_codecs_lie_beside_one_set_of_records(
    corpus, records, codec_folder, tmp_path, capsys
):
    waves = [read_audio(path) for path in sorted(corpus.audio.glob("*_en_*.flac"))]
    options = EmbeddedOptions(tones=4, sounds=6, sound_steps=4, slices=2, sounds_a_tone=4)
    fit_embedded(waves, tmp_path / "other", options, seed=1)
    assert "; 22 of them made now" in run(records, tmp_path / "other", capsys)
    assert len(list(records.glob("units-*"))) == 2


def test_records_made_anew_have_their_units_made_anew(records, codec_folder, capsys):
    (records / "sift_de" / "digest").write_text("another")
    assert "; 11 of them made now" in run(records, codec_folder, capsys)


def test_what_is_not_there_is_said_in_a_line(tmp_path, codec_folder):
    with pytest.raises(SystemExit, match="no records under"):
        main([f"--records={tmp_path}", f"--codec={codec_folder}"])
    with pytest.raises(SystemExit, match="no codec.json there"):
        main([f"--records={tmp_path}", f"--codec={tmp_path}"])
