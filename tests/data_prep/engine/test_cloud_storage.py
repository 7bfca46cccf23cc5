"""Buckets: a corpus is read from one as from a folder, a build is published whole, what is there is
kept."""

import io
import json
from pathlib import Path

import fsspec
import numpy as np
import pytest
import soundfile

from data_prep.build import parse_arguments
from data_prep.engine import cloud_storage
from data_prep.engine.beam_engine import Engine
from data_prep.engine.chunks import BuildError
from data_prep.pipeline.build_stages import build

ONE = Engine(workers=1)


@pytest.fixture
def bucket():
    """In the memory of this process."""
    system = fsspec.filesystem("memory")
    for name in ("a/1.txt", "a/b/2.txt", "3.txt"):
        system.pipe(f"/speech/{name}", name.encode())
    yield system
    system.rm("/speech", recursive=True)


def read_folder(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_fetched_is_what_was_there(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(cloud_storage, "_RUN", 2)
    cloud_storage.fetch("memory://speech", tmp_path / "corpus", tmp_path, ONE)
    expected = {name: name.encode() for name in ("a/1.txt", "a/b/2.txt", "3.txt")}
    assert read_folder(tmp_path / "corpus") == expected
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "corpus").rglob("*.txt")}
    (tmp_path / "corpus" / "3.txt").unlink()
    for mark in (tmp_path / "parts" / "fetched").iterdir():
        mark.unlink()
    cloud_storage.fetch("memory://speech", tmp_path / "corpus", tmp_path, ONE)
    assert read_folder(tmp_path / "corpus") == expected
    assert sum(path.stat().st_mtime_ns != time for path, time in times.items()) == 1


def test_what_is_published_is_the_build(bucket, tmp_path):
    (tmp_path / "sift" / "train").mkdir(parents=True)
    for name in ("stages.json", "sift/train/split0.jsonl", "sift/a.json"):
        (tmp_path / name).write_text(name)
    assert (
        cloud_storage.publish(
            ("sift", "stages.json", "records"), "memory://speech/out", tmp_path, ONE
        )
        == 3
    )
    assert bucket.cat("/speech/out/sift/train/split0.jsonl") == b"sift/train/split0.jsonl"
    (tmp_path / "sift" / "a.json").write_text("bytes of another size")
    cloud_storage.publish(("sift", "stages.json"), "memory://speech/out", tmp_path, ONE)
    assert bucket.cat("/speech/out/sift/a.json") == b"bytes of another size"


@pytest.mark.parametrize(
    "url, message",
    [
        ("memory://speech/none", "nothing is there; give --root"),
        ("gs://speech", "install the driver, gcsfs for gs://"),
        ("nonsense://speech", "install the driver"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_line(bucket, tmp_path, url, message):
    with pytest.raises(BuildError, match=message):
        cloud_storage.fetch(url, tmp_path / "corpus", tmp_path, ONE)


def test_a_name_that_climbs_is_refused(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(type(bucket), "find", lambda *_, **__: {"/speech/../x": {"size": 1}})
    with pytest.raises(BuildError, match="leads out of the folder"):
        cloud_storage.fetch("memory://speech", tmp_path / "corpus", tmp_path, ONE)


def test_half_a_copy_is_none(bucket, tmp_path):
    run = cloud_storage.Run(
        source="memory://speech",
        target=str(tmp_path / "c"),
        out=tmp_path,
        number=0,
        files=(("3.txt", 99),),
    )
    with pytest.raises(OSError, match="3.txt: 5 of 99 bytes arrived"):
        cloud_storage.copy_run(run, "fetched")
    assert not run.path("fetched").exists() and not (tmp_path / "c" / "3.txt").exists()


def test_a_root_in_a_bucket_is_a_folder_of_the_build(tmp_path):
    config = parse_arguments(["--corpus=vctk", "--root=gs://speech/vctk", f"--out={tmp_path}"])
    assert (
        config.reading.root == tmp_path / "corpus" and config.reading.bucket == "gs://speech/vctk"
    )
    assert parse_arguments(
        ["--corpus=vctk", "--root=/a", f"--out={tmp_path}"]
    ).reading.root == Path("/a")


def test_a_build_reads_from_a_bucket_what_it_reads_from_a_folder(bucket, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "disk").mkdir()
    lines = []
    for number in range(3):
        wave = io.BytesIO()
        soundfile.write(wave, rng.normal(size=16_000) / 10, 16_000, format="WAV")
        bucket.pipe(f"/speech/{number}.wav", wave.getvalue())
        (tmp_path / "disk" / f"{number}.wav").write_bytes(wave.getvalue())
        lines.append(
            json.dumps({"audio": f"{number}.wav", "text": f"sentence {number}", "speaker": number})
        )
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    for name, root in (("one", tmp_path / "disk"), ("two", "memory://speech")):
        build(
            parse_arguments(
                [
                    "--corpus=manifest",
                    f"--manifest={tmp_path}/list.jsonl",
                    f"--root={root}",
                    "--languages=en",
                    f"--out={tmp_path / name}",
                    "--workers=1",
                    "--dev=0",
                ]
            ),
            ("corpus",),
        )
    assert (tmp_path / "one" / "utterances.jsonl").read_text().count("\n") == 3
    for name in ("utterances.jsonl", "audio"):
        first, second = tmp_path / "one" / name, tmp_path / "two" / name
        read = read_folder if first.is_dir() else Path.read_bytes
        assert read(first) == read(second)
