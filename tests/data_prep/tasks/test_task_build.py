"""python -m data_prep.tasks: corpora in, SIFT files, records and batches out; every example is
counted."""

import dataclasses
import json

import pytest
import seqio
from corpus_layouts import GERMAN, write_fleurs, write_voice
from resolve_configs import resolve
from task_layouts import write_ami, write_covost, write_cvss, write_msp_podcast, write_slurp
from tiny_run import make_data

from data_prep.engine.beam_engine import run_chunks
from data_prep.released.row_checks import find_form_faults
from data_prep.released.sift_paths import list_places
from data_prep.tasks.__main__ import main
from data_prep.tasks.build import hold
from sift_jax.data.batch_stream import BatchStream, SpeechGeometry
from sift_jax.data.defined_tasks import define_tasks
from sift_jax.data.records.record_reader import RecordReader
from sift_jax.data.tasks.seqio_tasks import use_records
from sift_jax.sift.rows import list_files, read_rows

GEOMETRY = SpeechGeometry(
    hears_units=False,
    mel_bins=80,
    window_seconds=30.0,
    is_silence_masked=True,
    front_end="whisper",
    count_frames=lambda frames: max(1, -(-frames // 8)),
)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpora")
    write_slurp(root / "slurp")
    write_covost(root / "cv")
    write_cvss(root / "cv")
    write_msp_podcast(root / "msp")
    write_ami(root / "ami")
    write_fleurs(root / "fleurs", "es_419")
    write_fleurs(root / "fleurs", "de_de", GERMAN)
    return root


@pytest.fixture(autouse=True, scope="module")
def engine():
    """Chunks one after another in this process: the engine has tests of its own, and one here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("data_prep.tasks.decode.run_chunks", run_here)
        yield


def run_here(chunks, kind, work, engine):
    for chunk in chunks:
        if not chunk.path(kind).exists():
            work(chunk)


CALLS = {
    "slurp": ["--task=intent,slots", "--corpus=slurp"],
    "cv": ["--task=translation", "--corpus=covost2", "--languages=de"],
    "msp": ["--task=emotion", "--corpus=msp_podcast"],
    "ami": ["--task=speaker_asr", "--corpus=ami"],
    "fleurs": ["--task=asr,tts,translation", "--corpus=fleurs", "--languages=de,es"],
}


def call(roots, name, out, *more):
    main([*CALLS[name], f"--root={roots / name}", f"--out={out}", "--workers=1", *more])


@pytest.fixture(scope="module")
def built(roots, tmp_path_factory):
    out = tmp_path_factory.mktemp("build") / "pt1"
    for name in CALLS:
        call(roots, name, out, "--skip_records")
    main(
        [
            "--task=speech_to_speech",
            "--corpus=cvss",
            f"--root={roots / 'cv'}",
            "--languages=de",
            f"--out={out}",
            "--workers=1",
        ]
    )
    return out


def read_sift(out):
    return {
        str(path.relative_to(out / "sift")): path.read_text()
        for path in sorted((out / "sift").rglob("*.jsonl"))
    }


def test_sift_files_of_several_corpora_side_by_side(built):
    files = list_files(built / "sift", "train", "pretraining/translation", "de")
    rows = {path: list(read_rows(path)) for path in files}
    assert {path.name: {row["data_source"] for row in found} for path, found in rows.items()} == {
        "split0.jsonl": {"covost2_de"},
        "split1.jsonl": {"fleurs_de"},
    }
    # held as the corpora hold them
    assert (
        len(list(read_rows(list_files(built / "sift", "EvalSIFT", "pretraining/asr", "es")[0])))
        == 2
    )


def test_rows_are_valid(built):
    faults = [
        fault
        for place in list_places(built / "sift")
        for row in read_rows(place.path)
        for fault in find_form_faults(row, place)
    ]
    assert not faults and len(list_places(built / "sift")) > 20


def test_everything_is_counted(built, capsys):
    accounts = {
        path.parent.parent.parent.name: json.loads(path.read_text())
        for path in built.glob("jobs/*/parts/accounts/word.json")
    }
    assert len(accounts) == 9 and all(
        account["in"] == account["out"] > 0 for account in accounts.values()
    )
    rejected = [json.loads(line) for line in (built / "rejected.jsonl").read_text().splitlines()]
    assert [(item["job"], item["stage"], item["reason"]) for item in rejected] == [
        ("emotion.msp_podcast", "read", "no agreed emotion")
    ]
    assert (built / "records" / "rejected.jsonl").read_text() == ""


def test_an_utterance_is_one_record_with_the_turns_of_all_its_tasks(built):
    reader = RecordReader(built / "records", "es")
    assert set(reader.index["train"]) == {
        f"pretraining/{task}" for task in ("asr", "tts", "translation")
    }
    record = reader.read("train", 0)
    turns = json.loads(record["turns"])
    assert len(record["audio"]) == 1 and {turn["category"] for turn in turns} == set(
        reader.index["train"]
    )
    spoken = RecordReader(built / "records", "de")
    record = spoken.read("train", spoken.index["train"]["pretraining/speech_to_speech"][0])
    assert len(record["audio"]) == 2 and len(json.loads(record["turns"])) == 1


def test_a_batch_of_stage_1(built, corpus, tokenizer):
    rates = {
        "sift.pretraining.asr.es": 0.35,
        "sift.pretraining.translation.de": 0.2,
        "sift.pretraining.slots.*": 0.025,
    }
    data = make_data(
        corpus,
        records=str(built / "records"),
        rates=rates,
        tokens=1200,
        targets=400,
        clips=4,
        clip_seconds=(30.0,),
    )
    stream = BatchStream(data, GEOMETRY, split="train", is_endless=True)
    shape, batch = next(iter(stream.batches()))
    assert (shape.rows, shape.tokens) == (2, 1200) and batch["weight_bm"].sum() > 0
    use_records(built / "records", tokenizer=corpus.tokenizer, questions_per_record=4)
    task = seqio.get_mixture_or_task("sift.pretraining.asr.es")
    examples = list(task.get_dataset(None, split="train", shuffle=False).as_numpy_iterator())
    learnt = {tokenizer.decode(example["tokens"][example["is_target"] > 0]) for example in examples}
    assert len(examples) == 2 and any("Rain falls softly" in text for text in learnt)


@pytest.mark.parametrize("name", ["stage1", "small/stage1", "laptop/stage1"])
def test_the_mixtures_of_the_stages_find_their_tasks(built, corpus, tokenizer, name):
    arguments, _ = resolve(name)
    data = dataclasses.replace(arguments["data"], records=str(built / "records"))
    rates = {task: rate for task, rate, _ in define_tasks(data, tokenizer, (), "train").tasks}
    shares = {}
    for task, rate in rates.items():
        category = task.split(".")[2]
        shares[category] = shares.get(category, 0) + rate
    most = {"asr": 0.35}
    if name != "laptop/stage1":
        most |= {"translation": 0.2, "intent": 0.025, "slots": 0.025}
    if name == "stage1":
        most |= {"emotion": 0.05, "speaker_asr": 0.05}
    assert shares == pytest.approx(most)


def test_the_order_of_the_commands_and_a_stop_between_do_not_matter(
    built, roots, tmp_path, monkeypatch
):
    out = tmp_path / "again"
    main(
        [
            "--task=speech_to_speech",
            "--corpus=cvss",
            f"--root={roots / 'cv'}",
            "--languages=de",
            f"--out={out}",
            "--workers=1",
            "--skip_records",
        ]
    )
    with monkeypatch.context() as patch:

        def stop(*_, **__):
            raise OSError("stopped")

        patch.setattr("data_prep.tasks.decode.read_speech", stop)
        with pytest.raises(SystemExit, match="stopped"):
            call(roots, "fleurs", out, "--skip_records")
    assert not list((out / "sift" / "train").rglob("asr"))
    for name in reversed(CALLS):
        call(roots, name, out, "--skip_records")
    assert read_sift(out) == read_sift(built)


def test_fewer_examples_are_a_part_of_more(roots, tmp_path, capsys):
    found = {}
    for size in (2, 5):
        call(
            roots,
            "slurp",
            tmp_path / str(size),
            f"--train={size}",
            "--dev=0",
            "--evaluation=1",
            "--skip_records",
        )
        files = list_files(tmp_path / str(size) / "sift", "train", "pretraining/slots", "en")
        found[size] = {row["id"] for path in files for row in read_rows(path)}
    assert len(found[2]) == 2 and len(found[5]) == 5 and found[2] < found[5]
    assert (
        not list_files(tmp_path / "5" / "sift", "dev")
        and "5 more than asked for" in capsys.readouterr().out
    )
    # asked for in other words, the job is made again
    call(roots, "slurp", tmp_path / "2", "--train=5", "--dev=0", "--evaluation=1", "--skip_records")
    assert read_sift(tmp_path / "2") == read_sift(tmp_path / "5")


def test_audio_that_cannot_be_used_and_words_that_are_missing_are_set_aside(tmp_path):
    for place, seconds in enumerate((1.0, 0.2, 2.5)):
        write_voice(tmp_path / f"{place}.wav", place, seconds=seconds)
    lines = [
        {"audio": f"{place}.wav", "emotion": emotion}
        for place, emotion in enumerate(("sad", "sad", "angry"))
    ]
    lines.append({"audio": "2.wav", "id": "odd", "emotion": "puzzled"})
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = tmp_path / "out"
    flags = [
        "--corpus=manifest",
        f"--manifest={tmp_path / 'mine.jsonl'}",
        "--languages=en",
        f"--out={out}",
        "--workers=1",
        "--skip_records",
    ]
    main(["--task=emotion", *flags])
    rejected = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert [(item["stage"], item["reason"], item["id"]) for item in rejected] == [
        ("decode", "too short", "mine_en_1"),
        ("word", "unknown emotion", "mine_en_odd"),
    ]
    # what another task has decoded is not decoded again, but its limits hold
    main(["--task=emotion", *flags, "--max_seconds=2"])
    rejected = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert [item["reason"] for item in rejected] == ["too short", "too long", "too long"]


def test_wordings_of_a_file_stand_beside_the_packages_own(tmp_path):
    lines = []
    for place in range(12):
        write_voice(tmp_path / f"{place}.wav", place)
        lines.append({"audio": f"{place}.wav", "text": "Rain falls."})
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    own = [f"Put recording number {number} into writing." for number in range(40)]
    (tmp_path / "more.json").write_text(json.dumps({"en": {"asr": own}}))
    flags = [
        "--task=asr",
        "--corpus=manifest",
        f"--manifest={tmp_path / 'mine.jsonl'}",
        "--languages=en",
        f"--out={tmp_path / 'out'}",
        "--workers=1",
        "--skip_records",
        "--dev=0",
        "--evaluation=0",
    ]
    main([*flags, f"--wordings={tmp_path / 'more.json'}"])
    asked = "".join(read_sift(tmp_path / "out").values())
    assert sum(text in asked for text in own) > 4
    main([*flags, "--wordings=1"])
    assert (
        asked != (again := "".join(read_sift(tmp_path / "out").values()))
        and "Put recording" not in again
    )
    (tmp_path / "more.json").write_text('{"en": {"asr": ["Dance {now}."]}}')
    with pytest.raises(SystemExit, match="'Dance {now}.': its slots are now; fix or delete it"):
        main([*flags, f"--wordings={tmp_path / 'more.json'}"])
    with pytest.raises(SystemExit, match="give a number, or a file"):
        main([*flags, f"--wordings={tmp_path / 'none.json'}"])


@pytest.mark.slow
def test_several_processes_make_the_same(built, roots, tmp_path, monkeypatch):
    monkeypatch.setattr("data_prep.tasks.decode.run_chunks", run_chunks)
    main(
        [
            *CALLS["fleurs"],
            f"--root={roots / 'fleurs'}",
            f"--out={tmp_path / 'out'}",
            "--workers=2",
            "--skip_records",
        ]
    )
    assert (
        read_sift(tmp_path / "out").items()
        <= {
            **read_sift(built),
            **{
                name.replace("split1", "split0"): text
                for name, text in read_sift(built).items()
                if "/translation/de/split1" in name
            },
        }.items()
    )
    found = {path.name: path.read_bytes() for path in (tmp_path / "out" / "audio").rglob("*.flac")}
    assert found == {
        path.name: path.read_bytes() for path in (built / "audio").rglob("fleurs_*.flac")
    }


BAD = [
    (["--task=asr", "--corpus=slurp"], "--corpus=slurp has no asr; choose of librispeech"),
    (["--task=sing", "--corpus=slurp"], "no task 'sing'"),
    (["--task=intent", "--corpus=slurp", "--languages=de"], "'de' is not spoken here"),
    (
        ["--task=intent", "--corpus=slurp", "--manifest=a.jsonl"],
        "--manifest goes with --corpus=manifest",
    ),
    (["--task=asr", "--corpus=manifest", "--manifest=mls.jsonl"], "is the name of a corpus"),
    (["--task=asr", "--corpus=mls", "--train=0"], "--train=0 is too small"),
    (["--task=asr", "--corpus=mls", "--wordings=0"], "0 is too small"),
    (["--task=asr", "--corpus=mls", "--min_seconds=40"], "leave nothing"),
]


@pytest.mark.parametrize("flags, message", BAD)
def test_a_wrong_flag_is_one_line(tmp_path, capsys, flags, message):
    with pytest.raises(SystemExit) as stop:
        main([*flags, f"--out={tmp_path / 'out'}"])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and message in said and len(said.splitlines()) == 1


def test_two_commands_do_not_write_to_one_folder(roots, tmp_path):
    with (
        hold(tmp_path / "out"),
        pytest.raises(SystemExit, match="another command writes to .*; wait for its end"),
    ):
        call(roots, "slurp", tmp_path / "out")
    call(roots, "slurp", tmp_path / "out", "--skip_records")


def test_a_folder_of_something_else_is_left_alone(roots, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SystemExit, match="is not empty and holds no tasks"):
        call(roots, "slurp", tmp_path)
