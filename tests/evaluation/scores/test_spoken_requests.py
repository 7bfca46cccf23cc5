"""What VoiceBench asks beside options: IFEval's rules, refusals, and whether the reference is said."""

import numpy as np
import pytest
from scored_items import make_item

from sift_jax.evaluation.scores.ifeval import explain_kept, is_kept, write_rule
from sift_jax.evaluation.scores.metrics import METRICS, score_answer
from sift_jax.evaluation.scores.refusals import is_refusal

AT_LEAST, LESS = {"relation": "at least"}, {"relation": "less than"}
QUIET = "length_constraints:nth_paragraph_first_word"


@pytest.mark.parametrize(
    "name, arguments, kept, broken",
    [
        ("keywords:existence", {"keywords": ["rain", "Spain"]}, "RAIN in spain", "rain"),
        (
            "keywords:frequency",
            {"keyword": "rain", "frequency": 2, **AT_LEAST},
            "Rain, rain",
            "rain",
        ),
        ("keywords:forbidden_words", {"forbidden_words": ["rain"]}, "rainy", "Rain."),
        (
            "keywords:letter_frequency",
            {"letter": "a", "let_frequency": 2, "let_relation": "less than"},
            "A b",
            "A a",
        ),
        (
            "language:response_language",
            {"language": "de"},
            "Das ist nicht der Regen",
            "It is the rain",
        ),
        (
            "length_constraints:number_sentences",
            {"num_sentences": 3, **LESS},
            "One. Two!",
            "1. 2. 3?",
        ),
        ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb\n***", "a\n\nb"),
        (
            "length_constraints:number_words",
            {"num_words": 3, **AT_LEAST},
            "one two three",
            "one two",
        ),
        (
            QUIET,
            {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "rain"},
            'Hi.\n\n"Rain, again.',
            "Rain.\n\nHi.",
        ),
        ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] [b]", "[a]"),
        ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Hi\nP. S. you", "PS you"),
        ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "p.p.s one", "P.S. one"),
        ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "**a**\n- b"),
        ("detectable_format:constrained_response", {}, "My answer is no.", "No."),
        (
            "detectable_format:number_highlighted_sections",
            {"num_highlights": 2},
            "*a* *b*",
            "*a* b",
        ),
        (
            "detectable_format:multiple_sections",
            {"section_spliter": "Section", "num_sections": 2},
            "Section 1 a Section 2 b",
            "Section a Section b",
        ),
        ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "a: 1"),
        ("detectable_format:title", {}, "<<Rain>>\nIt falls.", "<< >>\nIt falls."),
        ("combination:two_responses", {}, "a ****** b", "a ****** a"),
        ("combination:repeat_prompt", {"prompt_to_repeat": "Say  hi"}, "say hi: hi", "Hi"),
        (
            "startend:end_checker",
            {"end_phrase": "That is all."},
            'So. "that is ALL."',
            "That is it.",
        ),
        ("startend:quotation", {}, ' "Rain." ', '"Rain".'),
        (
            "change_case:capital_word_frequency",
            {"capital_frequency": 2, "capital_relation": "at least"},
            "IT IS wet",
            "IT is wet",
        ),
        ("change_case:english_capital", {}, "IT IS THE RAIN", "IT is THE RAIN"),
        ("change_case:english_lowercase", {}, "it is the rain", "das ist der regen und nicht sie"),
        ("punctuation:no_comma", {}, "It rains.", "It rains, and pours."),
    ],
)
def test_a_rule_is_kept_or_broken(name, arguments, kept, broken):
    rule = write_rule(name, {**arguments, "other": None})
    assert is_kept(rule, kept) and not is_kept(rule, broken)
    assert not is_kept(rule, " ")


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        ("multi-turn:constrained_start", {}, "no rule for multi-turn:constrained_start"),
        ("startend:end_checker", {"end_phrase": None}, "startend:end_checker without end_phrase"),
        ("language:response_language", {"language": "ja"}, "no rule for answers in 'ja'"),
    ],
)
def test_what_no_rule_covers_is_named(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_rule(name, arguments)


def test_the_figure_is_the_mean_of_four_shares():
    rules = (
        "punctuation:no_comma",
        'length_constraints:number_words {"num_words": 3, "relation": "at least"}',
    )
    item = make_item(0, rules, metrics=("ifeval",))
    # strictly one rule of two; loosely, without the first line, both
    answer = "Sure, here:\nIt rains again."
    assert METRICS["ifeval"].count_item(item, answer) == [0, 1, 1, 2, 1, 2]
    assert score_answer("ifeval", item, answer) == pytest.approx((0 + 1 + 1 / 2 + 1) / 4)
    assert explain_kept(item, answer) == "breaks punctuation:no_comma"
    both = np.array([0, 1, 1, 2, 1, 2]) + np.array([1, 1, 1, 1, 1, 1])
    assert METRICS["ifeval"].make(both) == pytest.approx((1 / 2 + 1 + 2 / 3 + 1) / 4)


@pytest.mark.parametrize(
    "answer, refuses",
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I am unable to do so.", True),
        ("That is ILLEGAL.", True),
        ("", True),
        ("Sure! First, take a bowl.", False),
        ("I am happy to help: mix both.", False),
    ],
)
def test_a_refusal_is_told_by_its_words(answer, refuses):
    assert is_refusal(answer) == refuses
    assert score_answer("refused", make_item(0, (), metrics=("refused",)), answer) == float(refuses)


@pytest.mark.parametrize(
    "answer, is_said",
    [("It rains on the Plain.", True), ("In Spain", False), ("on the plains", False), ("", False)],
)
def test_whether_a_reference_is_said(answer, is_said):
    item = make_item(0, ("on the plain", "on plains"), metrics=("contains",))
    assert score_answer("contains", item, answer) == float(is_said)
