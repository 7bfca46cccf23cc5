"""Few speakers, few sentences, or splits that a manifest states: training has what it needs, and
nothing is silent."""

import json
from collections import Counter

import pytest
from corpus_layouts import write_voice

from data_prep import check_splits
from data_prep.build import main, parse_arguments
from data_prep.corpora.splits import (
    DEV,
    EVALUATION,
    SPLITS,
    TRAIN,
    Candidate,
    assign_splits,
    find_leaks,
)
from data_prep.engine.chunks import BuildError
from data_prep.pipeline.build_stages import build

SIZES = {TRAIN: None, DEV: 500, EVALUATION: 500}


def place(candidates, sizes=SIZES, **choices):
    placed = assign_splits(candidates, sizes, seed=0, **choices)
    assert placed.keys() == {candidate.id for candidate in candidates}
    return Counter(placed.values()), placed


def list_leaks(candidates, placed):
    return find_leaks(
        {
            "id": c.id,
            "language": c.language,
            "speaker": c.speaker,
            "transcript": c.sentence,
            "split": placed[c.id],
        }
        for c in candidates
        if placed[c.id] in SPLITS
    )


def make_parallel(speakers: int, sentences: int, held=None) -> list[Candidate]:
    """Everybody reads every sentence."""
    return [
        Candidate(id=f"p{p}_{s}", language="de", speaker=f"p{p}", sentence=f"s{s}", held=held)
        for p in range(speakers)
        for s in range(sentences)
    ]


@pytest.mark.parametrize("name", [f"big{number}" for number in range(8)])
def test_who_has_nine_tenths_of_a_language_is_trained_on(name):
    """Whatever the draw: the name decides it."""
    big = [
        Candidate(id=f"{name}_{n}", language="de", speaker=name, sentence=f"b{n}", held=None)
        for n in range(90)
    ]
    small = [
        Candidate(id=f"q{n}", language="de", speaker=f"q{n // 2}", sentence=f"q{n}", held=None)
        for n in range(10)
    ]
    french = [
        Candidate(id=f"f_{n}", language="fr", speaker=name, sentence=f"f{n}", held=None)
        for n in range(40)
    ]
    counts, placed = place([*big, *small])
    assert {placed[c.id] for c in big} == {TRAIN} and counts == {TRAIN: 92, DEV: 4, EVALUATION: 4}
    _, placed = place([*big, *small, *french])
    assert {placed[c.id] for c in (*big, *french)} == {TRAIN}
    # Nor does a reader of two languages who is small in the first and all of the second leave the
    # second empty.
    other = [
        Candidate(id=f"i_{n}", language="it", speaker="q1", sentence=f"i{n}", held=None)
        for n in range(9)
    ]
    _, placed = place([*big, *small, *other])
    assert {placed[c.id] for c in other} == {TRAIN}


def test_ten_parallel_sentences_are_shared_out():
    """Ten speakers, ten sentences: two for EvalSIFT, two for dev, six to train, each by its own
    speakers."""
    candidates = make_parallel(10, 10)
    counts, placed = place(candidates)
    assert not list_leaks(candidates, placed)
    assert counts[TRAIN] == 4 * 6 and counts[EVALUATION] == 3 * 2 and counts[DEV] == 3 * 2
    # Two sentences are one for EvalSIFT, one to train; a single one is for training.
    for sentences, splits in ((2, {TRAIN, EVALUATION}), (1, {TRAIN})):
        counts, placed = place(make_parallel(24, sentences))
        assert counts.keys() & set(SPLITS) == splits and counts[TRAIN] >= 8


def test_dev_is_not_left_empty_by_sentences_either():
    """Training has a speaker of its own sentences, so that it alone would lack nothing."""
    own = [
        Candidate(id=f"o{n}", language="de", speaker="own", sentence=f"own {n}", held=None)
        for n in range(150)
    ]
    candidates = [*own, *make_parallel(10, 10)]
    counts, placed = place(candidates)
    assert counts[TRAIN] == 150 + 4 * 6 and counts[EVALUATION] == counts[DEV] == 3 * 2
    assert not list_leaks(candidates, placed)


def test_shared_sentences_are_a_choice():
    candidates = make_parallel(10, 10) + [
        Candidate(id=f"own{p}", language="de", speaker=f"p{p}", sentence=f"own {p}", held=None)
        for p in range(10)
    ]
    counts, placed = place(candidates, shared="allow")
    assert (
        sum(counts[split] for split in SPLITS) == 110 and len(list_leaks(candidates, placed)) == 10
    )
    counts, placed = place(candidates, shared="drop")
    # Training keeps all that its speakers say; the others keep what is theirs alone.
    assert (
        counts[TRAIN] == 4 * 11
        and counts[DEV] == counts[EVALUATION] == 3
        and not list_leaks(candidates, placed)
    )
    assert place(candidates, shared="apart") == place(candidates)


def test_sentences_that_cost_little_go_as_they_went():
    """A common passage goes to EvalSIFT, as long as training keeps the most."""
    candidates = [
        Candidate(
            id=f"p{p}_{s}",
            language="en",
            speaker=f"p{p}",
            sentence="stella" if not s else f"{p} {s}",
            held=None,
        )
        for p in range(9)
        for s in range(10)
    ]
    counts, placed = place(candidates)
    assert {placed[f"p{p}_0"] for p in range(9)} == {EVALUATION, "its sentence is in EvalSIFT"}


@pytest.mark.parametrize(
    "recordings, sentences, splits", [(30, 30, SPLITS), (30, 10, SPLITS), (10, 1, (TRAIN,))]
)
def test_without_any_speaker_sentences_are_split(recordings, sentences, splits):
    candidates = [
        Candidate(id=f"u{n}", language="it", speaker=None, sentence=f"s{n % sentences}", held=None)
        for n in range(recordings)
    ]
    counts, placed = place(candidates)
    assert set(counts) == set(splits) and not list_leaks(candidates, placed)
    assert 3 * counts[TRAIN] >= recordings


def write_manifest(folder, lines):
    """Gives each line a recording; returns the flags of a build."""
    for number, line in enumerate(lines):
        write_voice(folder / f"{number}.wav", number)
        line["audio"] = f"{number}.wav"
    (folder / "list.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return [
        "--corpus=manifest",
        f"--manifest={folder}/list.jsonl",
        "--languages=en",
        "--workers=1",
        f"--out={folder / 'out'}",
    ]


def read_rows(out):
    return [json.loads(line) for line in (out / "utterances.jsonl").read_text().splitlines()]


STATED = [
    {
        "id": f"{split}{n}",
        "text": f"sentence {split} {n}",
        "speaker": f"{split}{n % 2}",
        "split": split,
    }
    for split, count in (("train", 9), ("Dev", 4), ("test", 3))
    for n in range(count)
]


def test_what_a_manifest_states_is_obeyed(tmp_path, capsys):
    """The same speaker and the same sentence in two splits are told, and not fixed."""
    lines = [dict(line) for line in STATED]
    lines[0] |= {"speaker": "test0", "text": "sentence test 1"}
    lines.append({"id": "unsaid", "text": "a sentence with no split", "speaker": "train1"})
    # What is not stated has to heed what is.
    lines.append({"id": "taken", "text": "sentence Dev 2", "speaker": "train1"})
    build(parse_arguments(write_manifest(tmp_path, lines)), ("corpus",))
    told = capsys.readouterr().err
    splits = {row["id"]: row["split"] for row in read_rows(tmp_path / "out")}
    names = {"train": TRAIN, "Dev": DEV, "test": EVALUATION}
    assert splits == {line["id"]: names[line["split"]] for line in STATED} | {"unsaid": TRAIN}
    assert "1 speaker in several splits, as the manifest states ('test0')" in told
    assert "1 sentence of several splits, in 2 recordings" in told
    assert (
        "en: dev has 4 utterances only: the manifest's split field gives it 4 of 18 recordings"
        in told
    )
    assert "--dev=0" in told and "--shared_sentences=apart" in told
    aside = (tmp_path / "out/parts/accounts/split_rejected.jsonl").read_text().splitlines()
    assert [(json.loads(line)["id"], json.loads(line)["reason"]) for line in aside] == [
        ("taken", "its sentence is in dev")
    ]


def test_a_stated_sentence_is_kept_apart_on_demand():
    stated = make_parallel(2, 6, held=TRAIN)[:8] + [
        Candidate(id="t", language="de", speaker="t", sentence="s1", held=EVALUATION)
    ]
    counts, placed = place(stated, is_stated=True)
    assert counts == {TRAIN: 8, EVALUATION: 1} and len(list_leaks(stated, placed)) == 1
    counts, placed = place(stated, is_stated=True, shared="apart")
    assert counts[TRAIN] == 6 and counts[EVALUATION] == 1 and not list_leaks(stated, placed)
    counts, placed = place(stated, is_stated=True, shared="drop")
    assert counts == {TRAIN: 8, "its sentence is in train": 1}


def test_stated_sizes_are_whole_unless_a_size_is_asked_for():
    stated = [
        Candidate(id=f"{held}{n}", language="en", speaker=None, sentence=f"{held} {n}", held=held)
        for held in (TRAIN, EVALUATION)
        for n in range(700)
    ]
    config = parse_arguments(["--corpus=manifest", "--manifest=x", "--out=o", "--languages=en"])
    assert place(stated, config.sizes, is_stated=True)[0] == {TRAIN: 700, EVALUATION: 700}
    config = parse_arguments(
        ["--corpus=manifest", "--manifest=x", "--out=o", "--languages=en", "--evaluation=50"]
    )
    assert place(stated, config.sizes, is_stated=True)[0][EVALUATION] == 50
    free = [
        Candidate(id=f"u{n}", language="en", speaker=None, sentence=f"{n}", held=None)
        for n in range(3_000)
    ]
    assert place(free, {TRAIN: None, DEV: None, EVALUATION: None}, is_stated=True) == place(free)


def test_a_split_with_a_name_of_its_own_is_not_guessed(tmp_path):
    lines = [dict(line) for line in STATED]
    lines[2]["split"] = "held-out"
    del lines[3]["split"]
    lines[3]["subset"] = "clean"
    build(parse_arguments(write_manifest(tmp_path, lines)), ("corpus",))
    aside = json.loads((tmp_path / "out/parts/accounts/read_rejected.jsonl").read_text())
    assert (aside["id"], aside["reason"], aside["line"]) == ("train2", "unknown split", 3)
    assert "train, dev or test" in aside["detail"]
    assert {row["id"] for row in read_rows(tmp_path / "out")} == {line["id"] for line in STATED} - {
        "train2"
    }


def test_a_language_with_nothing_to_train_on_stops_the_build(tmp_path):
    flags = write_manifest(tmp_path, [dict(line) for line in STATED if line["split"] == "test"])
    with pytest.raises(
        SystemExit,
        match="en: train has no utterance: the manifest's split field gives it 0 of 3 "
        "recordings; state it for more lines, or give --train=0 and --edges=",
    ):
        main(flags)


def test_training_that_is_lost_in_decoding_stops_the_build(tmp_path):
    lines = [dict(line) for line in STATED if line["split"] != "Dev"]
    flags = write_manifest(tmp_path, lines)
    for number, line in enumerate(lines):
        if line["split"] == "train":
            (tmp_path / f"{number}.wav").write_bytes(b"no audio")
    with pytest.raises(
        BuildError,
        match="en: train has no utterance: 9 of its 9 recordings were skipped when they "
        "were decoded; rejected.jsonl or parts/accounts say why",
    ):
        build(parse_arguments(flags), ("corpus",))


@pytest.fixture(scope="module")
def one_speaker(tmp_path_factory):
    """A whole build of one speaker, a few recordings without one, and what it said."""
    folder = tmp_path_factory.mktemp("one")
    lines = [
        {"id": f"u{n}", "text": f"This is sentence number {n}.", "speaker": "one"}
        for n in range(24)
    ]
    lines += [{"id": f"v{n}", "text": f"A further sentence with number {n}."} for n in range(2)]
    flags = write_manifest(folder, lines)
    main([*flags, "--evaluation_rows=8", "--rows_per_utterance=2"])
    return folder / "out"


def test_a_small_split_is_told_at_the_end_and_in_the_report(one_speaker, capsys):
    check_splits.main([f"--build={one_speaker}"])
    said = capsys.readouterr().out
    assert "nothing of one split is in another" in said
    assert "not checked: 2 of 26 utterances have no speaker (dev 1, EvalSIFT 1)" in said
    report = json.loads((one_speaker / "report.json").read_text())
    assert report["utterances"] == {TRAIN: {"en": 24}, DEV: {"en": 1}, EVALUATION: {"en": 1}}
    found = report["splits"]
    assert (found["shared_sentences"], found["sentences"], found["without_speaker"]) == (
        "apart",
        0,
        2,
    )
    assert [(gap["split"], gap["count"]) for gap in found["gaps"]] == [(DEV, 1), (EVALUATION, 1)]
    assert all(
        "1 speaker" in gap["cause"] and "leave the speaker out" in gap["remedy"]
        for gap in found["gaps"]
    )
    for name in ("report.html", "README.md"):
        page = (one_speaker / name).read_text(encoding="utf-8")
        assert ("EvalSIFT has 1 utterance only" in page) == (name == "report.html")
    assert "Of 2 recordings nobody knows who speaks." in page


def test_evaluation_data_alone_by_the_edges_of_another_build(one_speaker, tmp_path, capsys):
    flags = write_manifest(
        tmp_path, [{**line, "language": "en"} for line in STATED if line["split"] == "test"]
    )
    main(
        [
            *flags,
            "--train=0",
            f"--edges={one_speaker / 'bins.json'}",
            "--evaluation_rows=4",
            "--languages=en,it",
        ]
    )
    told = capsys.readouterr()
    assert (
        "warning: it: no recording was read;" in told.err
        and "--languages=en asks for no more" in told.err
    )
    assert (
        "warning: en: EvalSIFT has 3 utterances only: the manifest's split field gives it 3 of 3"
        in told.out
    )
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["utterances"] == {TRAIN: {}, DEV: {}, EVALUATION: {"en": 3}}
    assert report["counts"][EVALUATION]["open_ended"]["en"] > 0


def test_what_a_build_was_told_to_share_is_no_fault_of_its_splits(one_speaker, capsys):
    """The note of the build says what was meant: all else stays a fault."""
    rows = [json.loads(line) for line in (one_speaker / "metadata.jsonl").read_text().splitlines()]
    sound = (one_speaker / "metadata.jsonl").read_text()
    note = one_speaker / "parts" / "splits.json"
    drawn = json.loads(note.read_text())
    held = next(row for row in rows if row["split"] == EVALUATION)
    held |= {"speaker": "one", "transcript": rows[0]["transcript"]}
    (one_speaker / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    try:
        with pytest.raises(SystemExit, match="2 things stand in two splits"):
            check_splits.main([f"--build={one_speaker}"])
        note.write_text(json.dumps({**drawn, "shared_sentences": "allow"}))
        with pytest.raises(SystemExit, match="1 things stand in two splits"):
            check_splits.main([f"--build={one_speaker}"])
        note.write_text(json.dumps({**drawn, "shared_sentences": "allow", "speakers": ["one"]}))
        capsys.readouterr()
        check_splits.main([f"--build={one_speaker}"])
        said = capsys.readouterr().out
        assert (
            "2 things stand in two splits" in said
            and "speaker 'one' is in EvalSIFT and train" in said
        )
        assert "nothing else of one split is in another" in said
    finally:
        note.write_text(json.dumps(drawn))
        (one_speaker / "metadata.jsonl").write_text(sound)


def test_a_choice_about_sentences_is_for_recorded_corpora(capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--out=x", "--shared_sentences=allow"])
    assert "leave --shared_sentences out" in capsys.readouterr().err
