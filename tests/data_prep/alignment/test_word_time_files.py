"""Files of word times: every format says the same words, and every fault is named with its line."""

import numpy as np
import pytest
from word_files import read_word_times

from data_prep.alignment.word_time import (
    AlignmentError,
    WordTime,
    make_word_spans,
    split_transcript,
    use_spelling,
)
from data_prep.alignment.word_time_files import read_entries, write_ctm

LONG = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.5
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "TextTier"
        name = "marks"
        xmin = 0
        xmax = 1.5
        points: size = 1
        points [1]:
            number = 0.5
            mark = "click"
    item [2]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1.5
        intervals: size = 4
        intervals [1]:
            xmin = 0
            xmax = 0.25
            text = ""
        intervals [2]:
            xmin = 0.25
            xmax = 0.5
            text = "say"
        intervals [3]:
            xmin = 0.5
            xmax = 1
            text = """ça"""
        intervals [4]:
            xmin = 1
            xmax = 1.5
            text = "sp"
    item [3]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 1.5
            text = "s"
'''
SHORT = '''File type = "ooTextFile"
Object class = "TextGrid"

0
1.5
<exists>
1
"IntervalTier"
"anything"
0
1.5
4
0
0.25
""
0.25
0.5
"say"
0.5
1
"""ça"""
1
1.5
"sp"
'''
CTM = ';; made by hand\nu1 1 0.25 0.25 say\nu1 1 0.5 0.5 "ça" 0.75\n'
TABLE = 'word\tid\tstart\tend\nsay\tu1\t0.25\t0.5\n"ça"\tu1\t0.5\t1\n'
LIBRISPEECH = 'u1 ",say,ça," "0.25,0.5,1.0,1.5"\n'


def read(tmp_path, name, text, encoding="utf-8", **named):
    (tmp_path / name).write_text(text, encoding=encoding)
    return read_word_times(tmp_path / name, **named)


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("u1.TextGrid", LONG, "utf-8"),
        ("u1.TextGrid", LONG, "utf-16"),
        ("u1.TextGrid", SHORT, "utf-8-sig"),
        ("u1.TextGrid", SHORT.replace("\n", "\r\n"), "utf-8"),
        ("a.ctm", CTM, "utf-8"),
        ("a.tsv", TABLE, "utf-8"),
        ("84-1.alignment.txt", LIBRISPEECH, "utf-8"),
    ],
)
def test_every_format_says_the_same(tmp_path, name, text, encoding):
    words = read(tmp_path, name, text, encoding)["u1"]
    assert [(w.word.strip('"'), w.start, w.end) for w in words] == [
        ("say", 0.25, 0.5),
        ("ça", 0.5, 1.0),
    ]
    spans = make_word_spans(words, 1.5)
    assert [(span.position, span.start) for span in spans] == [(1, 0.25), (2, 0.5)]


def test_a_folder_of_text_grids(tmp_path):
    (tmp_path / "speaker").mkdir()
    for name in ("b", "a"):
        (tmp_path / "speaker" / f"{name}.TextGrid").write_text(LONG)
    assert list(read_word_times(tmp_path)) == ["a", "b"]


def test_what_is_written_is_read_again(tmp_path):
    times = {
        "u": [
            WordTime(word="é", start=0.1, end=0.25, score=0.5),
            WordTime(word="b", start=0.3, end=1, score=1.0),
        ]
    }
    write_ctm(times, tmp_path / "x.ctm")
    again = read_word_times(tmp_path / "x.ctm")["u"]
    assert [(w.word, w.start, round(w.end, 3), w.score) for w in again] == [
        ("é", 0.1, 0.25, 0.5),
        ("b", 0.3, 1.0, 1.0),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.TextGrid",
            LONG.replace("xmax = 0.5\n", "xmax = 0.2\n"),
            r"a.TextGrid:31: 'say' ends at 0.2 s, before",
        ),
        (
            "a.TextGrid",
            LONG.replace("xmin = 0.5\n", "xmin = 0.4\n"),
            r"a.TextGrid:35: .*inside the one before",
        ),
        (
            "a.TextGrid",
            LONG.replace("xmin = 0.5\n", "xmin = half\n"),
            r"a.TextGrid:35: .* stands where a number should",
        ),
        ("a.TextGrid", LONG[:700], r"a.TextGrid: the file ends where .*again"),
        (
            "a.TextGrid",
            LONG.replace('"words"', '"u"'),
            r"0 tiers fit 'words'; name one of 'u', 'phones'",
        ),
        ("a.TextGrid", '"ooTextFile" "Pitch 1"', r"a.TextGrid:1: is not a TextGrid"),
        ("a.ctm", CTM + "u1 1 0.5\n", r"a.ctm:4: 3 fields"),
        ("a.ctm", CTM + "u1 1 x 0.1 w\n", r"a.ctm:4: start 'x' is not a number"),
        ("a.ctm", "\nu1 1 0.5 -0.1 w\n", r"a.ctm:2: 'w' lasts from 0.5 to 0.4 s"),
        ("a.tsv", TABLE.replace("end", "stop"), r"a.tsv:1: no column end"),
        ("a.tsv", TABLE + "x\tu2\t1\n", r"a.tsv:4: 3 fields under 4 names"),
        ("a.tsv", TABLE.replace("0.25", "nan"), r"a.tsv:2: start 'nan' is not a number"),
        ("x.alignment.txt", 'u1 "a,b" "1.0"\n', r"x.alignment.txt:1: not of the form"),
        ("a.srt", "", r"a.srt: word times are read from .TextGrid, .ctm"),
    ],
)
def test_faults_are_named_with_their_line(tmp_path, name, text, message):
    with pytest.raises(AlignmentError, match=message):
        read(tmp_path, name, text)


def test_a_named_tier(tmp_path):
    assert [w.word for w in read(tmp_path, "u1.TextGrid", LONG, tier="phones")["u1"]] == ["s"]
    with pytest.raises(AlignmentError, match="0 tiers fit 'tones'"):
        read(tmp_path, "u1.TextGrid", LONG, tier="tones")


def test_missing_and_undecodable_files(tmp_path):
    for name in ("no.ctm", "no.TextGrid"):
        with pytest.raises(AlignmentError, match="cannot be read"):
            read_word_times(tmp_path / name)
        (tmp_path / name).write_bytes(b"\xc3\x28 bad")
        with pytest.raises(AlignmentError, match="UTF-8"):
            read_word_times(tmp_path / name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(AlignmentError, match="no .*TextGrid.* below"):
        read_word_times(tmp_path / "empty")


def test_spans_stay_inside_the_recording():
    late = [WordTime(word="late", start=1.0, end=2.0, score=1.0)]
    assert make_word_spans(late, 1.9)[0].end == 1.9
    with pytest.raises(AlignmentError, match="'late' ends at 2.00 s but the recording at 1.20 s"):
        make_word_spans(late, 1.2)
    with pytest.raises(AlignmentError, match="no place of its own"):
        make_word_spans([*late, WordTime(word="early", start=0.5, end=0.9, score=1.0)], 2.0)


def test_a_broken_line_is_one_entry_and_the_others_are_read(tmp_path):
    (tmp_path / "a.ctm").write_bytes(CTM.encode() + b"\xc3( 1 0 1 x\nu2 1 0.5\nu2 1 0.5 0.5 word\n")
    entries = list(read_entries(tmp_path / "a.ctm"))
    assert [(entry.line, entry.fault is None) for entry in entries] == [
        (1, True),
        (2, True),
        (3, True),
        (4, False),
        (5, False),
        (6, True),
    ]
    assert entries[-1].times[0][0] == "u2"


def make_times(*words):
    return [WordTime(word=word, start=i, end=i + 1, score=1.0) for i, word in enumerate(words)]


@pytest.mark.parametrize(
    ("words", "transcript", "expected"),
    [
        (("RAIN", "FALLS"), "Rain falls.", ["Rain", "falls"]),
        (("l'", "eau"), "L’eau!", ["l'", "eau"]),
        (("rain", "<unk>"), "Rain pfalls.", ["Rain", "pfalls"]),
        (("ten", "men"), "10 men", None),
        (("rain",), "Rain falls.", None),
        ((), "Rain", None),
        (("e\u0301te\u0301",), "été", ["été"]),
    ],
)
def test_words_are_those_of_the_transcript_or_refused(words, transcript, expected):
    if expected is None:
        with pytest.raises(AlignmentError, match="take the times of this recording") as caught:
            use_spelling(make_times(*words), transcript)
        assert caught.value.reason == "other words"
    else:
        assert [time.word for time in use_spelling(make_times(*words), transcript)] == expected


def test_words_of_a_transcript():
    assert split_transcript("Où ? « L'eau, 3 fois » — dit-il!") == [
        "Où",
        "L'eau",
        "3",
        "fois",
        "dit-il",
    ]


def test_broken_files_end_in_one_line(tmp_path):
    rng = np.random.default_rng(0)
    sources = [
        ("u1.TextGrid", LONG),
        ("u1.TextGrid", SHORT),
        ("a.ctm", CTM),
        ("a.tsv", TABLE),
        ("a.alignment.txt", LIBRISPEECH),
    ]
    failed = 0
    for i in range(500):
        name, text = sources[i % len(sources)]
        data = bytearray(text.encode())
        for _ in range(rng.integers(1, 6)):
            place = rng.integers(len(data))
            data[place : place + rng.integers(0, 9)] = rng.bytes(rng.integers(0, 9))
        path = tmp_path / name
        path.write_bytes(bytes(data))
        try:
            words = read_word_times(path)
        except AlignmentError as error:
            failed += 1
            assert "\n" not in str(error) and str(path) in str(error)
        else:
            assert all(
                w.end >= w.start >= 0 or name == "u1.TextGrid" for ws in words.values() for w in ws
            )
    assert failed > 100
