"""fit, encode and decode from the command line, and what they say of inputs that are none."""

import json
import sys

import numpy as np
import pytest
from voices import RATE, make_speech

from sift_jax.audio.files import read_audio, write_audio
from sift_jax.units.__main__ import main


def run(monkeypatch, capsys, *arguments):
    """What it prints, or the error's line."""
    monkeypatch.setattr(sys, "argv", ["units", *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        assert end.code == 2
        return capsys.readouterr().err.strip()
    return capsys.readouterr().out.strip()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A build: metadata.jsonl beside audio/, one recording held out."""
    folder = tmp_path_factory.mktemp("build")
    (folder / "audio").mkdir()
    rows = [{"id": f"a{i}", "split": "dev" if i == 5 else "train"} for i in range(6)]
    for i, row in enumerate(rows):
        write_audio(folder / "audio" / f"{row['id']}.flac", make_speech(90 + 30 * i, seed=i))
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def codec(corpus):
    from sift_jax.units import commands
    from sift_jax.units.__main__ import parse_flags

    flags = [
        "fit",
        f"--audio={corpus / 'metadata.jsonl'}",
        f"--out={corpus / 'codec'}",
        "--tones=16",
        "--sounds=24",
    ]
    told = commands.fit(parse_flags(flags))
    assert "141 units, 33.3333 a second, from 5 recordings of 0.2 minutes" in told
    return corpus / "codec"


def test_there_and_back(corpus, codec, tmp_path, monkeypatch, capsys):
    units = tmp_path / "units.jsonl"
    told = run(
        monkeypatch,
        capsys,
        "encode",
        f"--codec={codec}",
        f"--audio={corpus / 'metadata.jsonl'}",
        "--split=dev",
        f"--audio={corpus / 'audio' / 'a0.flac'}",
        f"--out={units}",
    )
    assert "of 2 recordings" in told
    rows = [json.loads(line) for line in units.read_text().splitlines()]
    assert [row["audio"].rsplit("/")[-1] for row in rows] == ["a5.flac", "a0.flac"]
    told = run(
        monkeypatch,
        capsys,
        "decode",
        f"--codec={codec}",
        f"--units={units}",
        f"--out={tmp_path / 'made'}",
    )
    assert "2 recordings, 4." in told
    assert abs(len(read_audio(tmp_path / "made" / "a5.wav")) - 2 * RATE) < 1_280


@pytest.mark.parametrize(
    "broken, told",
    [
        ("nothing.wav", "nothing.wav: no such audio file"),
        ("hollow", "hollow: no recordings there"),
        ("lost.jsonl", "lost.jsonl: cannot be read"),
        ("odd.jsonl", "odd.jsonl: not the metadata.jsonl of a build"),
        ("short.wav", "short.wav: holds no samples"),
    ],
)
def test_what_cannot_be_encoded_is_told(codec, tmp_path, monkeypatch, capsys, broken, told):
    (tmp_path / "hollow").mkdir()
    (tmp_path / "odd.jsonl").write_text('["no row"]\n')
    import soundfile

    soundfile.write(tmp_path / "short.wav", np.zeros(0), RATE)
    out = tmp_path / "units.jsonl"
    found = run(
        monkeypatch,
        capsys,
        "encode",
        f"--codec={codec}",
        f"--audio={tmp_path / broken}",
        f"--out={out}",
    )
    assert told in found and found.startswith("error: ") and "\n" not in found
    assert not list(tmp_path.glob("*units*")) and not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    "row, told",
    [
        (
            '{"audio": "a.wav", "codec": "0000000000000", "units": [130]}',
            "line 1: these units were made by the codec 0000",
        ),
        (
            '{"audio": "a.wav", "codec": "CODEC", "units": [130, 199]}',
            "unit 199 at place 1 is none of the codec's 141",
        ),
        ('{"audio": "a.wav", "codec": "CODEC", "units": []}', "there are no units to speak"),
        ('{"audio": "a.wav", "codec": "CODEC", "units": [3]}', "no sound among them"),
        ('{"audio": "a.wav"}', "line 1: no line of units; give what `encode` wrote"),
        (
            '{"audio": "a.wav", "codec": "CODEC", "units": [130]}\n' * 2,
            "2 recordings would become a.wav",
        ),
        ("", "holds no units"),
    ],
)
def test_what_cannot_be_decoded_is_told(codec, tmp_path, monkeypatch, capsys, row, told):
    fingerprint = json.loads((codec / "codec.json").read_text())["fingerprint"]
    (tmp_path / "units.jsonl").write_text(row.replace("CODEC", fingerprint))
    found = run(
        monkeypatch,
        capsys,
        "decode",
        f"--codec={codec}",
        f"--units={tmp_path / 'units.jsonl'}",
        f"--out={tmp_path / 'made'}",
    )
    assert told in found and found.startswith("error: ") and "\n" not in found


@pytest.mark.parametrize(
    "flag, told",
    [
        ("--sound_ms=45", "--sound_ms=45 is not a number of steps of 10 ms"),
        (
            "--slices=3",
            "sounds of 4 steps, 2 where speech is fastest, cannot hold 3 slices; give fewer",
        ),
        (
            "--sounds=4000",
            (
                "different frames cannot fill a book of 4000 codes; give more recordings or ask "
                "for fewer"
            ),
        ),
    ],
)
def test_a_fit_that_cannot_be_is_told(corpus, tmp_path, monkeypatch, capsys, flag, told):
    found = run(
        monkeypatch,
        capsys,
        "fit",
        f"--audio={corpus / 'audio'}",
        f"--out={tmp_path / 'codec'}",
        "--tones=8",
        flag,
    )
    assert told in found and not (tmp_path / "codec").exists()
