"""Corpora from a real web server: resumed, damaged, changed meanwhile, and read by their readers."""

import io
import json
import shutil
import tarfile

import pytest
from archive_server import serve_archives

from data_prep.corpora.fleurs import read_fleurs
from data_prep.corpora.librispeech import read_librispeech
from data_prep.corpora.recording import CorpusError, Recording
from data_prep.download import fetch
from data_prep.download.__main__ import main, unpack
from data_prep.download.fetch import fetch_file

PATH = "/resources/31/{}.tar.gz"


def pack(files):
    """A .tar.gz of {name: bytes}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def write_part(part, speaker):
    folder = f"LibriSpeech/{part}/{speaker}/7"
    return pack(
        {
            "LibriSpeech/SPEAKERS.TXT": b"19 | F | train-clean-5 | 5.0 | A\n",
            f"{folder}/{speaker}-7.trans.txt": f"{speaker}-7-0000 RAIN FALLS\n".encode(),
            f"{folder}/{speaker}-7-0000.flac": bytes(range(256)) * 40,
        }
    )


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetch, "_WAITS", (0.0, 0.0))
    with serve_archives() as archives:
        archives.put(PATH.format("train-clean-5"), write_part("train-clean-5", "19"))
        archives.put(PATH.format("dev-clean-2"), write_part("dev-clean-2", "84"))
        yield archives


def run(server, root, *more):
    main(["--corpus=mini_librispeech", f"--root={root}", f"--mirror={server.url}", *more])


def test_mini_librispeech_is_read_by_its_reader(server, tmp_path, capsys):
    run(server, tmp_path)
    found = [item for item in read_librispeech(tmp_path, ["en"]) if isinstance(item, Recording)]
    assert {(item.id, item.held, item.gender) for item in found} == {
        ("19-7-0000", "train", "female"),
        ("84-7-0000", "dev", None),
    }
    assert "2 files, " in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.tar.gz*.part")) and not list(tmp_path.rglob("*.tar.gz"))


def test_what_is_unpacked_is_not_asked_for_again(server, tmp_path, capsys):
    run(server, tmp_path, "--parts=dev-clean-2")
    del server.asked[:]
    run(server, tmp_path)
    assert {path for _, path, _ in server.asked} == {PATH.format("train-clean-5")}
    del server.asked[:]
    run(server, tmp_path)
    assert server.asked == [] and "0 of them new" in capsys.readouterr().out


def test_fleurs_is_read_by_its_reader(server, tmp_path, monkeypatch):
    row = "7\t1.wav\tRegen fällt.\tregen fällt\tr e\t16000\tFEMALE\n"
    base = "/datasets/google/fleurs/resolve/main/data/de_de"
    server.put(f"{base}/dev.tsv", row.encode())
    server.put(f"{base}/audio/dev.tar.gz", pack({"dev/1.wav": b"RIFF"}))
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    main(["--corpus=fleurs", "--languages=de", "--parts=dev", f"--root={tmp_path}"])
    (found,) = read_fleurs(tmp_path, ["de"])
    assert found.transcript == "Regen fällt." and found.audio == str(
        tmp_path / "de_de/audio/dev/1.wav"
    )


def test_a_cut_transfer_is_continued_where_it_ended(server, tmp_path):
    path = PATH.format("dev-clean-2")
    data = server.files[path]
    server.cut = [100, 50]
    counted = []
    fetch_file(server.url + path, tmp_path / "a", advance=counted.append, sleep=lambda s: None)
    assert (tmp_path / "a").read_bytes() == data
    spans = [span for method, _, span in server.asked if method == "GET"]
    assert spans == [None, "bytes=100-", "bytes=150-"]
    assert sum(counted) == len(data)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_two_versions_of_a_file_never_become_one(server, tmp_path):
    path = PATH.format("dev-clean-2")
    server.cut = [100, 0, 0]
    with pytest.raises(CorpusError, match="what has come is kept"):
        fetch_file(server.url + path, tmp_path / "a", sleep=lambda s: None)
    assert (tmp_path / "a.part").stat().st_size == 100
    server.cut = []
    server.put(path, b"another", tag='"two"')
    fetch_file(server.url + path, tmp_path / "a", sleep=lambda s: None)
    assert (tmp_path / "a").read_bytes() == b"another"


def test_a_part_that_is_whole_already_is_taken(server, tmp_path):
    path = PATH.format("dev-clean-2")
    (tmp_path / "a.part").write_bytes(server.files[path])
    (tmp_path / "a.part.json").write_text(json.dumps({"url": server.url + path, "tag": '"one"'}))
    fetch_file(server.url + path, tmp_path / "a", sleep=lambda s: None)
    assert (tmp_path / "a").read_bytes() == server.files[path]


def test_without_a_tag_a_part_is_fetched_again(server, tmp_path):
    path = PATH.format("dev-clean-2")
    server.tags[path] = ""
    server.cut = [100]
    fetch_file(server.url + path, tmp_path / "a", sleep=lambda s: None)
    assert [span for _, _, span in server.asked] == [None, None]
    assert (tmp_path / "a").read_bytes() == server.files[path]


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(server, tmp_path):
    server.refuse = [503, 429]
    fetch_file(server.url + PATH.format("dev-clean-2"), tmp_path / "a", sleep=lambda s: None)
    del server.asked[:]
    with pytest.raises(CorpusError, match=r"gone.tar.gz is not there \(404\).*--mirror"):
        fetch_file(server.url + "/gone.tar.gz", tmp_path / "b", sleep=lambda s: None)
    assert len(server.asked) == 1


def test_an_archive_that_is_cut_anywhere_is_not_taken_for_whole(tmp_path):
    """Between two members, too, where a tar file looks as if it ended there."""
    whole = pack({f"a/{number}.flac": bytes([number]) * 700 for number in range(12)})
    for cut in range(1, len(whole), 5):
        archive = tmp_path / "a.tar.gz"
        archive.write_bytes(whole[:-cut])
        with pytest.raises(CorpusError, match="a.tar.gz cannot be unpacked"):
            unpack(archive, tmp_path / "out")
    archive.write_bytes(whole)
    unpack(archive, tmp_path / "whole")
    assert len(list((tmp_path / "whole/a").iterdir())) == 12


def test_a_connection_that_brings_something_each_time_gets_there(server, tmp_path):
    path = PATH.format("dev-clean-2")
    server.cut = [100] * 30
    fetch_file(server.url + path, tmp_path / "a", sleep=lambda s: None)
    assert (tmp_path / "a").read_bytes() == server.files[path]


def test_what_was_removed_is_fetched_again(server, tmp_path):
    run(server, tmp_path, "--parts=dev-clean-2,dev-clean-2")
    shutil.rmtree(tmp_path / "LibriSpeech/dev-clean-2")
    run(server, tmp_path, "--parts=dev-clean-2")
    assert list(tmp_path.rglob("84-7-0000.flac"))


def test_a_damaged_archive_is_deleted_and_said(server, tmp_path):
    path = PATH.format("dev-clean-2")
    server.put(path, server.files[path][:-300])
    with pytest.raises(SystemExit) as stop:
        run(server, tmp_path, "--parts=dev-clean-2")
    assert "dev-clean-2.tar.gz cannot be unpacked" in str(stop.value)
    server.put(path, write_part("dev-clean-2", "84"))
    run(server, tmp_path, "--parts=dev-clean-2")
    assert list(tmp_path.rglob("84-7-0000.flac"))


def link_outside():
    """A link to the folder above, and a file behind it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        link = tarfile.TarInfo("inner")
        link.type, link.linkname = tarfile.SYMTYPE, ".."
        archive.addfile(link)
        member = tarfile.TarInfo("inner/outside")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    return out.getvalue()


@pytest.mark.parametrize(
    "archive", [pack({"../outside": b"x"}), pack({"/outside": b"x"}), link_outside()]
)
def test_nothing_is_unpacked_outside_of_the_folder(server, tmp_path, archive):
    server.put(PATH.format("dev-clean-2"), archive)
    with pytest.raises(SystemExit) as stop:
        run(server, tmp_path / "root", "--parts=dev-clean-2")
    assert "is not a plain file inside of its folder" in str(stop.value)
    assert not (tmp_path / "outside").exists()


def test_a_full_disk_is_said_before_anything_is_fetched(server, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("", (), {"free": 10})())
    with pytest.raises(SystemExit) as stop:
        run(server, tmp_path)
    assert "are needed while archives are unpacked" in str(stop.value)
    assert {method for method, _, _ in server.asked} == {"HEAD"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--corpus=mini_librispeech", "--parts=dev"], "it has train-clean-5, dev-clean-2"),
        (["--corpus=fleurs", "--languages=nl"], "fleurs has no nl; it has en"),
        (["--corpus=fleurs"], "--languages: name some of en"),
        (["--corpus=librispeech", "--languages=de"], "it has English alone"),
        (["--corpus=mini_librispeech", "--mirror=corpora"], "no address of a web server"),
    ],
)
def test_what_is_not_published_is_said(tmp_path, flags, said):
    with pytest.raises(SystemExit) as stop:
        main([*flags, f"--root={tmp_path}"])
    assert said in str(stop.value)
