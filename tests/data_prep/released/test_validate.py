"""python -m data_prep.validate: every fault has its file, line, kind and remedy; good files have
none."""

import json
import resource
from pathlib import Path

import pytest
from release import TEXTS, join_flags, make_row, write_corpora, write_lines

from data_prep.released import duplicate_rows, read_rows
from data_prep.released.duplicate_rows import HashSheet, Repeat, find_repeats
from data_prep.released.row_checks import is_plausible
from data_prep.validate import main, validate

GOOD = [
    make_row("p234_238", "vctk_en"),
    make_row("p234_239", "vctk_en", is_text_first=True, has_nulls=False),
]
ACOUSTIC = "train/closed_ended/acoustic_level/en"


def with_messages(*roles_and_parts):
    row = make_row("p234_238", "vctk_en")
    row["messages"] = [{"role": role, "content": parts} for role, parts in roles_and_parts]
    return row


AUDIO, ASK, SAY = (
    {"audio_path": "/path/to/p234_238.wav"},
    {"text": TEXTS["en"][0]},
    {"text": TEXTS["en"][1]},
)
GERMAN = (
    "Was ist das für eine Stimme und wie klingt sie?",
    "Sie klingt sehr ruhig und ist gut zu verstehen.",
)
FAULTS = [
    (b'{"id": "p234', "not JSON"),
    (b'{"id": "p234_\xff"}', "not UTF-8: byte 14 of the line"),
    (
        json.dumps(make_row("p234_\ud83d", "vctk_en")).encode(),
        "not UTF-8: half of a surrogate pair",
    ),
    (b"[1]", "not a row: a row is list, not dict"),
    (make_row("p234_238", "vctk_en", task=""), "not a row: task is empty"),
    (with_messages(("user", [AUDIO, ASK]), ("robot", [SAY])), "unknown role: role is 'robot'"),
    (with_messages(("user", [AUDIO, ASK]), ("user", [SAY])), "roles do not alternate: user, user"),
    (with_messages(("user", [AUDIO, ASK])), "roles do not alternate: user"),
    (with_messages(("user", [AUDIO, ASK]), ("assistant", [{"text": " "}])), "empty text"),
    (with_messages(("user", [ASK]), ("assistant", [SAY])), "no audio"),
    (
        with_messages(("user", [ASK]), ("assistant", [AUDIO, SAY])),
        "wrong side: the audio is in the answer",
    ),
    (
        make_row("p234_238", "vctk_en", names=("p234_240",)),
        "id and audio differ: p234_238 has p234_240",
    ),
    (make_row("p234_238", "vctk_en", texts=GERMAN), "wrong language: 'Was ist das"),
    (make_row("p234_238", "vctk_en"), "repeated row: it stands at"),
]


@pytest.mark.parametrize("bad, message", FAULTS, ids=[message[:22] for _, message in FAULTS])
def test_a_fault_is_named_with_its_line_and_remedy(tmp_path, capsys, bad, message):
    path = write_lines(tmp_path, ACOUSTIC, [*GOOD, b"", bad])
    with pytest.raises(SystemExit) as stop:
        main([f"--sift={tmp_path}"])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{path}:4: {message}") and "; " in said[0]
    assert stop.value.code == 1
    assert str(stop.value).startswith("1 faults in 1 kinds, 1 of them above") and len(said) == 4


def test_good_files_have_no_faults(tmp_path, capsys):
    write_lines(tmp_path, ACOUSTIC, GOOD)
    pair = ("common_voice_de_1", "common_voice_de_2")
    write_lines(
        tmp_path,
        "validation/closed_ended/comparison/de",
        [make_row(f"comparison_{'__'.join(pair)}", "common_voice_de", names=pair)],
    )
    read = ("Lies das langsam und mit ruhiger Stimme: Es regnet nicht mehr.", "")
    write_lines(
        tmp_path,
        "EvalSIFT/controllable_generation/de",
        [make_row("common_voice_de_1", "common_voice_de", texts=read, is_answer=True)],
    )
    main([f"--sift={tmp_path}", "--workers=1"])
    said = capsys.readouterr().out
    assert "no faults" in said and "4 rows" in said and "vctk_en" in said


def test_a_built_corpus_has_no_faults(corpus):
    total, shown = validate(corpus.sift, None, limit=5, workers=1)
    assert not shown and total.rows == 2 * sum(7 * size for size in (6, 3, 2))


def test_two_processes_find_what_one_does(tmp_path):
    for number, language in enumerate(("en", "de")):
        bad = [fault for fault, _ in FAULTS[number::2]]
        write_lines(tmp_path, f"train/closed_ended/acoustic_level/{language}", [*GOOD, *bad])
    one, two = (validate(tmp_path, None, limit=20, workers=workers) for workers in (1, 2))
    assert one == two and one[0].kinds["repeated row"] == 3


def test_shown_faults_are_limited_and_counted(tmp_path, capsys):
    for language in ("de", "en"):
        write_lines(tmp_path, f"train/open_ended/{language}", [b"{"] * 30)
    with pytest.raises(SystemExit) as stop:
        main([f"--sift={tmp_path}", "--max_shown=3", "--workers=1"])
    assert "60 faults in 1 kinds, 3 of them above" in str(stop.value)
    assert capsys.readouterr().out.count("not JSON: ") == 3


def test_files_in_wrong_places_are_faults(tmp_path):
    write_lines(tmp_path, "train/closed_endet/en", GOOD)
    write_lines(tmp_path, "train/open_ended/nl", [GOOD[0]])
    write_lines(tmp_path, "train/open_ended/de", [])
    for stray in (
        "train/split0.jsonl",
        "test/open_ended/en/split0.jsonl",
        "train/open_ended/en/rows.jsonl",
    ):
        (tmp_path / stray).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / stray).write_text(json.dumps(GOOD[1]))
    total, shown = validate(tmp_path, None, limit=9, workers=1)
    expected = {"unknown category": 1, "unknown language": 1, "stray file": 3, "repeated row": 1}
    assert dict(total.kinds) == expected and len(shown) == 6 and total.empty == 1


def test_missing_audio_is_counted_by_corpus(tmp_path, capsys):
    roots = write_corpora(tmp_path / "audio")
    rows = [
        make_row(name, "common_voice_de", texts=TEXTS["de"])
        for name in ("common_voice_de_23905138", "common_voice_de_23905139", "common_voice_de_7")
    ]
    write_lines(
        tmp_path / "sift",
        "train/open_ended/de",
        [*rows, make_row("10_20_000001", "multilingual_librispeech_de")],
    )
    with pytest.raises(SystemExit):
        main([f"--sift={tmp_path / 'sift'}", join_flags(roots)])
    said = capsys.readouterr().out
    assert "split0.jsonl:3: missing audio: common_voice_de_7; point --audio to" in said
    found = {
        line.split()[0]: line.split() for line in said.splitlines() if "with audio missing" in line
    }
    assert found["common_voice_de"][1:4] == ["3", "rows", "1"]
    assert found["multilingual_librispeech_de"][1:4] == ["1", "rows", "0"]


def test_the_known_fault_is_counted_and_no_fault(tmp_path, capsys):
    rows = [
        make_row("common_voice_fr_1", "common_voice_fr", texts=TEXTS["de"]),
        make_row("common_voice_fr_2", "common_voice_fr"),
        make_row("11_21_000000", "multilingual_librispeech_fr"),
    ]
    write_lines(tmp_path, "train/open_ended/fr", rows)
    main([f"--sift={tmp_path}"])
    assert "German in French common_voice               1 rows, skipped" in capsys.readouterr().out


def test_lines_without_end_are_not_held(tmp_path, monkeypatch):
    monkeypatch.setattr(read_rows, "LONGEST", 1000)
    write_lines(tmp_path, ACOUSTIC, [b"x" * 5000, GOOD[0]])
    total, shown = validate(tmp_path, None, limit=5, workers=1)
    assert total.rows == 1 and total.kinds == {"too long": 1} and ":1: too long; " in shown[0]


def test_repeats_are_found_over_files_and_slices(tmp_path, monkeypatch):
    places = [[3, 1, 4, 1], [5, 9, 2, 6, 5, 3], [], [1]]
    for number, values in enumerate(places):
        sheet = HashSheet()
        for line, value in enumerate(values, 1):
            sheet.add(make_row(f"u{value}", "vctk_en", has_nulls=False), line)
        sheet.save(tmp_path / f"{number}.npy")
    expected = [Repeat(0, 4, 0, 2), Repeat(1, 5, 1, 1), Repeat(1, 6, 0, 1), Repeat(3, 1, 0, 2)]
    for rows in (1, 3, 100):
        monkeypatch.setattr(duplicate_rows, "SLICE_ROWS", rows)
        assert find_repeats(tmp_path, 4, 10) == (4, expected)
        assert find_repeats(tmp_path, 4, 2) == (4, expected[:2])


def test_frequent_words_decide_no_row_that_the_scores_would_not():
    for language, texts in TEXTS.items():
        for text in texts:
            assert [other for other in TEXTS if is_plausible(text, other)] == [language]


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--sift=/none"], "no SIFT files under /none"),
        (["--sift={}", "--audio=/none"], "--audio=/none is not a folder"),
        (["--sift={}", "--audio=mp3s=/none"], "no corpus 'mp3s'; choose of"),
        (["--sift={}", "--audio=vctk={}"], "holds no wav48_silence_trimmed/<speaker>/"),
    ],
)
def test_wrong_flags_are_one_line(tmp_path, flags, message):
    write_lines(tmp_path, ACOUSTIC, GOOD)
    with pytest.raises(SystemExit) as stop:
        main([flag.format(tmp_path) for flag in flags])
    assert stop.value.code == 2
    assert message in str(stop.value) and "\n" not in str(stop.value)


def test_more_files_than_may_be_open(tmp_path):
    count = 60
    for number in range(count):
        sheet = HashSheet()
        sheet.add(GOOD[1], number + 1)
        sheet.save(tmp_path / f"{number}.npy")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE,
        (max(int(path.name) for path in Path("/proc/self/fd").iterdir()) + 20, limits[1]),
    )
    try:
        assert find_repeats(tmp_path, count, 1) == (count - 1, [Repeat(1, 2, 0, 1)])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
