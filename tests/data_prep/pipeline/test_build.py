"""A small build: the same files from any number of workers, resumed where it was, refused in one
line."""

import hashlib
import json
from pathlib import Path

import pytest

from data_prep.build import main, parse_arguments
from data_prep.pipeline.build_stages import BuildError, build
from data_prep.pipeline.statistics import format_report, make_report
from sift_jax.sift.labels import ACOUSTIC_LABELS

STAGES = ("corpus", "measure", "metadata")


def make_config(out: Path, **changes):
    flags = {
        "languages": "en,fr",
        "train": 8,
        "dev": 1,
        "evaluation": 2,
        "workers": 1,
        "seed": 4,
        **changes,
    }
    return parse_arguments(
        [f"--out={out}", *(f"--{name}={value}" for name, value in flags.items())]
    )


def hash_files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("data")
    build(make_config(out), STAGES)
    return out


def read_rows(out: Path) -> list[dict]:
    return [
        json.loads(line)
        for line in (out / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    ]


def test_metadata_has_the_promised_fields(built):
    rows = read_rows(built)
    assert len(rows) == 22
    for row in rows:
        assert (built / "audio" / f"{row['id']}.flac").is_file()
        assert set(row) == {
            "id",
            "language",
            "split",
            "speaker",
            "duration",
            "transcript",
            "topic",
            "phonemes",
            "is_question",
            "gender",
            "age_category",
            "accent",
            "values",
            "labels",
            "words",
            "truth",
            "sentence_length",
            "background",
            "bounds",
            "in_doubt",
            "evenness",
            "fields",
            "collection",
        }
        # Near an edge there is a value, and no class.
        assert set(row["values"]) == set(row["truth"]) >= set(row["labels"])
        assert all(label in ACOUSTIC_LABELS[key] for key, label in row["labels"].items())
        assert set(row["words"][0]) == {
            "word",
            "position",
            "start",
            "end",
            "average_pitch",
            "pitch_variation",
            "average_intensity",
        }


def test_workers_do_not_change_a_byte(built, tmp_path):
    build(make_config(tmp_path / "two", workers=2), STAGES)
    assert hash_files(tmp_path / "two") == hash_files(built)


@pytest.mark.slow
def test_workers_do_not_change_a_whole_build(tmp_path):
    for workers in (1, 2):
        sizes = {"train": 12, "dev": 2, "evaluation": 4, "evaluation_rows": 4, "workers": workers}
        build(make_config(tmp_path / f"with{workers}", **sizes))
    first, second = (hash_files(tmp_path / f"with{workers}") for workers in (1, 2))
    # Of records the digests are compared: TensorFlow writes the fields of an example in any order.
    shown = {name for name in first if "array_record" not in name}
    assert (
        first.keys() == second.keys()
        and {"records/sift_en/digest", "records/sift_fr/index.json"} < shown
    )
    assert {name: first[name] for name in shown} == {name: second[name] for name in shown}


def test_second_call_does_nothing_and_a_lost_chunk_is_made_again(built):
    before = hash_files(built)
    times = {path: path.stat().st_mtime_ns for path in (built / "audio").iterdir()}
    build(make_config(built), STAGES)
    assert {path: path.stat().st_mtime_ns for path in (built / "audio").iterdir()} == times
    # As a kill in the middle leaves it: the stage unfinished, one chunk missing.
    marks = json.loads((built / "stages.json").read_text())
    marks["corpus"]["is_done"] = False
    (built / "stages.json").write_text(json.dumps(marks))
    (built / "parts" / "utterances" / "fr_train_000000.jsonl").unlink()
    build(make_config(built), STAGES)
    assert hash_files(built) == before
    made_again = {
        path.name[9:11] for path, time in times.items() if path.stat().st_mtime_ns != time
    }
    assert made_again == {"fr"}


def test_other_knobs_replace_what_is_stale(tmp_path):
    build(make_config(tmp_path, languages="it"), ("corpus",))
    first = {path.name for path in (tmp_path / "audio").iterdir()}
    build(make_config(tmp_path, languages="es"), ("corpus",))
    assert first.isdisjoint(path.name for path in (tmp_path / "audio").iterdir())


def test_knobs_that_are_taken_back_leave_nothing_half_removed(tmp_path):
    build(make_config(tmp_path, languages="it"), STAGES)
    before = hash_files(tmp_path)
    # As a build with other knobs that was killed in its first stage.
    build(make_config(tmp_path, languages="es"), ("corpus",))
    build(make_config(tmp_path, languages="it"), STAGES)
    assert hash_files(tmp_path) == before


def test_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BuildError, match="not empty.*choose another --out"):
        build(make_config(tmp_path), STAGES)


@pytest.mark.parametrize("marks", ['{"corpus": {"fing', '["corpus"]', '{"corpus": true}'])
def test_broken_marks_and_ctrl_c_are_one_line(tmp_path, monkeypatch, marks):
    (tmp_path / "stages.json").write_text(marks)
    with pytest.raises(SystemExit, match="stages.json is broken.*write {} into it") as stop:
        main([f"--out={tmp_path}", "--workers=1"])
    assert stop.value.code == 2 and "\n" not in str(stop.value)

    def interrupt(config):
        raise KeyboardInterrupt

    monkeypatch.setattr("data_prep.pipeline.build_stages.build", interrupt)
    with pytest.raises(SystemExit, match="^stopped; the same command resumes") as stop:
        main([f"--out={tmp_path}", "--workers=1"])
    assert stop.value.code == 130


def test_too_small_a_build_is_refused_with_its_remedy(tmp_path):
    with pytest.raises(BuildError, match="raise --train"):
        build(make_config(tmp_path, languages="de", train=1, dev=0, evaluation=1), STAGES)


@pytest.mark.parametrize(
    "flag, message",
    [
        ("--languages=en,tlh", "'tlh' is not spoken here; choose of en,de,fr,it,es"),
        ("--train=0", "--train=0 is too small; give at least 1"),
        ("--evaluation_rows=1", "--evaluation_rows=1 is too small; give at least 2"),
        ("--corpus=mars", "argument --corpus: 'mars' is not one of embedded, mls,"),
        ("--tarin=5", "error: unknown flag --tarin; did you mean --train?"),
    ],
)
def test_bad_flags_are_one_line(flag, message, capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--out=x", flag])
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_report_counts_what_is_there(built):
    rows = read_rows(built)
    counts = {"train": {"open_ended": {"en": 5}}}
    report = make_report(rows, counts, ACOUSTIC_LABELS)
    assert sum(report["labels"]["average_intensity"]["en"].values()) == 11
    assert report["utterances"]["train"] == {"en": 8, "fr": 8}
    assert sum(report["durations"]["fr"]["histogram"]["counts"]) == 11
    assert report["rank_correlation"]["average_intensity"]["rho"] > 0.9
    assert set(report["speakers"]["train"]).isdisjoint(report["speakers"]["EvalSIFT"])
    assert report["examples"]["en"][0] in {row["id"] for row in rows if row["split"] == "EvalSIFT"}
    assert "open_ended" in format_report(report)
    doubtful = [{**row, "in_doubt": ["pitch_variation"]} for row in rows if row["language"] == "fr"]
    report = make_report(doubtful, counts, ACOUSTIC_LABELS)
    assert report["in_doubt"] == {"fr": {"pitch_variation": 11}}
    assert "fr     11  without a class" in format_report(report)
