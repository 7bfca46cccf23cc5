"""python -m data_prep.records: SIFT files and audio in, records and a count out; each wrong input
is one line."""

import json
import shutil

import pytest

from data_prep.records import main
from sift_jax.data.records.record_reader import RecordReader, decode_clip


def test_records_are_written_and_counted(corpus, tmp_path, capsys):
    audio, out = tmp_path / "audio", tmp_path / "records"
    shutil.copytree(corpus.audio, audio / "anywhere" / "below")
    lost = sorted(audio.rglob("train_en_*"))[0]
    lost.unlink()
    main(
        [
            f"--sift={corpus.sift}",
            f"--audio={audio}",
            f"--out={out}",
            "--compression=opus",
            "--workers=1",
        ]
    )
    clip = bytes(RecordReader(out, "de").read("train", 0)["audio"][0])
    assert clip.startswith(b"OggS") and len(decode_clip(clip)) >= 8_000
    said = capsys.readouterr().out
    rejected = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    # the lost utterance's rows in five categories, and the comparisons in which it takes part
    assert [item["rows"] for item in rejected] == [2, 1, 1, 1, 1, 1, 1]
    assert all(lost.stem in item["id"] for item in rejected)
    assert "8 rows skipped" in said
    assert "embedded_en                                77 rows            69 joined" in said
    assert "de  train 12  dev 6  EvalSIFT 4" in said and "en  train 9" in said


MESSAGES = [
    ("sift", "no SIFT files under"),
    ("audio", "is not a folder"),
    ("out", "already"),
    ("languages", "'absent' is not one of en,"),
]


@pytest.mark.parametrize("case, message", MESSAGES)
def test_wrong_folders_are_one_line(corpus, tmp_path, case, message):
    flags = {"sift": corpus.sift, "audio": corpus.audio, "out": tmp_path / "records"}
    flags[case] = {"out": corpus.records, "languages": "de,absent"}.get(case, tmp_path / "absent")
    with pytest.raises(SystemExit) as stop:
        main([f"--{name}={value}" for name, value in flags.items()])
    assert stop.value.code == 2
    assert message in str(stop.value) and len(str(stop.value).splitlines()) == 1
