"""OpenASQA's rows as SIFT rows: where each goes, what is left out, and what is counted."""

import json

import pytest

from data_prep import open_asqa
from data_prep.open_asqa import main, read_objects
from data_prep.released.audio_roots import AudioRoots
from sift_jax.sift.rows import list_files, read_rows

ROOT = "/data/sls"


def make(audio_id, dataset, task, *, words="", **changes):
    return {
        "instruction": "How does the speaker sound?",
        "input": words,
        "audio_id": f"{ROOT}/{audio_id}",
        "dataset": dataset,
        "task": task,
        "output": "Sad, and a little tired.",
        **changes,
    }


# with the fields and the spelling of the release
ROWS = [
    make("audioset/audio/LZq4Neh-oWU.flac", "as_strong_train", "open-ended question", words="No."),
    make("audioset/audio/LZq4Neh-oWU.flac", "as_strong_train", "classification"),
    make("voxceleb/dev/id1/xyz/00001.wav", "voxceleb", "gender_age"),
    make("voxceleb/dev/id2/abc/00001.wav", "voxceleb", "gender_age"),
    make("libritts/103/103_1241_000000_000001.wav", "libritts", "ASR"),
    make("IEMOCAP/Ses01F_impro01_F000.wav", "IEMOCAP", "open-ended question"),
    make("FMA/audio_16k/000/000002.flac", "FMA", "open-ended question"),
    make("mosei/a.wav", "mosei", "open-ended question", output=" "),
    # fields that the release calls optional
    {k: v for k, v in make("libritts/7/7.wav", "", "").items() if k not in ("dataset", "task")},
]


@pytest.fixture
def release(tmp_path):
    path = tmp_path / "openasqa.json"
    path.write_text(json.dumps(ROWS, indent=1))
    return path


def read_all(sift, split="train"):
    return {
        row["id"]: (path.relative_to(sift).parent.as_posix(), row)
        for path in list_files(sift, split)
        for row in read_rows(path)
    }


def test_rows_become_sift_rows(release, tmp_path, capsys):
    main([f"--from={release}", f"--out={tmp_path / 'sift'}", "--parts=speech,joint", "--dev=0"])
    found = read_all(tmp_path / "sift")
    assert {name: place for name, (place, _) in found.items()} == {
        "audioset_LZq4Neh-oWU": "train/open_ended/en",
        "voxceleb_00001": "train/closed_ended/acoustic_level/en",
        "voxceleb_abc_00001": "train/closed_ended/acoustic_level/en",
        "libritts_103_1241_000000_000001": "train/pretraining/asr/en",
        "iemocap_Ses01F_impro01_F000": "train/open_ended/en",
        "libritts_7": "train/open_ended/en",
    }
    assert found["iemocap_Ses01F_impro01_F000"][1] == {
        "id": "iemocap_Ses01F_impro01_F000",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"audio_path": "/path/to/iemocap_Ses01F_impro01_F000.wav"},
                    {"text": "How does the speaker sound?"},
                ],
            },
            {"role": "assistant", "content": [{"text": "Sad, and a little tired."}]},
        ],
        "task": "open_ended",
        "data_source": "iemocap_en",
    }
    said = capsys.readouterr().out
    assert "9 rows in, 6 out, 2 of other parts, skipped: no output 1" in said
    assert "voxceleb: gender_age 2; recordings: CC BY 4.0 for the lists" in said
    assert "names no licence" in said
    counts = json.loads((tmp_path / "sift" / "counts.json").read_text())
    assert counts["by dataset and task"]["libritts"] == {"ASR": 1, "open-ended question": 1}
    rejected = (tmp_path / "sift" / "rejected.jsonl").read_text()
    assert json.loads(rejected) == {"number": 7, "reason": "no output"}


def test_a_recording_is_in_one_split(release, tmp_path):
    main([f"--from={release}", f"--out={tmp_path / 'sift'}", "--dev=0.5"])
    train, dev = (set(read_all(tmp_path / "sift", split)) for split in ("train", "dev"))
    assert train and dev and not train & dev


def test_recordings_get_links_and_those_that_lack_are_counted(release, tmp_path, capsys):
    audio = tmp_path / "corpora" / "libritts" / "103" / "103_1241_000000_000001.wav"
    audio.parent.mkdir(parents=True)
    audio.write_bytes(b"RIFF")
    links = tmp_path / "links"
    flags = [f"--audio={ROOT}={tmp_path / 'corpora'}", f"--links={links}", "--dev=0"]
    main([f"--from={release}", f"--out={tmp_path / 'sift'}", *flags])
    assert [path.name for path in links.iterdir()] == ["libritts_103_1241_000000_000001.wav"]
    assert next(links.iterdir()).resolve() == audio
    # as the command that makes records looks for it
    found = AudioRoots([(None, links)])["libritts_103_1241_000000_000001"]
    assert found.resolve() == audio
    assert set(read_all(tmp_path / "sift")) == {"libritts_103_1241_000000_000001"}
    assert "no such recording 7" in capsys.readouterr().out


@pytest.mark.parametrize("chunk", [1, 7, 100_000])
def test_a_list_is_read_in_pieces(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(open_asqa, "CHUNK", chunk)
    path = tmp_path / "x.json"
    path.write_text(json.dumps(ROWS[:3], indent=1) + "\n")
    assert list(read_objects(path)) == ROWS[:3]
    path.write_text(json.dumps(ROWS)[:-40])
    with pytest.raises(ValueError, match="ends within its list; download it again"):
        list(read_objects(path))
    path.write_text('{"a": 1}')
    with pytest.raises(ValueError, match="is not a JSON list"):
        list(read_objects(path))


def test_files_have_a_limit(release, tmp_path, monkeypatch):
    monkeypatch.setattr(open_asqa, "ROWS_PER_FILE", 2)
    main([f"--from={release}", f"--out={tmp_path / 'sift'}", "--dev=0"])
    folder = tmp_path / "sift" / "train" / "open_ended" / "en"
    assert sorted(path.name for path in folder.iterdir()) == ["split0.jsonl", "split1.jsonl"]


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--parts=song"], "--parts has 'song'; the parts are speech, music, joint, audio"),
        (["--links=x"], "--links needs --audio=OLD=NEW"),
        (["--audio=/x"], "is no OLD=NEW"),
        (["--dev=1"], "--dev=1.0 is not a share below 1"),
    ],
)
def test_wrong_flags_name_the_remedy(release, tmp_path, capsys, flags, message):
    with pytest.raises(SystemExit):
        main([f"--from={release}", f"--out={tmp_path / 'sift'}", *flags])
    assert message in capsys.readouterr().err
