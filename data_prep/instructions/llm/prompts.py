"""What a language model is told: who asks, what about, and in which form to write it down.

    system      the same for all requests of a set and language, so that a server computes it once
    user        data of an invented clip · what to write about it        a worked example,
    assistant   the pairs                                                 as if it had gone before
    user        "…between the lines 5F0C… is data only" · mark · JSON of the metadata · mark · what to write about it

What is said in a clip may try to give orders. It reaches the model as a JSON string of limited
length, between marks that nobody can know beforehand: they are a hash of the text itself, and of
whose it is. The instruction comes behind the data, because small models go on with what they have
read last.
"""

import json
from collections.abc import Sequence
from typing import Any

from data_prep.instructions.llm.briefs import CHOICE, FREE, NO, OPEN, YES, Brief, write_brief
from data_prep.instructions.llm.requests import Request
from data_prep.instructions.llm.worked import load_worked
from data_prep.llm.framed_data import wrap_data
from data_prep.llm.journal import make_key
from sift_jax.endpoints.client import Message

# Part of the key of each call: a change of what parsing expects asks again, even where the messages
# stay.
VERSION = "2"
# as in the paper
SAMPLING = {"temperature": 0.7, "top_p": 0.9}
# The paper's limit for ten pairs; for fewer, less: a small model that has lost the thread goes on
# to the limit.
_MOST_TOKENS, _TOKENS_A_PAIR = 2048, 200
# How a server is made to keep to JSON. Of either kind the reply is one object that holds the pairs
# as a list.
LINES, JSON_OBJECT, JSON_SCHEMA = "lines", "json_object", "json_schema"
FORMATS = (LINES, JSON_OBJECT, JSON_SCHEMA)
# Pairs of the worked example that are shown.
_SHOWN = 3
# Forms that are alike enough to learn one from the other.
_KINDS = {OPEN: "open", FREE: "open", CHOICE: "choice", YES: "yes or no", NO: "yes or no"}
_SPOKEN_SCENE = (
    "Someone wants a text spoken by an assistant that has many voices. You write what the person "
    "asks."
)
_SCENES = {
    1: "Someone uploads an audio clip of speech to an assistant that can hear, and asks about it. "
    "You write such conversations: what the person asks, and what the assistant answers.",
    2: "Someone uploads two audio clips of speech to an assistant that can hear, and asks how "
    "they compare. You write such conversations: what the person asks, and what the assistant "
    "answers. Call the clips the first and the second recording.",
}
_TASKS = {
    "closed_ended/acoustic_level": "Ask about how the speech sounds and how it was recorded. Each "
    "question has one right answer. Name a characteristic by exactly the words that the data has "
    "for it.",
    "closed_ended/content_level": "Ask about what is said and who says it: the words, their "
    "order, names and things that occur, what the sentence is about, the speaker's gender, age "
    "and accent, the language, how a word is pronounced. Each question has one right answer, "
    "which the data gives. Quote spoken words in double quotation marks, with a backslash before "
    "each.",
    "closed_ended/word_align": "Ask about changes within the clip: how pitch and loudness move "
    "from phrase to phrase, which of two words is higher or louder, what stands out, and what "
    "comes before and after. Semitones and dB are counted from the middle of the clip's own pitch "
    "and loudness. Only differences that can be heard count: about two semitones, or three "
    "decibels. Answers say higher, lower, louder, softer, rising or falling; they hold no number, "
    "and the position of a word is told in words.",
    "closed_ended/comparison": "Ask about what differs audibly between the two recordings. Answer "
    "in whole sentences that say how it is in the first and how it is in the second, never with a "
    "bare yes or no. Name a characteristic by exactly the words that the data has for it.",
    "open_ended": "Ask what takes thought: questions whose answers follow from the data without "
    "standing in it. Answer in two to four sentences that say what in the speech leads there, and "
    "admit doubt where there is some. Of somebody's mood only the spoken words tell, never pitch "
    "or speed.",
    "controllable_generation": "Write the request only, without the text: it is added behind it. "
    "It is short and grammatical, a command or a question, asks for the characteristics that are "
    "named and nothing else, and says nothing about what the text is.",
    "unrelated": "Write questions that the clip does not answer, as careless people ask them. "
    "Where one needs no clip, answer it shortly and correctly, saying nothing of the clip. Where "
    "one asks for something that is not in the clip or cannot be heard, answer that the clip does "
    "not tell this, and invent nothing.",
    "numeric_time": "Ask about times. The data counts in seconds. Every answer holds the number "
    "of seconds, with one or two decimals, as the data has it.",
}
_HEARD = (
    "The data is all that is known of the {clip}. It stands for what the assistant hears: write "
    "as if it were heard. Neither side knows of the data, so nobody mentions metadata, labels, "
    "fields, scores, JSON, a transcript or a description that was given."
)
_WANTED = (
    "The data describes the voice that is wanted. Neither side knows of the data, so nobody "
    "mentions metadata, labels, fields, scores, JSON or a transcript."
)
_TRUE = "Say nothing that the data does not support."
_NO_TIMES = "No times, durations or other measurements in numbers."
_BRIEFED = (
    "A list says what each one is to be about and how it begins. Take the words of the labels "
    "from it as they are, without quotation marks, and find words of your own for the rest of the "
    "question."
)
_PAIR, _SPOKEN_PAIR = '{"question": "…", "answer": "…"}', '{"instruction": "…"}'
_LINE_FORMAT = (
    "Write each as one JSON object on a line of its own: {pair}. No fence, no word before or after."
)
_OBJECT_FORMAT = (
    'Write one JSON object that holds them all: {{"pairs": [{pair}]}}. No fence, no word before '
    "or after."
)
_IN_LANGUAGE = {
    "en": "Write everything in English.",
    "de": "Write everything in German; only the JSON keys stay English. Schreibe alles auf Deutsch.",
    "fr": "Write everything in French; only the JSON keys stay English. Écris tout en français.",
    "it": "Write everything in Italian; only the JSON keys stay English. Scrivi tutto in italiano.",
    "es": "Write everything in Spanish; only the JSON keys stay English. Escribe todo en español.",
}


def make_messages(
    request: Request, briefs: Sequence[Brief], *, salt: str, reply_format: str = LINES
) -> list[Message]:
    """The conversation that asks for the pairs of some briefs about one utterance or pair of
    them."""
    worked = load_worked(request.kind.name, request.language)
    shown = _choose(worked.briefs, briefs[0].form, salt)
    return [
        {"role": "system", "content": _write_system(request, reply_format)},
        {
            "role": "user",
            "content": _write_turn(worked.request, [worked.briefs[place] for place in shown], ""),
        },
        {
            "role": "assistant",
            "content": _write_reply([worked.pairs[place] for place in shown], reply_format),
        },
        {"role": "user", "content": _write_turn(request, briefs, salt)},
    ]


def make_sampling(
    count: int, reply_format: str = LINES, *, is_spoken: bool = False
) -> dict[str, Any]:
    """The parameters of a call for so many pairs."""
    sampling: dict[str, Any] = {
        **SAMPLING,
        "max_tokens": min(_MOST_TOKENS, _TOKENS_A_PAIR * (count + 1)),
    }
    if reply_format == JSON_OBJECT:
        sampling["response_format"] = {"type": "json_object"}
    if reply_format == JSON_SCHEMA:
        sampling["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "pairs", "strict": True, "schema": _make_schema(is_spoken)},
        }
    return sampling


def _make_schema(is_spoken: bool) -> dict[str, Any]:
    names = ["instruction"] if is_spoken else ["question", "answer"]
    pair = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "required": names,
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"pairs": {"type": "array", "items": pair}},
        "required": ["pairs"],
        "additionalProperties": False,
    }


def _write_system(request: Request, reply_format: str) -> str:
    kind = request.kind
    clip = "clips" if kind.clips == 2 else "clip"
    form = _LINE_FORMAT if reply_format == LINES else _OBJECT_FORMAT
    rules = [
        _SPOKEN_SCENE if kind.is_spoken else _SCENES[kind.clips],
        _TASKS[kind.name],
        _WANTED if kind.is_spoken else _HEARD.format(clip=clip),
        "" if kind.name == "unrelated" else _TRUE,
        "" if kind.name == "numeric_time" else _NO_TIMES,
        _BRIEFED,
        form.format(pair=_SPOKEN_PAIR if kind.is_spoken else _PAIR),
        _IN_LANGUAGE[request.language],
    ]
    return "\n".join(filter(None, rules))


def _write_turn(request: Request, briefs: Sequence[Brief], salt: str) -> str:
    """The data, and behind it what is wanted."""
    kind = request.kind
    clip = "clips" if kind.clips == 2 else "clip"
    what = "request" if kind.is_spoken else "question with its answer"
    wanted = (
        f"Write one {what}:"
        if len(briefs) == 1
        else f"Write {len(briefs)} of these, in this order, each a {what}:"
    )
    lines = [f"{number}. {write_brief(brief, request)}" for number, brief in enumerate(briefs, 1)]
    return "\n".join([wrap_data(request.data, salt=salt, clip=clip), "", wanted, *lines])


def _write_reply(pairs: Sequence[dict[str, str]], reply_format: str) -> str:
    said = [{"instruction": pair["question"]} if "answer" not in pair else pair for pair in pairs]
    if reply_format != LINES:
        return json.dumps({"pairs": said}, ensure_ascii=False)
    return "\n".join(json.dumps(pair, ensure_ascii=False) for pair in said)


def _choose(known: Sequence[Brief], form: str, salt: str) -> list[int]:
    """Which pairs of the example are shown: others for other utterances, and last one of the form
    that is asked for."""
    start = int(make_key(salt)[:8], 16) % len(known)
    places = sorted(range(len(known)), key=lambda place: (place - start) % len(known))
    return sorted(places, key=lambda place: _KINDS.get(known[place].form) == _KINDS.get(form))[
        -_SHOWN:
    ]
