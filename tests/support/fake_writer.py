"""What a model might answer to our prompts: good pairs in the language asked for."""

import hashlib
import json
import random
import re

from chat_server import fail, say

TEXTS = {
    "en": (
        "What do you make of this voice, friend number {n}?",
        "It sounds pleasant to me, and rather lively too.",
        "Please read this out in the way that I like it best, version {n}",
    ),
    "de": (
        "Was hältst du von dieser Stimme, Freund Nummer {n}?",
        "Sie klingt für mich angenehm und recht lebendig.",
        "Bitte lies das so vor, wie ich es am liebsten habe, Fassung {n}",
    ),
    "fr": (
        "Que penses-tu de cette voix, mon ami numéro {n} ?",
        "Elle me semble agréable et plutôt vivante.",
        "Lis ceci comme je le préfère, s'il te plaît, version {n}",
    ),
    "it": (
        "Che cosa pensi di questa voce, amico numero {n}?",
        "Mi sembra piacevole e anche piuttosto vivace.",
        "Per favore leggi questo come piace a me, versione {n}",
    ),
    "es": (
        "¿Qué te parece esta voz, amigo número {n}?",
        "Me parece agradable y también bastante viva.",
        "Por favor, lee esto como más me gusta, versión {n}",
    ),
}
_LANGUAGES = {"German": "de", "French": "fr", "Italian": "it", "Spanish": "es"}


def find_language(system: str) -> str:
    found = re.search(r"Write everything in (\w+)", system)
    return _LANGUAGES.get(found.group(1), "en")


def list_briefs(body: dict) -> list[str]:
    """What is asked for, pair by pair."""
    return re.findall(r"^\d+\. (.+)$", body["messages"][-1]["content"], re.MULTILINE)


def write_pairs(body: dict, count: int | None = None) -> list[dict]:
    """Good pairs for a request of ours, whatever it is about: as many as it asks for, if no other
    number is given."""
    system = body["messages"][0]["content"]
    briefs = list_briefs(body)
    briefs += briefs[:1] * ((count or 0) - len(briefs))
    tail = " 1.25" if "number of seconds" in system else ""
    return [
        _write_pair(brief, number, find_language(system), tail)
        for number, brief in enumerate(briefs[:count])
    ]


def _write_pair(brief: str, number: int, language: str, tail: str) -> dict:
    question, answer, request = TEXTS[language]

    def read(text: str) -> str:
        """The labels of a part: those in quotation marks, where the language is another."""
        return text if language == "en" else ", ".join(re.findall(r'"([^"]*)"', text))

    if brief.startswith("A request"):
        return {
            "instruction": f"{request.format(n=number)}, {read(brief.split(' speech ')[1].rstrip('.'))}"
        }
    told, _, answered = brief.partition(" The answer ")
    question, stated = (
        question.format(n=number),
        read(answered.partition("says that ")[2].rstrip(".")),
    )
    if " asks about " in told and " this: " not in told:
        names = told.split(" asks about ")[1].split(", whether")[0].rstrip(".").replace('"', "")
        question = question.replace("?", f", {names}?")
    if " whether " in told:
        question = question.replace("?", f": {read(told.split(' whether ')[1].rstrip('.'))}?")
    if verdict := re.match(r'begins with "(\w+)"', answered):
        return {"question": question, "answer": ", ".join(filter(None, (verdict[1], stated))) + "."}
    return {"question": question, "answer": f"{answer} {stated}".strip() + tail}


def answer_well(body: dict) -> dict:
    """The writer's or the filter's answer: the filter keeps all."""
    if "You check training data" in body["messages"][0]["content"]:
        count = body["messages"][-1]["content"].count('"number":')
        return say(
            "\n".join(
                json.dumps({"number": n + 1, "keep": True, "fault": ""}) for n in range(count)
            )
        )
    return say("\n".join(json.dumps(pair, ensure_ascii=False) for pair in write_pairs(body)))


def hash_body(body: dict) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


class FlakyWriter:
    """Each call fails once in ten, in a way drawn at each attempt; in the end all are answered
    well."""

    def __init__(self, seed: int = 0):
        self.rng = random.Random(seed)

    def __call__(self, number: int, body: dict) -> dict:
        if self.rng.random() >= 0.1:
            return answer_well(body)
        good = answer_well(body)
        return self.rng.choice(
            [
                fail(429, **{"Retry-After": "0"}),
                fail(500),
                fail(503),
                {**good, "missing": 20},
                {"status": 200, "body": b'{"choices": [{"mess'},
                say(""),
                {"status": 200, "body": b""},
            ]
        )
