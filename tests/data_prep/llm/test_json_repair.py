"""Nearly-JSON: what is found in it, and what is skipped."""

import json
import random

import pytest

from data_prep.llm.json_repair import find_objects

PAIR = {"question": "How fast?", "answer": "Very fast."}
LINE = json.dumps(PAIR)


@pytest.mark.parametrize(
    "text",
    [
        LINE,
        f"Here you are:\n\n```json\n{LINE}\n```\nAnything else?",
        f"<think>{{maybe}} so {{</think>{LINE}",
        f"\ufeff[\n  {LINE},\n]",
        json.dumps({"pairs": [PAIR]}, indent=2),
        '{"question": "How fast?", "answer": "Very fast.",}',
        "{'question': 'How fast?', 'answer': 'Very fast.'}",
        "{“question”: “How fast?”, “answer”: “Very fast.”}",
        '{question: "How fast?", answer: "Very fast."}',
        '{"question": "How fast?" "answer": "Very fast."}',
        '1. {"question": "How fast?", "answer": "Very fast."}',
    ],
)
def test_one_pair_is_found(text):
    found = find_objects(text)
    assert (found.objects, found.broken, found.tail) == ([PAIR], [], "")


@pytest.mark.parametrize(
    "text, question, answer",
    [
        (
            "{'question': 'Who\\'s there?', 'answer': 'It's a \"man\".'}",
            "Who's there?",
            'It\'s a "man".',
        ),
        (
            '{"question": "Does "rain" occur?", "answer": "Yes, "rain", twice."}',
            'Does "rain" occur?',
            'Yes, "rain", twice.',
        ),
        (
            '{"question": "Line\nbreak?", "answer": "Ja, „leise“, sehr."}',
            "Line\nbreak?",
            "Ja, „leise“, sehr.",
        ),
        ('{"question": "Caf\\u00e9?", "answer": "\\q\\n",}', "Café?", "q\n"),
    ],
)
def test_quotes_within_quotes(text, question, answer):
    assert find_objects(text).objects == [{"question": question, "answer": answer}]


def test_a_cut_off_line_is_the_tail_and_the_rest_is_kept():
    for cut in range(1, len(LINE)):
        found = find_objects(f"{LINE}\n{LINE[:cut]}")
        # with its last quote the line lacks nothing but the bracket, and is still cut off
        assert (found.objects, found.broken, found.tail) == ([PAIR], [], LINE[:cut]), cut


def test_a_broken_line_does_not_take_its_neighbours():
    found = find_objects(
        f'{LINE}\n{{"question": "Where?" oh no}}\n{LINE}\n{{"answer": "no end\n{LINE}'
    )
    assert found.objects == [PAIR, PAIR, PAIR] and found.tail == ""
    assert found.broken == ['{"question": "Where?" oh no}', '{"answer": "no end']


@pytest.mark.parametrize("text", ["", "I cannot help with that.", "[[[[", "[" * 5000, '"question"'])
def test_nothing_to_find(text):
    assert find_objects(text).objects == []


@pytest.mark.parametrize("text", ["{" * 5000, '{"a":' * 5000, "{'a': [" * 50])
def test_a_flood_of_brackets_ends(text):
    assert find_objects(text).objects == []


def test_no_text_breaks_the_reader():
    """Replies with letters lost, doubled, swapped for others and cut: read or skipped, never an
    exception."""
    rng = random.Random(0)
    whole = "\n".join(
        [
            LINE,
            LINE.replace('"', "'"),
            json.dumps({"pairs": [PAIR, PAIR]}),
            f"```json\n[{LINE}]\n```",
        ]
    )
    signs, kept = "{}[]\"\\',:“”„\n\ud800é0", 0
    for _ in range(600):
        letters = list(whole)
        for _ in range(rng.randrange(1, 12)):
            place = rng.randrange(len(letters))
            letters[place : place + rng.randrange(3)] = rng.choice(signs) * rng.randrange(3)
        found = find_objects("".join(letters)[: rng.randrange(len(whole))])
        assert all(isinstance(value, dict) for value in found.objects)
        kept += PAIR in found.objects
    assert kept > 200
