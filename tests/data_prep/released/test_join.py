"""The release joined to corpora on disk: python -m data_prep.records."""

import json
import shutil

import pytest
from release import TEXTS, join_flags, make_row, write_corpora, write_lines, write_tone

from data_prep.records import join_release, main
from data_prep.released import join
from data_prep.released.audio_roots import parse_audio_flags
from data_prep.tfrecord import main as add_main
from sift_jax.data.records.record_reader import RecordReader, digest_records

PAIR = ("common_voice_de_23905138", "common_voice_de_23905139")
MLS = "multilingual_librispeech_de"


def write_release(root):
    """Rows as the hub gives them; returns how many of each fate there are."""
    acoustic, talk = "closed_ended/acoustic_level", "open_ended"
    ten = [
        make_row(
            "10_20_000000", MLS, texts=(f"Wie klingt die Stimme in Frage {n}?", "Sie klingt ruhig.")
        )
        for n in range(10)
    ]
    gone = make_row("10_20_999999", MLS)
    write_lines(
        root,
        f"train/{acoustic}/de",
        [*ten, make_row(PAIR[0], "common_voice_de", is_text_first=True), gone],
    )
    write_lines(
        root,
        "train/closed_ended/comparison/de",
        [
            make_row(
                f"comparison_{'__'.join(PAIR)}", "common_voice_de", names=PAIR, is_text_first=True
            )
        ],
    )
    write_lines(
        root, f"train/{talk}/de", [ten[0], gone, gone, make_row(PAIR[1], "common_voice_de")]
    )
    write_lines(
        root,
        f"validation/{talk}/fr",
        [
            make_row("common_voice_fr_1842", "common_voice_fr", texts=TEXTS["de"]),
            make_row("common_voice_fr_1842", "common_voice_fr"),
            make_row("11_21_000000", "multilingual_librispeech_fr"),
            b'{"id": "11_21',
        ],
    )
    spoken = ("Read slowly: It rains.", "")
    write_lines(
        root,
        "EvalSIFT/controllable_generation/en",
        [
            make_row("p234_238", "vctk_en", texts=spoken, is_answer=True),
            make_row("s5_001", "vctk_en", texts=spoken, is_answer=True),
        ],
    )
    return root


def read_all(folder, language, split):
    reader = RecordReader(folder, language)
    places = sorted({place for found in reader.index[split].values() for place in found})
    return [reader.read(split, place) for place in places], reader.index[split]


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    root = tmp_path_factory.mktemp("release")
    write_release(root / "sift")
    roots = write_corpora(root / "corpora")
    out = root / "records"
    summaries = join_release(
        root / "sift", [join_flags(roots).removeprefix("--audio=")], out, ("en", "de", "fr")
    )
    return root, out, summaries


def test_rows_of_an_utterance_are_one_record(joined):
    _, out, _ = joined
    records, index = read_all(out, "de", "train")
    assert [record["id"].decode() for record in records] == [
        "10_20_000000",
        PAIR[0],
        f"comparison_{'__'.join(PAIR)}",
        PAIR[1],
    ]
    turns = json.loads(records[0]["turns"])
    assert (
        len(turns) == 11
        and index["open_ended"] == [0, 3]
        and index["closed_ended/acoustic_level"] == [0, 1]
    )
    assert [part for part in json.loads(records[1]["turns"])[0]["messages"][0]["content"]] == [
        {"text": TEXTS["de"][0]},
        {"audio_path": f"/path/to/{PAIR[0]}.wav"},
    ]
    assert [name.decode() for name in records[2]["audio_ids"]] == list(PAIR) and len(
        records[2]["audio"]
    ) == 2


def test_what_is_set_aside_is_listed_and_counted_by_corpus(joined):
    root, out, summaries = joined
    rejected = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    found = {(item["reason"], item["id"], item["rows"], item["line"]) for item in rejected}
    assert found == {
        ("no audio file of that name", "10_20_999999", 1, 12),
        ("no audio file of that name", "10_20_999999", 2, 2),
        ("German in French common_voice", "common_voice_fr_1842", 1, 1),
        ("not JSON", None, 1, 4),
    }
    assert all(item["file"].startswith(str(root)) for item in rejected)
    de = summaries["de"]
    assert (
        de["entered"][MLS] == 14
        and de["joined"][MLS] == 11
        and de["entered"]["common_voice_de"] == 3
    )
    for found in summaries.values():
        for source, count in found["entered"].items():
            assert count == found["joined"].get(source, 0) + sum(
                found["rejected"].get(source, {}).values()
            )


def test_both_microphones_opus_and_mp3_are_found(joined):
    _, out, summaries = joined
    assert summaries["en"]["records"] == {"EvalSIFT": 2} and summaries["fr"]["records"] == {
        "dev": 2
    }
    assert not any(found["unreadable"]["ids"] for found in summaries.values())


def test_tfds_reads_what_is_written(joined):
    import tensorflow_datasets as tfds

    _, out, _ = joined
    source = tfds.data_source("sift_de", data_dir=out, split="train")
    assert [source[n]["id"] for n in range(len(source))] == [
        r["id"] for r in read_all(out, "de", "train")[0]
    ]
    assert bytes(source[2]["audio"][0])[:4] == b"fLaC" and source[0]["language"] == b"de"


def test_tfds_loads_tfrecords_and_training_goes_on_with_the_others(joined, tmp_path, capsys):
    import tensorflow_datasets as tfds

    _, out, _ = joined
    shutil.copytree(out / "sift_de", tmp_path / "sift_de")
    for _ in range(2):
        add_main([f"--records={tmp_path}"])
    assert "sift_de  4 examples" in capsys.readouterr().out
    found = list(tfds.as_numpy(tfds.load("sift_de", data_dir=tmp_path, split="train")))
    records, _ = read_all(tmp_path, "de", "train")
    assert [item["id"] for item in found] == [record["id"] for record in records] and len(
        found
    ) == 4
    assert [bytes(clip) for clip in found[2]["audio"]] == [
        bytes(clip) for clip in records[2]["audio"]
    ]
    assert [item["turns"] for item in found] == [record["turns"] for record in records]


def test_tfrecords_of_nothing_and_of_cut_records_are_errors(joined, tmp_path):
    _, out, _ = joined
    with pytest.raises(SystemExit, match="no records under"):
        add_main([f"--records={tmp_path}"])
    shutil.copytree(out / "sift_de", tmp_path / "sift_de")
    next((tmp_path / "sift_de/1.0.0").glob("*train.array_record*")).unlink()
    with pytest.raises(SystemExit, match="holds 0 examples, and its dataset_info.json says 4"):
        add_main([f"--records={tmp_path}"])


def test_many_buckets_hold_the_same_rows(joined, tmp_path, monkeypatch):
    root, out, _ = joined
    monkeypatch.setattr(join, "BUCKET_BYTES", 400)
    roots = parse_audio_flags([str(root / "corpora")])
    places = join.list_usable_places(root / "sift")
    with (tmp_path / "rejected.jsonl").open("w") as rejected:
        joiner = join.Join(places, roots, tmp_path / "scratch", rejected)
        groups = joiner.group(root / "sift", "train", "de")
        assert len(groups) > 3
        found = dict(groups.items())
    expected, _ = read_all(out, "de", "train")
    assert found == {record["id"].decode(): json.loads(record["turns"]) for record in expected}
    assert joiner.grouped == 4 and not list((tmp_path / "scratch/train_de").iterdir())


def test_two_processes_pack_what_one_does(joined, tmp_path):
    root, out, summaries = joined
    audio = join_flags(write_corpora(root / "corpora")).removeprefix("--audio=")
    again = join_release(root / "sift", [audio], tmp_path / "two", ("en", "de", "fr"), workers=2)
    assert again == summaries and digest_records(tmp_path / "two") == digest_records(out)


def test_audio_that_cannot_be_read_is_set_aside_by_its_record(tmp_path, capsys):
    rows = [make_row(name, MLS) for name in ("u1", "u2", "u2", "u3")]
    write_lines(tmp_path / "sift", "train/open_ended/de", rows)
    for name in ("u1", "u3"):
        write_tone(tmp_path / "audio" / f"{name}.wav")
    (tmp_path / "audio/u2.flac").write_bytes(b"fLaC no more")
    for workers in (1, 2):
        main(
            [
                f"--sift={tmp_path / 'sift'}",
                f"--audio={tmp_path / 'audio'}",
                f"--out={tmp_path / str(workers)}",
                f"--workers={workers}",
            ]
        )
        said = capsys.readouterr().out
        assert (
            "1 records (2 rows) have audio that cannot be read" in said and "2 rows skipped" in said
        )
        (line,) = (tmp_path / str(workers) / "rejected.jsonl").read_text().splitlines()
        assert json.loads(line)["id"] == "u2" and "cannot be decoded" in json.loads(line)["detail"]


def test_a_finished_language_is_not_made_again(joined, tmp_path, capsys):
    root, out, summaries = joined
    flags = [f"--sift={root / 'sift'}", join_flags(write_corpora(root / "corpora")), f"--out={out}"]
    before = (out / "sift_de/1.0.0/dataset_info.json").stat().st_mtime_ns
    main([*flags, "--languages=de", "--workers=1"])
    assert (out / "sift_de/1.0.0/dataset_info.json").stat().st_mtime_ns == before
    said = capsys.readouterr().out
    assert "3 without audio" in said and "3 rows skipped, listed in" in said
    with pytest.raises(SystemExit, match="holds records of other files"):
        main([flags[0], f"--audio={root}", flags[2]])


def test_a_language_whose_files_change_is_made_again(tmp_path, capsys, monkeypatch):
    """Files that are added, changed or emptied, and other code."""
    names = [f"u{n}" for n in range(4)]
    for name in names:
        write_tone(tmp_path / "audio" / f"{name}.wav")
    sift, out = tmp_path / "sift", tmp_path / "out"
    flags = [f"--sift={sift}", f"--audio={tmp_path / 'audio'}", f"--out={out}", "--workers=1"]

    def count_rows():
        main(flags)
        return int(capsys.readouterr().out.split(" rows")[0].split()[-1])

    first = write_lines(sift, "train/open_ended/de", [make_row(name, MLS) for name in names[:3]])
    assert count_rows() == 3
    added = first.with_name("split1.jsonl")
    added.write_text(json.dumps(make_row("u3", MLS)) + "\n")
    assert count_rows() == 4 and len(read_all(out, "de", "train")[0]) == 4
    write_lines(sift, "train/open_ended/de", [make_row("u9", MLS)])
    added.unlink()
    assert count_rows() == 1 and not (out / "sift_de").exists()
    before = (out / "sift_de.json").stat().st_mtime_ns
    assert count_rows() == 1 and (out / "sift_de.json").stat().st_mtime_ns == before
    monkeypatch.setattr("data_prep.records.VERSION", 2)
    assert count_rows() == 1 and (out / "sift_de.json").stat().st_mtime_ns != before


def test_rows_that_nobody_reads_are_counted(tmp_path, capsys):
    """Unknown languages and categories, stray files: each with validate's reason, until they are
    gone."""
    write_tone(tmp_path / "audio/u1.wav")
    sift = tmp_path / "sift"
    write_lines(sift, "train/open_ended/de", [make_row("u1", MLS)])
    unread = [
        write_lines(sift, "train/open_ended/pl", [make_row("u1", MLS), make_row("u2", MLS), b"{"]),
        write_lines(sift, "dev/small_talk/de", [make_row("u1", MLS)]),
        write_lines(sift, "other/open_ended/de", [make_row("u1", MLS)] * 2),
    ]
    flags = [
        f"--sift={sift}",
        f"--audio={tmp_path / 'audio'}",
        f"--out={sift / 'records'}",
        "--workers=1",
    ]
    for _ in range(2):
        main(flags)
        said = capsys.readouterr().out
        assert "6 rows skipped" in said and "2 stray file" in said and "unread " not in said
        lines = (sift / "records/rejected.jsonl").read_text().splitlines()
        found = {
            (item["file"], item["reason"], item["data_source"]): item["rows"]
            for item in map(json.loads, lines)
        }
        assert found == {
            (str(unread[0]), "unknown language", MLS): 2,
            (str(unread[0]), "unknown language", "not known"): 1,
            (str(unread[1]), "unknown category", MLS): 1,
            (str(unread[2]), "stray file", MLS): 2,
        }
    for path in unread:
        path.unlink()
    main(flags)
    assert "nothing skipped" in capsys.readouterr().out


def test_a_language_of_which_nothing_can_be_used_is_a_count(tmp_path, capsys):
    write_lines(tmp_path / "sift", "train/open_ended/de", [make_row("10_20_000000", MLS)])
    (tmp_path / "audio").mkdir()
    main(
        [
            f"--sift={tmp_path / 'sift'}",
            f"--audio={tmp_path / 'audio'}",
            f"--out={tmp_path / 'out'}",
            "--workers=1",
        ]
    )
    assert "0 joined             1 without audio" in capsys.readouterr().out


def test_roots_are_read_whatever_their_layout(tmp_path):
    roots = write_corpora(tmp_path / "corpora")
    write_tone(tmp_path / "corpora/libri/train-clean-100/103/1240/103-1240-0000.flac")
    write_tone(tmp_path / "corpora/flat/10/20/10_20_000007.flac")
    write_tone(tmp_path / "corpora/mine/anywhere/u1.wav")
    (tmp_path / "corpora/mine/loop").symlink_to(tmp_path / "corpora/mine")
    found = parse_audio_flags([str(tmp_path / "corpora")])
    for name in (
        "10_20_000001",
        "11_21_000000",
        *PAIR,
        "common_voice_fr_1842",
        "p234_238",
        "s5_001",
        "p234_238_mic1",
        "s5_001_mic2",
        "103-1240-0000",
        "10_20_000007",
        "u1",
    ):
        assert name in found and found[name].is_file(), name
    assert found["p234_238"].name == "p234_238_mic1.flac" and len(found) == 1
    for name in (
        "p234_999",
        "common_voice_de_1",
        "10_20_5",
        "..",
        "",
        "u2",
        "common_voice_de_23905138/x",
    ):
        assert name not in found
    assert "p234_238" not in parse_audio_flags([f"mls={roots['mls']}"])
