"""The two protocols of a suite: what is asked, what scores it, and that the results say which."""

import pytest
from suite_folders import WRITERS, write_clip, write_json_lines
from test_suites import make_config

from sift_jax.evaluation.evaluate import describe_suites
from sift_jax.evaluation.model_inputs import ClipReader
from sift_jax.evaluation.suites import SUITES, read_checked_suites, read_suite
from sift_jax.evaluation.suites.protocols import OFFICIAL, PAPER, PROTOCOLS, describe_protocol


def read(root, name, protocol, **changes):
    if not (root / name).is_dir():
        WRITERS[name](root / name)
    return read_checked_suites([make_config(name, root / name, protocol=protocol, **changes)])[0]


@pytest.mark.parametrize(
    "name, official, paper",
    [
        ("dynamic_superb", ("exact_match", "accuracy"), ("judge_closed", "exact_match")),
        ("air_bench", ("judge_air_bench",), ("judge_open",)),
        ("msp_podcast", ("accuracy",), ("judge_closed",)),
    ],
)
def test_each_protocol_has_its_scores(tmp_path, name, official, paper):
    for protocol, metrics in ((OFFICIAL, official), (PAPER, paper)):
        suite = read(tmp_path, name, protocol)
        assert {item.metrics for item in suite.items} == {metrics} and suite.protocol == protocol
        assert (
            describe_suites([suite], [], [], ClipReader(30.0, "cut"))[name]["protocol"] == protocol
        )


def test_air_bench_s_description_is_for_two_answers_side_by_side(tmp_path):
    for protocol, context in ((OFFICIAL, "Gender: female"), (PAPER, "")):
        assert {item.context for item in read(tmp_path, "air_bench", protocol).items} == {context}


def test_the_paper_asks_all_segments_of_msp_podcast_freely(tmp_path):
    official, paper = (read(tmp_path, "msp_podcast", protocol) for protocol in (OFFICIAL, PAPER))
    assert len(official.items) == 3 and len(official.set_aside) == 2
    assert {row.reason for row in official.set_aside} == {
        "no agreed emotion (X)",
        "another emotion (O)",
    }
    assert [item.references[0] for item in paper.items] == [
        "neutral",
        "angry",
        "no agreed emotion",
        "happy",
        "another emotion",
    ]
    assert not paper.set_aside and not any(
        item.labels or "sad" in item.question for item in paper.items
    )


def test_the_paper_asks_one_slot_of_slurp_at_a_time(tmp_path):
    """A question for each recording and kind of slot in it: over SLURP's test these are the paper's
    11,585."""
    root = tmp_path / "slurp"
    words = "mail tom and ann at nine".split()
    row = {
        "slurp_id": 1,
        "sentence": " ".join(words),
        "scenario": "email",
        "action": "send",
        "tokens": [{"surface": word} for word in words],
        "recordings": [{"file": "a.flac"}, {"file": "b.flac"}],
        "entities": [
            {"span": [3], "type": "to_person"},
            {"span": [1], "type": "to_person"},
            {"span": [4, 5], "type": "time"},
        ],
    }
    write_json_lines(
        root / "dataset" / "slurp" / "test.jsonl",
        [row, {**row, "entities": [], "recordings": [{"file": "c.flac"}]}],
    )
    for number, name in enumerate("abc"):
        write_clip(root / "audio" / "slurp_real" / f"{name}.flac", number)
    official, paper = (
        read(tmp_path, "slurp", protocol, subsets=("slots",)) for protocol in (OFFICIAL, PAPER)
    )
    assert [item.references for item in official.items] == [
        ("to person: tom\nto person: ann\ntime: at nine",)
    ] * 2 + [("none",)]
    assert [(item.id, item.references) for item in paper.items[:2]] == [
        ("slurp/slots/a/to person", ("tom, ann",)),
        ("slurp/slots/a/time", ("at nine",)),
    ]
    assert len(paper.items) == 4 and {item.metrics for item in paper.items} == {("judge_closed",)}
    assert "to person" in paper.items[0].question and "time" not in paper.items[0].question
    intents = read(tmp_path, "slurp", PAPER, subsets=("intent",))
    assert len(intents.items) == 3 and {item.metrics for item in intents.items} == {
        ("judge_closed", "accuracy")
    }


@pytest.mark.parametrize("name", sorted(set(SUITES) - set(PROTOCOLS)))
def test_a_suite_with_one_way_is_asked_in_it_under_either_name(tmp_path, name):
    official, paper = (read(tmp_path, name, protocol) for protocol in (OFFICIAL, PAPER))
    assert official == paper and official.protocol == ""


def test_a_third_protocol_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="SuiteConfig.protocol is 'mine'; choose one of official, paper"
    ):
        read_suite(make_config("slurp", tmp_path, protocol="mine"))


def test_a_protocol_is_a_sentence_of_the_report():
    assert describe_protocol("slurp:home", PAPER).startswith(
        "Protocol: paper (a question for each slot"
    )
    assert describe_protocol("librispeech", "") == describe_protocol("dynamic_superb", "") == ""
