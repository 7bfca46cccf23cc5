"""Whole builds from corpora on disk: everything accounted for, the splits apart, the records
readable."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus_layouts import (
    make_voice,
    write_common_voice,
    write_fleurs,
    write_librispeech,
    write_mls,
    write_vctk,
    write_voice,
    write_voxpopuli,
)

from data_prep import check_splits
from data_prep.build import main, parse_arguments
from data_prep.corpora.splits import find_leaks
from data_prep.engine.chunks import BuildError
from data_prep.pipeline import decode
from data_prep.pipeline.build_stages import build
from data_prep.pipeline.decode import read_speech
from data_prep.pipeline.statistics import format_report
from sift_jax.data.records.record_reader import RecordReader, decode_clip
from sift_jax.sift.rows import CATEGORIES, list_files, read_rows

SIZES = (
    "--dev=6",
    "--evaluation=6",
    "--evaluation_rows=12",
    "--rows_per_utterance=4",
    "--workers=1",
)
READ = ("corpus",)


def read_json_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check_books(accounts: dict) -> None:
    for stage, account in accounts.items():
        assert account["in"] == account["out"] + sum(account["rejected"].values()), stage
    for before, after in (
        ("read", "split"),
        ("split", "decode"),
        ("decode", "measure"),
        ("measure", "instructions"),
    ):
        assert accounts[before]["out"] == accounts[after]["in"]


@pytest.fixture(scope="module")
def mls(tmp_path_factory):
    """A build of German MLS with one cut file, one broken line and one silent file."""
    root = tmp_path_factory.mktemp("mls")
    write_mls(root)
    train = root / "mls_german" / "train"
    with (train / "transcripts.txt").open("ab") as out:
        out.write(b"no tab in this line\n99_1_000000\tein Satz ohne Ton\n")
    cut = train / "audio" / "11" / "1001" / "11_1001_000000.flac"
    cut.write_bytes(cut.read_bytes()[:2_000])
    soundfile.write(
        train / "audio" / "12" / "1001" / "12_1001_000001.flac", np.zeros(16_000), 16_000
    )
    out = root / "build"
    main(["--corpus=mls", f"--root={root}", "--languages=de", f"--out={out}", *SIZES])
    return out


def test_mls_build_is_whole(mls, capsys):
    report = json.loads((mls / "report.json").read_text())
    accounts = report["accounts"]
    check_books(accounts)
    assert list(accounts) == [
        "read",
        "split",
        "decode",
        "measure",
        "stated_genders",
        "instructions",
        "records",
    ]
    assert sum(report["backgrounds"]["de"].values()) == accounts["measure"]["out"]
    # The layout's voices are synthetic: what they are said to be is no matter of their pitch.
    doubts = [
        row for row in read_json_lines(mls / "rejected.jsonl") if row["stage"] == "stated_genders"
    ]
    assert len(doubts) == sum(accounts["stated_genders"]["rejected"].values())
    page = (mls / "report.html").read_text(encoding="utf-8")
    assert "Where noise was heard" in page and "stated_genders" in page
    assert accounts["read"]["in"] == 50 and accounts["read"]["rejected"] == {
        "unusable id": 1,
        "no audio file": 1,
    }
    assert set(accounts["decode"]["rejected"]) == {"cannot be decoded", "silent"} or set(
        accounts["decode"]["rejected"]
    ) == {"truncated", "silent"}
    rejected = read_json_lines(mls / "rejected.jsonl")
    assert len(rejected) == sum(sum(account["rejected"].values()) for account in accounts.values())
    line = next(row for row in rejected if row["reason"] == "unusable id")
    assert (
        line["file"].endswith("transcripts.txt") and line["line"] == 33 and line["stage"] == "read"
    )
    rows = read_json_lines(mls / "metadata.jsonl")
    assert Counter(row["split"] for row in rows)["EvalSIFT"] == 6 and not find_leaks(rows)
    assert {row["speaker"] for row in rows if row["split"] == "EvalSIFT"} == {"31"}
    assert {row["gender"] for row in rows} == {"male", "female"} and {
        row["age_category"] for row in rows
    } == {None}
    assert (mls / "records" / "sift_de" / "index.json").is_file()


def test_what_the_corpus_does_not_know_is_not_asked(mls):
    texts = []
    for category in CATEGORIES:
        for path in list_files(mls / "sift", "train", category, "de"):
            rows = list(read_rows(path))
            assert all(row["data_source"] == "multilingual_librispeech_de" for row in rows)
            texts += [
                part["text"]
                for row in rows
                for message in row["messages"]
                for part in message["content"]
                if "text" in part
            ]
    assert len(texts) > 100 and not any("None" in text or "null" in text for text in texts)
    report = json.loads((mls / "report.json").read_text())
    assert set(report["labels"]) == {
        "average_pitch",
        "pitch_variation",
        "average_intensity",
        "noise_level",
        "reverberation",
    }
    assert report["counts"]["train"]["closed_ended/word_align"] == {"de": 0}
    assert report["rank_correlation"] == {} and "synthesizer" not in format_report(report)


def test_the_proof_finds_what_is_in_two_splits(mls, tmp_path, capsys):
    check_splits.main([f"--build={mls}"])
    assert "nothing of one split is in another" in capsys.readouterr().out
    shutil.copytree(mls, tmp_path / "copy")
    rows = read_json_lines(tmp_path / "copy" / "metadata.jsonl")
    train, held = (
        next(row for row in rows if row["split"] == split) for split in ("train", "EvalSIFT")
    )
    audio = tmp_path / "copy" / "audio"
    shutil.copy(audio / f"{train['id']}.flac", audio / f"{held['id']}.flac")
    held |= {"speaker": train["speaker"], "transcript": train["transcript"].upper() + "!"}
    next(row for row in rows if row["split"] == "dev")["split"] = "train"
    (tmp_path / "copy" / "metadata.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows)
    )
    with pytest.raises(SystemExit, match="stand in two splits"):
        check_splits.main([f"--build={tmp_path / 'copy'}"])
    said = capsys.readouterr().out
    for what in ("speaker", "sentence", "samples", "a row of dev names"):
        assert what in said
    with pytest.raises(SystemExit, match="give --build"):
        check_splits.main([f"--build={tmp_path}"])


def test_a_second_call_does_nothing(mls, capsys):
    config = parse_arguments(
        ["--corpus=mls", f"--root={mls.parent}", "--languages=de", f"--out={mls}", *SIZES]
    )
    build(config)
    assert capsys.readouterr().out.count("done before") == 7


def test_vctk_build_splits_speakers_and_their_common_sentence(tmp_path):
    write_vctk(tmp_path)
    out = tmp_path / "build"
    main(["--corpus=vctk", f"--root={tmp_path}", f"--out={out}", *SIZES])
    report = json.loads((out / "report.json").read_text())
    check_books(report["accounts"])
    rows = read_json_lines(out / "metadata.jsonl")
    assert not find_leaks(rows) and {row["split"] for row in rows} == {"train", "dev", "EvalSIFT"}
    common = {row["split"] for row in rows if row["transcript"] == "Please call Stella."}
    assert common == {"EvalSIFT"}
    assert report["accounts"]["split"]["rejected"]["its sentence is in EvalSIFT"] >= 4
    assert {row["accent"] for row in rows} <= {"British", "Scottish", "Indian", None}
    assert {row["is_question"] for row in rows} == {False}


@pytest.mark.parametrize(
    "name, language, write, unknown",
    [
        ("common_voice", "de", write_common_voice, set()),
        ("librispeech", "en", write_librispeech, {"age_category", "accent", "is_question"}),
        ("voxpopuli", "de", write_voxpopuli, {"age_category", "accent"}),
        ("fleurs", "es", write_fleurs, {"age_category", "accent", "speaker"}),
    ],
)
def test_the_other_layouts_build_too(tmp_path, name, language, write, unknown):
    write(tmp_path)
    out = tmp_path / "build"
    flags = [f"--corpus={name}", f"--root={tmp_path}", f"--languages={language}", f"--out={out}"]
    build(parse_arguments([*flags, *SIZES, *(["--plain"] if name == "voxpopuli" else [])]))
    report = json.loads((out / "report.json").read_text())
    check_books(report["accounts"])
    rows = read_json_lines(out / "metadata.jsonl")
    assert {row["split"] for row in rows} == {"train", "dev", "EvalSIFT"} and not find_leaks(rows)
    for key in ("age_category", "accent", "speaker", "is_question"):
        assert (key in unknown) == ({row[key] for row in rows} == {None})
    assert report["counts"]["train"]["closed_ended/content_level"][language] > 0
    reader = RecordReader(out / "records", language)
    record = reader.read("train", 0)
    samples = decode_clip(record["audio"][0])
    assert len(samples) == pytest.approx(16_000, abs=1_600) and json.loads(record["turns"])


def test_workers_and_order_do_not_change_the_splits(tmp_path):
    write_mls(tmp_path, per_speaker=2)
    outs = [tmp_path / name for name in ("one", "two")]
    for out, workers in zip(outs, (1, 2), strict=True):
        flags = [
            "--corpus=mls",
            f"--root={tmp_path}",
            "--languages=de",
            f"--out={out}",
            f"--workers={workers}",
        ]
        build(parse_arguments(flags), READ)
        lines = tmp_path / "mls_german" / "train" / "transcripts.txt"
        lines.write_text("".join(reversed(lines.read_text().splitlines(keepends=True))))
    first, second = (
        {row["id"]: row for row in read_json_lines(out / "utterances.jsonl")} for out in outs
    )
    assert first == second


def write_bad_audio(folder: Path) -> dict[str, str]:
    """Name of the file to the reason that it is skipped for; every one is alone in what is wrong
    with it."""
    wave = make_voice(3)
    folder.mkdir()
    soundfile.write(folder / "one_sample.wav", wave[:1], 16_000)
    soundfile.write(folder / "no_sample.wav", wave[:0], 16_000)
    soundfile.write(folder / "short.flac", wave[:4_000], 16_000)
    soundfile.write(folder / "hour.flac", np.zeros(3_600 * 8_000, np.int16), 8_000)
    soundfile.write(folder / "silent.wav", np.zeros(16_000), 16_000)
    soundfile.write(folder / "clipped.wav", np.clip(40 * wave, -1, 1), 16_000)
    soundfile.write(
        folder / "nan.wav", np.where(np.arange(16_000) == 5, np.nan, wave), 16_000, subtype="FLOAT"
    )
    soundfile.write(folder / "opposite.wav", np.stack([wave, -wave], axis=1), 16_000)
    soundfile.write(folder / "slow.wav", wave, 1_000)
    soundfile.write(folder / "many.wav", np.tile(wave[:, None], (1, 17)), 16_000)
    (folder / "empty.mp3").touch()
    (folder / "mislabelled.flac").write_text("<html>404</html>")
    soundfile.write(folder / "cut.wav", wave, 16_000)
    (folder / "cut.wav").write_bytes((folder / "cut.wav").read_bytes()[:20_000])
    soundfile.write(folder / "cut.mp3", make_voice(4, seconds=3.0), 16_000, format="MP3")
    (folder / "cut.mp3").write_bytes((folder / "cut.mp3").read_bytes()[:5_000])
    return {
        "one_sample.wav": "too short",
        "no_sample.wav": "empty file",
        "short.flac": "too short",
        "hour.flac": "too long",
        "silent.wav": "silent",
        "clipped.wav": "clipped",
        "nan.wav": "not finite",
        "opposite.wav": "opposite channels",
        "slow.wav": "unusable rate",
        "many.wav": "too many channels",
        "empty.mp3": "empty file",
        "mislabelled.flac": "cannot be decoded",
        "cut.wav": "truncated",
        "cut.mp3": "truncated",
    }


def test_every_kind_of_bad_audio_is_set_aside_with_its_reason(tmp_path):
    reasons = write_bad_audio(tmp_path / "a")
    good = ("good.wav", "good.flac", "good.mp3", "good.ogg", "good.opus")
    rates = dict(zip(good, (44_100, 22_050, 32_000, 16_000, 48_000), strict=True))
    for place, name in enumerate(good):
        write_voice(tmp_path / "a" / name, 50 + place, rate=rates[name])
    soundfile.write(tmp_path / "a" / "eight.wav", np.tile(make_voice(60)[:, None], (1, 8)), 16_000)
    shutil.copy(tmp_path / "a" / "good.flac", tmp_path / "a" / "twin.flac")
    names = [*reasons, *good, "eight.wav", "twin.flac"]
    lines = [
        json.dumps(
            {"audio": f"a/{name}", "id": name, "text": f"sentence number {place}", "speaker": place}
        )
        for place, name in enumerate(names)
    ]
    lines.append(
        json.dumps(
            {"audio": "a/good.wav", "id": "late", "text": "beyond", "offset": 0.5, "duration": 9}
        )
    )
    part = {
        "audio": "a/good.wav",
        "id": "part",
        "text": "a part",
        "offset": 0.25,
        "duration": 0.625,
    }
    lines.append(json.dumps(part))
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    out = tmp_path / "out"
    build(
        parse_arguments(
            [
                "--corpus=manifest",
                f"--manifest={tmp_path / 'list.jsonl'}",
                "--languages=en",
                f"--out={out}",
                "--workers=1",
                "--dev=0",
                "--evaluation=0",
            ]
        ),
        READ,
    )
    aside = read_json_lines(out / "parts" / "accounts" / "decode_rejected.jsonl")
    rejected = {row["id"]: row["reason"] for row in aside}
    twin = {"twin.flac", "good.flac"} & rejected.keys()
    assert {rejected.pop(name) for name in twin} == {"same audio as another"} and len(twin) == 1
    assert rejected == {**reasons, "late": "times beyond the end"}
    kept = {row["id"]: row["duration"] for row in read_json_lines(out / "utterances.jsonl")}
    assert set(kept) == {*good, "eight.wav", "twin.flac", "part"} - twin and kept["part"] == 0.625
    assert all(abs(kept[name] - 1.0) < 0.1 for name in kept if name != "part")
    assert {path.name for path in (out / "audio").iterdir()} == {f"{name}.flac" for name in kept}


def test_what_kills_its_decoder_is_set_aside_and_what_was_stopped_is_not(tmp_path, monkeypatch):
    """A death leaves the name of what was being decoded; whether that was its fault is tried by
    itself."""
    for number in range(3):
        write_voice(tmp_path / f"{number}.wav", number)
    lines = [
        {"audio": f"{number}.wav", "id": f"u{number}", "text": f"sentence {number}"}
        for number in range(3)
    ]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, lines)))
    configs = [
        parse_arguments(
            [
                "--corpus=manifest",
                f"--manifest={tmp_path}/list.jsonl",
                "--languages=en",
                "--dev=0",
                f"--out={tmp_path / out}",
                "--workers=1",
                "--evaluation=0",
            ]
        )
        for out in ("stopped", "dies")
    ]

    def stop(recording, reading):
        if recording.id == "u1":
            raise KeyboardInterrupt
        return read_speech(recording, reading)

    def fail(recording, reading):
        raise OSError("disk full")

    def break_off(config, broken, now):
        monkeypatch.setattr(decode, "read_speech", broken)
        with pytest.raises((BuildError, KeyboardInterrupt)):
            build(config, READ)
        note = config.out / "parts" / "at_work" / "en_train_000000.jsonl"
        assert json.loads(note.read_text()) == {"now": now, "deadly": []}
        monkeypatch.setattr(decode, "read_speech", read_speech)
        return note

    for broken, now in ((stop, "u1"), (stop, "u1"), (fail, None), (stop, "u1")):
        notes = [break_off(config, broken, now) for config in configs]
    build(configs[0], READ)
    monkeypatch.setattr(decode, "_TRIAL", "import os; os.abort()")
    build(configs[1], READ)
    for config, note, lost in zip(configs, notes, ([], ["u1"]), strict=True):
        aside = read_json_lines(config.out / "parts" / "accounts" / "decode_rejected.jsonl")
        assert [(row["id"], row["reason"]) for row in aside] == [
            (name, "kills its decoder") for name in lost
        ]
        kept = {row["id"] for row in read_json_lines(config.out / "utterances.jsonl")}
        assert kept == {"u0", "u1", "u2"} - set(lost) and not note.exists()


def test_word_times_of_other_words_are_dropped_and_their_utterance_is_not(tmp_path):
    """What the times are of is spelt as in the transcript."""
    said = {
        "same": ("Rain falls.", "rain falls"),
        "parted": ("L'eau.", "l' eau"),
        "other": ("Rain falls.", "it snows"),
        "fewer": ("Rain falls.", "rain"),
        "none": ("Rain falls.", ""),
    }
    lines = []
    for number, (name, (text, words)) in enumerate(said.items()):
        write_voice(tmp_path / f"{name}.wav", number)
        times = [
            {"word": word, "start": 0.2 * n, "end": 0.2 * n + 0.1}
            for n, word in enumerate(words.split())
        ]
        lines.append({"audio": f"{name}.wav", "text": text, "words": times})
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, lines)))
    build(
        parse_arguments(
            [
                "--corpus=manifest",
                f"--manifest={tmp_path}/list.jsonl",
                "--languages=en",
                "--dev=0",
                f"--out={tmp_path / 'out'}",
                "--workers=1",
                "--evaluation=0",
            ]
        ),
        READ,
    )
    rows = {
        row["id"]: row["words"] for row in read_json_lines(tmp_path / "out" / "utterances.jsonl")
    }
    assert {name: [word["word"] for word in words] for name, words in rows.items()} == {
        "same": ["Rain", "falls"],
        "parted": ["l'", "eau"],
        "other": [],
        "fewer": [],
        "none": [],
    }
    assert rows["same"][1] == {
        "word": "falls",
        "position": 2,
        "start": 0.2,
        "end": pytest.approx(0.3),
    }
    account = json.loads((tmp_path / "out/parts/accounts/given_words.json").read_text())
    assert account == {"unit": "utterances", "in": 4, "out": 2, "rejected": {"other words": 2}}
    aside = read_json_lines(tmp_path / "out" / "parts" / "accounts" / "given_words_rejected.jsonl")
    assert [row["id"] for row in aside] == [
        "other",
        "fewer",
    ] and "the times are of 'it snows'" in aside[0]["detail"]


def test_nothing_to_build_from_is_one_line(tmp_path):
    (tmp_path / "list.jsonl").write_text("{}\n")
    with pytest.raises(
        SystemExit,
        match="nothing to build from: 0 recordings were read and none kept; see .*accounts",
    ):
        main(
            [
                "--corpus=manifest",
                f"--manifest={tmp_path}/list.jsonl",
                "--languages=en",
                f"--out={tmp_path}/o",
            ]
        )
    with pytest.raises(SystemExit, match="needs --root"):
        main(["--corpus=vctk", f"--out={tmp_path / 'p'}"])


def test_killed_and_started_again_the_bytes_are_the_same(tmp_path):
    """The clock of each kill is the number of files that the child has written."""
    write_mls(tmp_path, per_speaker=4)
    flags = [
        "--corpus=mls",
        f"--root={tmp_path}",
        "--languages=de",
        "--workers=1",
        "--dev=4",
        "--evaluation=4",
    ]
    program = (
        "import sys; from data_prep.build import parse_arguments; from "
        "data_prep.pipeline.build_stages import build\n"
        "build(parse_arguments(sys.argv[1:]), ('corpus', 'measure', 'metadata'))"
    )
    out, whole = tmp_path / "killed", tmp_path / "whole"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    for count in (4, 20):
        child = subprocess.Popen(
            [sys.executable, "-c", program, *flags, f"--out={out}"],
            env=environment,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while (
            child.poll() is None
            and len(list(out.rglob("*.*"))) < count
            and time.monotonic() < deadline
        ):
            time.sleep(0.001)
        child.kill()
        assert child.wait() == -signal.SIGKILL, "the child was done before it could be killed"
    for folder in (out, whole):
        build(parse_arguments([*flags, f"--out={folder}"]), ("corpus", "measure", "metadata"))
    names = [path.relative_to(whole) for path in sorted(whole.rglob("*")) if path.is_file()]
    assert len(names) > 30
    assert {name: (out / name).read_bytes() for name in names} == {
        name: (whole / name).read_bytes() for name in names
    }


def test_phonemes_are_read_off_the_transcript_on_demand(tmp_path):
    pytest.importorskip("espeakng_loader")
    write_voice(tmp_path / "1.wav", 1)
    (tmp_path / "list.jsonl").write_text('{"audio": "1.wav", "text": "Rain falls."}\n')
    flags = [
        "--corpus=manifest",
        f"--manifest={tmp_path}/list.jsonl",
        "--languages=en",
        "--workers=1",
        "--dev=0",
    ]
    for name, expected in (("own", None), ("espeak", "ɹ|eɪ|n| |f|ɔː|l|z")):
        build(
            parse_arguments([*flags, f"--out={tmp_path / name}", f"--phonemes={name}"]),
            ("corpus", "measure"),
        )
        assert read_json_lines(tmp_path / name / "utterances.jsonl")[0]["phonemes"] == expected
        row = json.loads(next((tmp_path / name / "parts" / "measured").iterdir()).read_text())
        assert ("speaking_rate" in row["values"]) == (expected is not None)


def test_a_manifest_of_the_embedded_corpus_measures_the_same(tmp_path):
    """The same speech through the other door, with its times and phonemes: no value and no word may
    differ."""
    pytest.importorskip("espeakng_loader")
    stages, made, read = ("corpus", "measure", "metadata"), tmp_path / "made", tmp_path / "read"
    build(
        parse_arguments(
            [
                f"--out={made}",
                "--languages=en",
                "--train=8",
                "--dev=0",
                "--evaluation=2",
                "--workers=1",
            ]
        ),
        stages,
    )
    rows = read_json_lines(made / "utterances.jsonl")
    (tmp_path / "list.jsonl").write_text(
        "".join(
            json.dumps({**row, "audio": f"made/audio/{row['id']}.flac", "age": row["age_category"]})
            + "\n"
            for row in rows
        )
    )
    flags = [
        "--corpus=manifest",
        f"--manifest={tmp_path}/list.jsonl",
        f"--out={read}",
        "--workers=1",
        "--dev=0",
    ]
    build(parse_arguments(flags), stages)
    first, second = (
        {row["id"]: row for row in read_json_lines(out / "metadata.jsonl")} for out in (made, read)
    )
    assert second and second.keys() <= first.keys()
    for name, row in second.items():
        for key in (
            "values",
            "words",
            "phonemes",
            "transcript",
            "gender",
            "age_category",
            "accent",
            "speaker",
            "split",
            "is_question",
            "duration",
        ):
            assert row[key] == first[name][key], key


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--corpus=vctk", "--languages=de"], "'de' is not spoken here; choose of en"),
        (["--root=x"], "--root is for corpora on disk"),
        (["--corpus=mls", "--manifest=x"], "--manifest is for --corpus=manifest"),
        (["--corpus=mls", "--min_seconds=5", "--max_seconds=4"], "leave nothing"),
    ],
)
def test_flags_that_do_not_go_together(flags, message, capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--out=x", *flags])
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_build_ends_in_its_card_and_page(mls):
    card, page = ((mls / name).read_text(encoding="utf-8") for name in ("README.md", "report.html"))
    report = json.loads((mls / "report.json").read_text())
    assert (
        "* Multilingual LibriSpeech: CC BY 4.0" in card
        and "path: sift/train/open_ended/*/split*.jsonl" in card
    )
    sources = report["sources"]["train"]["open_ended"]
    assert sources == {"multilingual_librispeech_de": report["counts"]["train"]["open_ended"]["de"]}
    assert (
        "<audio " in page and "multilingual_librispeech_de" in page and "What was skipped" in page
    )
