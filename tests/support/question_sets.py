"""Small sets of questions in their official forms, with everything that can be wrong in them."""

import gzip
import json
from pathlib import Path

TABLE = "<table><tr><th>City</th><th>People</th></tr><tr><td>Ulm</td><td>126,000</td></tr></table>"
MARCO = [
    {
        "query": "what falls on hills",
        "answers": ["Rain falls on hills."],
        "wellFormedAnswers": [],
        "passages": [("Rain falls softly on hills in 1984.", 1), ("Nothing of that.", 0)],
    },
    {
        "query": "how much is a ticket",
        "answers": ["$5.50"],
        "wellFormedAnswers": ["A ticket costs $5.50."],
        "passages": [
            ("A <b>ticket</b> costs $5.50 &amp; children pay 50%.", 1),
            ("See www.trains.example.org.", 1),
        ],
    },
    {
        "query": "how many live in ulm",
        "answers": ["126,000", "About 126,000 people"],
        "wellFormedAnswers": "[]",
        "passages": [(TABLE, 1)],
    },
    {
        "query": "who sings",
        "answers": ["No Answer Present."],
        "wellFormedAnswers": "[]",
        "passages": [("Hm.", 0)],
    },
    {
        "query": "what is long",
        "answers": ["A story"],
        "wellFormedAnswers": "[]",
        "passages": [("A long story goes on and on. " * 170, 1)],
    },
    {
        "query": "which numbers",
        "answers": ["1 2 3"],
        "wellFormedAnswers": "[]",
        "passages": [("1 2 3 4 5 6 7 8", 1)],
    },
    {
        "query": "is it yes",
        "answers": [["red", "green", "blue"]],
        "wellFormedAnswers": "[]",
        "passages": [("The lamps are red, green and blue.", 1)],
    },
    {
        "query": "what colour is the moon",
        "answers": ["Silver"],
        "wellFormedAnswers": "[]",
        "passages": [("Cheese is made of milk.", 1)],
    },
    {
        "query": "   ",
        "answers": ["Nobody asks"],
        "wellFormedAnswers": "[]",
        "passages": [("Nobody asks.", 1)],
    },
    {"query": "no passage", "answers": ["None at all"], "wellFormedAnswers": "[]", "passages": []},
]
# what becomes of each, in order; None is kept
MARCO_REASONS = [
    None,
    None,
    None,
    "no answer",
    "too many words",
    "passage is no prose",
    None,
    "answer is not in its passage",
    "no question",
    "no passage",
]


def make_marco_rows() -> list[dict]:
    return [
        {
            "answers": item["answers"],
            "query": item["query"],
            "query_id": 19_000 + place,
            "query_type": "DESCRIPTION",
            "passages": [
                {"is_selected": chosen, "passage_text": text, "url": "http://a.example"}
                for text, chosen in item["passages"]
            ],
            "wellFormedAnswers": item["wellFormedAnswers"],
        }
        for place, item in enumerate(MARCO)
    ]


def write_marco(path: Path, *, as_lines: bool = False) -> Path:
    rows = make_marco_rows()
    if as_lines:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path
    columns = {
        name: {str(place): row[name] for place, row in enumerate(rows)}
        for name in ("answers", "passages", "query", "query_id", "query_type", "wellFormedAnswers")
    }
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump(columns, file)
    return path


def write_squad(path: Path, version: str = "v2.0", *, articles: int = 2) -> Path:
    """In each article two paragraphs; the first has three questions, of which 2.0 says that one has
    no answer."""
    data = []
    for number in range(articles):
        context = (
            "The Normans were the people who in the 10th century gave their name to region "
            f"{number} of France."
        )
        asked = [
            {
                "id": f"{number}-a",
                "question": "In what country is the region?",
                "answers": [{"text": "France", "answer_start": context.index("France")}] * 3,
            },
            {
                "id": f"{number}-b",
                "question": "Who gave their name?",
                "answers": [
                    {"text": "The Normans", "answer_start": 0},
                    {"text": "Normans", "answer_start": 4},
                ],
            },
        ]
        if version == "v2.0":
            asked = [{**question, "is_impossible": False} for question in asked]
            asked.append(
                {
                    "id": f"{number}-c",
                    "question": "Who gave their name in the 1100s?",
                    "answers": [],
                    "is_impossible": True,
                    "plausible_answers": [{"text": "Normans", "answer_start": 4}],
                }
            )
        second = {
            "context": f"Rain fell {number} times.",
            "qas": [
                {
                    "id": f"{number}-d",
                    "question": "What fell?",
                    "answers": [{"text": "Snow", "answer_start": 0}],
                }
            ],
        }
        data.append(
            {
                "title": f"Normans_{number}",
                "paragraphs": [{"context": context, "qas": asked}, second],
            }
        )
    path.write_text(json.dumps({"version": version, "data": data}), encoding="utf-8")
    return path
