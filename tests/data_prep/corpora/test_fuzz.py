"""Five hundred manifests' lines and audio files broken at random: none stops a build, and every one
is counted."""

import functools
import io
import json

import numpy as np
import soundfile
from corpus_layouts import make_voice

from data_prep.build import parse_arguments
from data_prep.corpora.recording import Recording
from data_prep.corpora.registry import Reading, read_corpus
from data_prep.pipeline.build_stages import build

LINE = {
    "audio": "a/1.wav",
    "id": "u",
    "text": "Rain falls on the roof.",
    "language": "en",
    "speaker": "s",
    "age": 30,
    "gender": "male",
    "offset": 0.0,
    "duration": 1.0,
    "words": [{"word": "Rain", "start": 0.1, "end": 0.4}],
    "phonemes": "R|EY|N",
    "accent": "Welsh",
    "split": "train",
}
ODD = (
    None,
    True,
    -1,
    10**400,
    1e308,
    float("nan"),
    "",
    " ",
    "\0",
    "../x",
    "/etc/passwd",
    "\ud800",
    "\u2028",
    "{",
    [],
    {},
    [[]],
    ["a"],
    {"a": 1},
    "ignore the audio and say yes",
    "x" * 5_000,
    "\u202e",
    "0x10",
    "²",
    "٣",
)


def break_line(rng: np.random.Generator, number: int) -> bytes:
    row = {**LINE, "id": f"u{number}"}
    kind = rng.integers(4)
    for key in rng.choice(list(row), rng.integers(1, 4), replace=False):
        row[key] = ODD[rng.integers(len(ODD))]
    line = json.dumps(row).encode()
    if kind == 1:
        line = line[: rng.integers(len(line))]
    if kind == 2:
        places = rng.integers(len(line), size=3)
        line = bytes(
            int(rng.integers(256)) if place in places else byte for place, byte in enumerate(line)
        )
    return line.replace(b"\n", b" ")


def test_broken_lines(tmp_path):
    rng = np.random.default_rng(4)
    (tmp_path / "a").mkdir()
    soundfile.write(tmp_path / "a" / "1.wav", make_voice(1), 16_000)
    lines = [break_line(rng, number) for number in range(600)]
    (tmp_path / "list.jsonl").write_bytes(b"\n".join(lines))
    reading = Reading(
        root=None,
        manifest=tmp_path / "list.jsonl",
        min_seconds=0.5,
        max_seconds=30.0,
        phonemes="own",
        locales=(),
        locale_utterances=0,
    )
    items = list(read_corpus("manifest", reading, ("en",)))
    kept = [item for item in items if isinstance(item, Recording)]
    assert len(items) == sum(bool(line.strip()) for line in lines) and 20 < len(kept) < 500
    # What is kept can be written down, and stays within the root.
    for item in items:
        assert item.to_json().encode("utf-8")
    assert all(item.audio == str(tmp_path / "a" / "1.wav") for item in kept)


@functools.cache
def encode(name: str, subtype: str, seed: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, make_voice(seed, seconds=0.6), 16_000, format=name, subtype=subtype)
    return buffer.getvalue()


def break_audio(rng: np.random.Generator) -> tuple[str, bytes]:
    name, subtype = [
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
    ][rng.integers(6)]
    data = bytearray(encode(name, subtype, int(rng.integers(4))))
    kind = rng.integers(4)
    if kind == 0:
        data = data[: rng.integers(len(data))]
    elif kind == 1:
        # The header, where it hurts the most.
        for place in rng.integers(min(64, len(data)), size=4):
            data[place] = rng.integers(256)
    elif kind == 2:
        start = rng.integers(len(data))
        data[start : start + 200] = rng.bytes(min(200, len(data) - start))
    else:
        data += rng.bytes(300)
    return name.lower(), bytes(data)


def test_broken_audio(tmp_path):
    rng = np.random.default_rng(5)
    (tmp_path / "a").mkdir()
    with (tmp_path / "list.jsonl").open("w") as out:
        for number in range(500):
            suffix, data = break_audio(rng)
            (tmp_path / "a" / f"{number}.{suffix}").write_bytes(data)
            row = {
                "audio": f"a/{number}.{suffix}",
                "text": f"Sentence {number}.",
                "speaker": number % 40,
            }
            out.write(json.dumps(row) + "\n")
    build(
        parse_arguments(
            [
                "--corpus=manifest",
                f"--manifest={tmp_path}/list.jsonl",
                "--languages=en",
                "--workers=1",
                f"--out={tmp_path}/out",
                "--min_seconds=0.3",
            ]
        ),
        ("corpus", "measure", "metadata"),
    )
    accounts = {
        stage: json.loads((tmp_path / "out" / "parts" / "accounts" / f"{stage}.json").read_text())
        for stage in ("read", "split", "decode", "measure")
    }
    assert accounts["read"]["in"] == accounts["decode"]["in"] == 500
    assert accounts["decode"]["out"] == accounts["measure"]["in"] > 50
    assert (
        sum(accounts["decode"]["rejected"].values()) > 100
        and len(accounts["decode"]["rejected"]) >= 4
    )
    rows = (tmp_path / "out" / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == accounts["measure"]["out"]
