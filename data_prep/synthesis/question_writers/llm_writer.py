"""Questions and answers written by a language model from what is said in a recording.

    transcript ─ Prompt ─► reply ─ find_objects ─►  pairs ─ rules ─►  kept
                             │        └─ none of use ─ asked again for one ─►  drop "not JSON"
                             ├─ {"nothing": "two words"} ──────────────────►  drop "nothing to ask"
                             └─ no reply ──────────────────────────────────►  drop "no answer: http 500"

How the model is asked is a Prompt's: by instructions alone (here), or by examples (few_shot).
"""

from pathlib import Path
from typing import Any, Protocol

from data_prep.instructions.filters.copies import Copies
from data_prep.instructions.filters.rules import Candidate, find_fault, make_duplicate_key
from data_prep.instructions.llm.ask_llm import COPIED, Drop, read_reply
from data_prep.llm.cached_client import CachedClient, Prices
from data_prep.llm.chat_client import ChatClient, Endpoint
from data_prep.llm.framed_data import wrap_data
from data_prep.llm.journal import Journal
from data_prep.llm.json_repair import find_objects
from data_prep.synthesis.question_writers.writer import Written
from sift_jax.endpoints.client import CallError, Message
from sift_jax.endpoints.secret import read_secret

VERSION = "2"
SAMPLING = {"temperature": 0.7, "top_p": 0.9, "max_tokens": 1024}
LANGUAGE_NAMES = {"en": "English", "de": "German", "fr": "French", "it": "Italian", "es": "Spanish"}
_TRIES = 2
_LONGEST = 8_000
_SYSTEM = """You prepare listening exercises. You get the words of a recording, and write what somebody who heard it \
could be asked, and what they would answer.
A good question can be answered by whoever has heard the recording and by nobody else: it asks for what is told in it, \
who does what, where, when, why and how, for what follows from it, or for its gist. It names what it asks about well \
enough to be understood alone, and does not give its own answer away.
A good answer is right, complete and short: a phrase, or a sentence or two, in words of its own where that is natural. \
It holds nothing that the recording does not tell.
The asker has heard the recording and reads nothing: so never speak of a text, a transcript, a passage or a speaker's \
spelling. The words may come without punctuation or capitals, and single words may have been misheard: do not ask \
about those that make no sense.
Write each as one JSON object on a line of its own: {{"question": "…", "answer": "…"}}. No numbering, no fence, \
no word before or after. Where so little is said that there is no such question, write {{"nothing": "why"}} instead.
Write everything in {language}; only the JSON keys stay as they are."""


class Prompt(Protocol):
    """How a model is asked for pairs about a transcript, and what it may not give back. Calls are
    kept by `name`."""

    name: str

    def make(
        self, transcript: str, language: str, *, count: int, salt: str
    ) -> tuple[list[Message], Copies]: ...


class InstructedPrompt:
    """By instructions alone."""

    name = f"synthesis {VERSION}"

    def make(
        self, transcript: str, language: str, *, count: int, salt: str
    ) -> tuple[list[Message], Copies]:
        messages: list[Message] = [
            {"role": "system", "content": _SYSTEM.format(language=LANGUAGE_NAMES[language])},
            {"role": "user", "content": write_turn(transcript, count, salt)},
        ]
        return messages, Copies(())


def write_turn(transcript: str, count: int, salt: str) -> str:
    """The words, and behind them what is wanted: small models go on with what they have read
    last."""
    shown = (
        transcript
        if len(transcript) <= _LONGEST
        else transcript[:_LONGEST].rsplit(" ", 1)[0] + " …"
    )
    wanted = (
        "one question with its answer"
        if count == 1
        else f"up to {count} questions with their answers"
    )
    return f"{wrap_data({'words': shown}, salt=salt, clip='recording')}\n\nWrite {wanted}."


class LlmWriter:
    """One journal, one server."""

    def __init__(self, endpoint: Endpoint, calls: Path, *, prompt: Prompt, pairs: int, seed: int):
        self.journal = Journal(calls)
        client = ChatClient(endpoint, read_secret(endpoint.key_variable), seed=seed)
        self.client = CachedClient(client, self.journal, version=prompt.name)
        self.prompt, self.pairs, self.seed, self.calls = prompt, pairs, seed, endpoint.concurrency

    def write(self, identity: str, language: str, transcript: str) -> Written:
        drops: list[Drop] = []
        for attempt in range(_TRIES):
            # another salt: to the same messages the journal has the same reply
            count = self.pairs if attempt == 0 else 1
            salt = f"{self.seed}/{identity}/{attempt}"
            messages, copies = self.prompt.make(transcript, language, count=count, salt=salt)
            try:
                text = self.client.ask(messages, SAMPLING).text
            except CallError as error:
                return Written(
                    pairs=[],
                    drops=[
                        *drops,
                        *Written.nothing(f"no answer: {error.reason}", error.detail).drops,
                    ],
                )
            if (excuse := _find_excuse(text)) is not None:
                return Written(
                    pairs=[], drops=[*drops, *Written.nothing("nothing to ask", excuse).drops]
                )
            pairs, found = read_reply(text, is_spoken=False)
            drops += found
            drops += [
                Drop(reason="too many", detail=f"{count} were asked for", item=pair)
                for pair in pairs[count:]
            ]
            kept, found = check_pairs(pairs[:count], language, transcript, copies)
            drops += found
            if kept:
                return Written(pairs=kept, drops=drops)
        return Written(pairs=[], drops=drops)

    def stop(self) -> None:
        self.client.client.stop()

    def report(self) -> dict[str, Any]:
        return self.client.report(Prices())

    def close(self) -> None:
        self.journal.__exit__()


def check_pairs(
    pairs: list[dict[str, str]], language: str, transcript: str, copies: Copies
) -> tuple[list[dict[str, str]], list[Drop]]:
    """What the project's rules on instructions leave, and what they take."""
    kept: list[dict[str, str]] = []
    drops: list[Drop] = []
    seen: set[str] = set()
    for pair in pairs:
        candidate = Candidate(
            question=pair["question"],
            answer=pair["answer"],
            set_name="open_ended",
            language=language,
            truths=({},),
            transcripts=(transcript,),
        )
        fault, key = find_fault(candidate), make_duplicate_key(candidate)
        if any(copies.has(text) for text in pair.values()):
            fault = COPIED
        fault = fault or ("duplicate" if key in seen else None)
        seen.add(key)
        if fault is None:
            kept.append(pair)
        else:
            drops.append(Drop(reason=fault, detail="", item=pair))
    return kept, drops


def _find_excuse(text: str) -> str | None:
    """Why the writer found nothing to ask, where it says so and nothing else."""
    objects = find_objects(text).objects
    if len(objects) != 1 or "question" in objects[0] or "nothing" not in objects[0]:
        return None
    return str(objects[0]["nothing"])
