"""What a build may be told beside its corpus: word times, experts, edges, genders, compression."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from corpus_layouts import write_common_voice, write_librispeech, write_mls

from data_prep.alignment import word_time_stage
from data_prep.alignment.word_time import AlignmentError, WordTime
from data_prep.build import main, parse_arguments
from data_prep.pipeline.build_stages import build
from sift_jax.data.records.record_reader import RecordReader, decode_clip
from sift_jax.sift.labels import ACOUSTIC_LABELS, LANGUAGE_NAMES, find_labels
from sift_jax.sift.rows import audio_ids, list_files, read_rows

SIZES = (
    "--dev=4",
    "--evaluation=4",
    "--evaluation_rows=6",
    "--rows_per_utterance=4",
    "--workers=1",
)
MEASURED = ("corpus", "words", "measure", "metadata")


def read_json_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_account(out: Path, stage: str) -> dict:
    return json.loads((out / "parts" / "accounts" / f"{stage}.json").read_text(encoding="utf-8"))


def list_transcripts(root: Path) -> dict[str, list[str]]:
    lines = (line for path in root.rglob("*.trans.txt") for line in path.read_text().splitlines())
    return {line.split()[0]: line.split()[1:] for line in lines}


def write_words(root: Path, folder: Path, form: str) -> None:
    """A tenth of a second of silence at either end, the words evenly between."""
    folder.mkdir()
    lines = {}
    for identity, words in list_transcripts(root).items():
        edges = [round(edge, 3) for edge in np.linspace(0.1, 0.9, len(words) + 1)]
        lines[identity] = list(zip(words, edges[:-1], edges[1:], strict=True))
    if form == "ctm":
        rows = [
            f"{name} 1 {a} {b - a:.3f} {word}"
            for name, words in lines.items()
            for word, a, b in words
        ]
        (folder / "words.ctm").write_text("\n".join(rows))
    elif form == "TextGrid":
        for name, words in lines.items():
            intervals = "\n".join(f'{a}\n{b}\n"{word.lower()}"' for word, a, b in words)
            (folder / f"{name}.TextGrid").write_text(
                f'"ooTextFile"\n"TextGrid"\n0\n1\n<exists>\n1\n"IntervalTier"\n"words"\n0\n1\n{len(words)}\n{intervals}\n'
            )
    else:
        for name, words in lines.items():
            ends = ",".join(str(b) for _, _, b in words)
            with (folder / f"{name.rpartition('-')[0]}.alignment.txt").open("a") as out:
                out.write(f'{name} ",{",".join(word for word, _, _ in words)}," "0.1,{ends},1.0"\n')


@pytest.fixture(scope="module")
def librispeech(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("librispeech")
    write_librispeech(root)
    return root


def make_flags(root: Path, out: Path, *more: str) -> list[str]:
    return ["--corpus=librispeech", f"--root={root}", f"--out={out}", *SIZES, *more]


@pytest.mark.parametrize("form", ["ctm", "TextGrid", "alignment.txt"])
def test_word_times_of_every_kind_reach_the_metadata(librispeech, tmp_path, form):
    write_words(librispeech, tmp_path / "words", form)
    build(
        parse_arguments(make_flags(librispeech, tmp_path / "out", f"--words={tmp_path / 'words'}")),
        MEASURED,
    )
    rows, said = read_json_lines(tmp_path / "out" / "metadata.jsonl"), list_transcripts(librispeech)
    assert rows and read_account(tmp_path / "out", "words")["rejected"] == {}
    for row in rows:
        assert [word["word"] for word in row["words"]] == [word.lower() for word in said[row["id"]]]
        assert row["words"][0]["start"] == 0.1 and row["words"][-1]["end"] == pytest.approx(0.9)
        assert all(word["average_intensity"] is not None for word in row["words"])


def test_what_has_no_word_times_is_asked_about_all_else(librispeech, tmp_path):
    write_words(librispeech, tmp_path / "words", "alignment.txt")
    lists = sorted((tmp_path / "words").iterdir())
    lines = lists[0].read_text().splitlines()
    lost, wrong, broken, late = (line.split()[0] for line in lines)
    lists[0].write_text(
        "\n".join(
            [
                lines[1].replace(lines[1].split(",")[1], "OTHER"),
                lines[2].replace("0.1,", "x,"),
                lines[3].replace('1.0"', '9.0"').replace("0.9,", "8.0,"),
                'someone-else ",A," "0.1,0.5,1.0"',
            ]
        )
    )
    (tmp_path / "words" / "notes.ctm").write_bytes(b"\xff\xfe not a ctm\n")
    out = tmp_path / "out"
    flags = parse_arguments(make_flags(librispeech, out, f"--words={tmp_path / 'words'}"))
    build(flags, (*MEASURED, "instructions"))
    words = read_account(out, "words")
    assert words["rejected"] == {"no word times": 2, "other words": 1, "times beyond the end": 1}
    assert words["in"] == words["out"] + 4 == read_account(out, "decode")["out"]
    assert read_account(out, "word_times")["rejected"] == {"broken word times": 2}
    accounts = out / "parts" / "accounts"
    aside = {row["id"]: row["reason"] for row in read_json_lines(accounts / "words_rejected.jsonl")}
    assert aside == {
        lost: "no word times",
        broken: "no word times",
        wrong: "other words",
        late: "times beyond the end",
    }
    assert {row["file"] for row in read_json_lines(accounts / "word_times_rejected.jsonl")} == {
        str(lists[0]),
        str(tmp_path / "words" / "notes.ctm"),
    }
    asked = {
        category: {
            row["id"]
            for path in list_files(out / "sift", "train", category, "en")
            for row in read_rows(path)
        }
        for category in ("closed_ended/word_align", "closed_ended/acoustic_level")
    }
    assert asked["closed_ended/word_align"] and not asked["closed_ended/word_align"] & aside.keys()
    assert asked["closed_ended/acoustic_level"] & aside.keys()
    before = (out / "metadata.jsonl").read_bytes()
    (tmp_path / "words" / "notes.ctm").unlink()
    lists[0].write_text("\n".join(lines))
    build(parse_arguments(make_flags(librispeech, out, f"--words={tmp_path / 'words'}")), MEASURED)
    assert (
        read_account(out, "words")["rejected"] == {}
        and (out / "metadata.jsonl").read_bytes() != before
    )


class EvenAligner:
    def align(self, wave, transcript, language=None):
        words = transcript.split()
        if words[0] == "rain":
            raise AlignmentError("it is raining; wait")
        edges = np.linspace(0, len(wave) / 16_000, len(words) + 1)
        return [
            WordTime(word=word, start=a, end=b, score=1.0)
            for word, a, b in zip(words, edges[:-1], edges[1:], strict=True)
        ]


def test_an_aligner_is_a_stage_of_the_build(tmp_path, monkeypatch):
    root = tmp_path / "mls"
    write_mls(root, "english", per_speaker=2)
    write_mls(root, "german", per_speaker=2)
    monkeypatch.setattr(word_time_stage, "make_aligner", lambda name, checkpoint: EvenAligner())
    word_time_stage._load_aligner.cache_clear()
    out = tmp_path / "out"
    build(
        parse_arguments(
            [
                "--corpus=mls",
                f"--root={root}",
                "--languages=en,de",
                f"--out={out}",
                *SIZES,
                "--aligner=sphinx",
            ]
        ),
        MEASURED,
    )
    word_time_stage._load_aligner.cache_clear()
    rows = read_json_lines(out / "metadata.jsonl")
    aside = {
        row["id"]: row
        for row in read_json_lines(out / "parts" / "accounts" / "words_rejected.jsonl")
    }
    for row in rows:
        assert bool(row["words"]) == (row["id"] not in aside) == (row["language"] == "en")
    assert all(
        "is for English; take --aligner=whisper or ctc for de" in row["detail"]
        for row in aside.values()
    )


@pytest.mark.extras
def test_sphinx_finds_the_words_of_a_build(tmp_path):
    """The embedded corpus without its times, through the other door: they are found again."""
    pytest.importorskip("pocketsphinx")
    made, out = tmp_path / "made", tmp_path / "out"
    build(
        parse_arguments(
            [
                f"--out={made}",
                "--languages=en",
                "--train=12",
                "--dev=0",
                "--evaluation=2",
                "--workers=1",
            ]
        ),
        ("corpus",),
    )
    truth = {row["id"]: row for row in read_json_lines(made / "utterances.jsonl")}
    (tmp_path / "list.jsonl").write_text(
        "".join(
            json.dumps({**row, "audio": f"audio/{name}.flac", "words": None}) + "\n"
            for name, row in truth.items()
        )
    )
    build(
        parse_arguments(
            [
                "--corpus=manifest",
                f"--manifest={tmp_path}/list.jsonl",
                f"--root={made}",
                "--dev=0",
                "--languages=en",
                f"--out={out}",
                "--workers=1",
                "--aligner=sphinx",
            ]
        ),
        MEASURED,
    )
    account = read_account(out, "words")
    assert account["out"] >= 0.7 * account["in"]
    offsets = [
        abs(word["start"] - true["start"])
        for row in read_json_lines(out / "metadata.jsonl")
        if row["words"]
        for word, true in zip(row["words"], truth[row["id"]]["words"], strict=True)
    ]
    assert len(offsets) > 30 and np.median(offsets) < 0.06


def test_genders_are_filled_by_pitch_and_counted(tmp_path):
    write_mls(tmp_path, per_speaker=4)
    info = tmp_path / "mls_german" / "metainfo.txt"
    # Speaker 11 keeps the corpus's word, whatever the pitch.
    info.write_text(
        "\n".join(line for line in info.read_text().splitlines() if line.split()[0] == "11") + "\n"
    )
    flags = [
        "--corpus=mls",
        f"--root={tmp_path}",
        "--languages=de",
        f"--out={tmp_path / 'out'}",
        *SIZES,
    ]
    build(parse_arguments(flags), MEASURED)
    own = {row["id"]: row for row in read_json_lines(tmp_path / "out" / "metadata.jsonl")}
    assert {row["gender"] for row in own.values()} == {"male", None}
    assert not (tmp_path / "out" / "parts" / "accounts" / "genders.json").exists()
    build(parse_arguments([*flags, "--genders=pitch"]), MEASURED)
    filled = read_json_lines(tmp_path / "out" / "metadata.jsonl")
    account = read_account(tmp_path / "out", "genders")
    missing = [row for row in filled if own[row["id"]]["gender"] is None]
    assert account["in"] == len(missing) and account["out"] == sum(
        row["gender"] is not None for row in missing
    )
    assert (
        account["out"] > 0.7 * account["in"]
        and account["out"] + sum(account["rejected"].values()) == account["in"]
    )
    for row in missing:
        assert row["gender"] in (None, "male" if int(row["speaker"]) % 2 else "female")
    labelled = [row for row in filled if row["gender"] == "female"]
    assert labelled and all("average_pitch" in row["labels"] for row in labelled)


def test_edges_of_another_build_and_of_data_speech(tmp_path):
    write_mls(tmp_path, per_speaker=4)
    flags = ["--corpus=mls", f"--root={tmp_path}", "--languages=de", *SIZES]
    build(parse_arguments([*flags, f"--out={tmp_path / 'first'}"]), MEASURED)
    bins = json.loads((tmp_path / "first" / "bins.json").read_text())
    bins["average_intensity"]["all"]["edges"] = [-5.0, -1.0]
    del bins["average_pitch"]["female"]
    (tmp_path / "mine.json").write_text(json.dumps(bins))
    out = tmp_path / "second"
    build(parse_arguments([*flags, f"--out={out}", f"--edges={tmp_path / 'mine.json'}"]), MEASURED)
    rows = read_json_lines(out / "metadata.jsonl")
    assert {row["labels"]["average_intensity"] for row in rows} == {"softly"}
    assert {("average_pitch" in row["labels"]) for row in rows if row["gender"] == "female"} == {
        False
    }
    assert {("average_pitch" in row["labels"]) for row in rows if row["gender"] == "male"} == {True}
    assert json.loads((out / "bins.json").read_text()) == bins
    bins["average_intensity"]["all"]["edges"] = [-90.0, -80.0]
    (tmp_path / "mine.json").write_text(json.dumps(bins))
    build(parse_arguments([*flags, f"--out={out}", f"--edges={tmp_path / 'mine.json'}"]), MEASURED)
    assert {
        row["labels"]["average_intensity"] for row in read_json_lines(out / "metadata.jsonl")
    } == {"loudly"}
    build(
        parse_arguments([*flags, f"--out={out}", "--claims=paper", "--edges=data_speech"]), MEASURED
    )
    assert (
        json.loads((out / "bins.json").read_text())["noise_level"]["all"]["method"] == "data_speech"
    )


def test_chosen_experts_reach_labels_questions_and_records(tmp_path):
    write_mls(tmp_path, per_speaker=4, suffix=".opus")
    out = tmp_path / "out"
    main(
        [
            "--corpus=mls",
            f"--root={tmp_path}",
            "--languages=de",
            f"--out={out}",
            *SIZES,
            "--compression=opus",
            "--experts=distortion_level=energy,reverberation=none",
            "--claims=paper",
        ]
    )
    rows = read_json_lines(out / "metadata.jsonl")
    for row in rows:
        assert (
            "reverberation" not in row["values"]
            and row["labels"]["distortion_level"] in ACOUSTIC_LABELS["distortion_level"]
        )
    assert "distortion_level" in json.loads((out / "bins.json").read_text())
    (path,) = list_files(out / "sift", "train", "closed_ended/acoustic_level", "de")
    named = {
        find_labels(row["messages"][1]["content"][0]["text"], "de")[0] for row in read_rows(path)
    }
    assert {label for key, label in named if key == "distortion_level"} <= {
        row["labels"]["distortion_level"] for row in rows
    } and "distortion_level" in dict(named)
    lengths = {row["id"]: row["duration"] for row in rows}
    reader = RecordReader(out / "records", "de")
    record = reader.read("train", 0)
    clip = bytes(record["audio"][0])
    assert (
        clip.startswith(b"OggS")
        and len(decode_clip(clip)) / 16_000 == lengths[record["audio_ids"][0].decode()]
    )


def test_further_languages_are_there_to_be_told_from_the_others(tmp_path):
    for place, language in enumerate(("de", "ca", "zh-CN")):
        write_common_voice(tmp_path, language, first=1_000 * place, per_speaker=4)
    flags = ["--corpus=common_voice", f"--root={tmp_path}", "--languages=de", *SIZES]
    build(parse_arguments([*flags, f"--out={tmp_path / 'alone'}"]), MEASURED)
    out = tmp_path / "out"
    build(
        parse_arguments([*flags, f"--out={out}", "--locales=ca,zh-CN", "--locale_utterances=10"]),
        (*MEASURED, "instructions"),
    )
    rows = {row["id"]: row for row in read_json_lines(out / "metadata.jsonl")}
    counts = Counter(
        (row["language"], row["split"]) for row in rows.values() if row["language"] != "de"
    )
    assert counts["ca", "train"] == counts["zh-CN", "train"] == 8
    assert counts["ca", "dev"] == counts["ca", "EvalSIFT"] == 1
    assert (out / "bins.json").read_bytes() == (tmp_path / "alone" / "bins.json").read_bytes()
    assert {path.name for path in (out / "sift").glob("*/*/*/*") if path.is_dir()} == {"de"}
    asked: dict[str, set[str]] = {}
    for split in ("train", "EvalSIFT"):
        for path in list_files(out / "sift", split, "closed_ended/content_level", "de"):
            for row in read_rows(path):
                for key, label in find_labels(row["messages"][1]["content"][0]["text"], "de"):
                    if key == "language":
                        assert label == LANGUAGE_NAMES[rows[row["id"]]["language"]]
                        asked.setdefault(split, set()).add(label)
    assert (
        asked["train"] == {"German", "Catalan", "Chinese"} and asked["EvalSIFT"] <= asked["train"]
    )
    for category in ("closed_ended/acoustic_level", "closed_ended/comparison", "open_ended"):
        for path in list_files(out / "sift", "train", category, "de"):
            assert all(
                rows[name]["language"] == "de" for row in read_rows(path) for name in audio_ids(row)
            )


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--locales=ca"], "--locales is for --corpus=common_voice and manifest"),
        (["--words=x", "--aligner=sphinx"], "two sources of word times"),
        (["--words=gone.ctm"], "gone.ctm: cannot be read"),
        (["--tier=words"], "--tier names one of the TextGrids' tiers"),
        (["--aligner=ctc"], "--aligner=ctc needs --checkpoint"),
        (["--checkpoint=x"], "--checkpoint is for --aligner=ctc and whisper"),
        (["--experts=pitch=crepe"], "no expert 'crepe' for 'pitch'"),
        (["--edges=gone.json"], "gone.json: cannot be read"),
        (["--genders=pitch", "--experts=average_pitch=none"], "--genders=pitch needs the pitch"),
        (["--genders=network"], "--genders=network and --gender_model"),
        (["--genders=network", "--gender_model=gone"], "--gender_model=gone is not a folder"),
        (["--gender_model=x"], "go together; give both or neither"),
        (["--compression=mp3"], "argument --compression: 'mp3' is not one of flac, opus"),
    ],
)
def test_choices_that_cannot_be(flags, message, capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--out=x", "--corpus=librispeech", *flags])
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_unknown_locales_are_named(capsys):
    assert (
        len(parse_arguments(["--out=x", "--corpus=common_voice", "--locales=all"]).reading.locales)
        == 15
    )
    with pytest.raises(SystemExit):
        parse_arguments(["--out=x", "--corpus=common_voice", "--locales=ca,tlh"])
    assert "'tlh' has no name here" in capsys.readouterr().err


def test_the_embedded_corpus_has_its_word_times(capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--out=x", "--aligner=sphinx"])
    assert "has its word times" in capsys.readouterr().err
