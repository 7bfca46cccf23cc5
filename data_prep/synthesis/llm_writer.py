"""Questions and answers written by a language model from what is said in a recording.

    transcript ─ prompt ─► reply ─ find_objects ─►  pairs ─ rules ─►  kept
                             │        └─ broken ─ asked once more ─►  drop "not JSON"
                             ├─ {"nothing": "two words"} ──────────►  drop "nothing to ask"
                             └─ no reply ──────────────────────────►  drop "no answer: http 500"
"""

from pathlib import Path
from typing import Any

from data_prep.instructions.llm.converse import Drop, read_reply
from data_prep.instructions.llm.prompts import make_second_try, wrap_data
from data_prep.llm.cache import CachedClient, Prices
from data_prep.llm.client import CallError, ChatClient, Endpoint, Message
from data_prep.llm.journal import Journal
from data_prep.llm.repair import find_objects
from data_prep.quality.rules import Candidate, find_fault, make_duplicate_key
from data_prep.synthesis.writer import Written
from sift_jax.endpoints.secret import read_secret

VERSION = "1"
SAMPLING = {"temperature": 0.7, "top_p": 0.9, "max_tokens": 1024}
_NAMES = {"en": "English", "de": "German", "fr": "French", "it": "Italian", "es": "Spanish"}
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
Write up to {count}, each as one JSON object on a line of its own: {{"question": "…", "answer": "…"}}. No numbering, \
no fence, no word before or after. Where so little is said that there is no such question, write {{"nothing": "why"}} \
instead.
Write everything in {language}; only the JSON keys stay as they are."""


class LlmWriter:
    """One journal, one server."""

    def __init__(self, endpoint: Endpoint, calls: Path, *, pairs: int, seed: int):
        self.journal = Journal(calls)
        client = ChatClient(endpoint, read_secret(endpoint.key_variable), seed=seed)
        self.client = CachedClient(client, self.journal, version=f"synthesis {VERSION}")
        self.pairs, self.seed, self.calls = pairs, seed, endpoint.concurrency

    def write(self, identity: str, language: str, transcript: str) -> Written:
        shown = transcript if len(transcript) <= _LONGEST else transcript[:_LONGEST].rsplit(" ", 1)[0] + " …"
        messages: list[Message] = [
            {"role": "system", "content": _SYSTEM.format(count=self.pairs, language=_NAMES[language])},
            {"role": "user", "content": wrap_data({"words": shown}, salt=f"{self.seed}/{identity}", clip="recording")}]
        try:
            text = self.client.ask(messages, SAMPLING).text
        except CallError as error:
            return Written.nothing(f"no answer: {error.reason}", error.detail)
        if (excuse := _find_excuse(text)) is not None:
            return Written.nothing("nothing to ask", excuse)
        pairs, drops = read_reply(text, is_spoken=False)
        if drops and not pairs:
            pairs, drops = self._ask_again(messages, text, drops)
        drops += [Drop(reason="too many", detail=f"{self.pairs} were asked for", item=pair)
                  for pair in pairs[self.pairs:]]
        kept, found = check_pairs(pairs[:self.pairs], language, transcript)
        return Written(pairs=kept, drops=drops + found)

    def _ask_again(self, messages: list[Message], text: str,
                   drops: list[Drop]) -> tuple[list[dict[str, str]], list[Drop]]:
        problem = f"That could not be read as JSON ({drops[0].detail})."
        try:
            reply = self.client.ask(make_second_try(messages, text, problem, is_spoken=False), SAMPLING)
        except CallError:
            return [], drops
        return read_reply(reply.text, is_spoken=False)

    def stop(self) -> None:
        self.client.client.stop()

    def report(self) -> dict[str, Any]:
        return self.client.report(Prices())

    def close(self) -> None:
        self.journal.__exit__()


def check_pairs(pairs: list[dict[str, str]], language: str,
                transcript: str) -> tuple[list[dict[str, str]], list[Drop]]:
    """What the project's rules on instructions leave, and what they take."""
    kept: list[dict[str, str]] = []
    drops: list[Drop] = []
    seen: set[str] = set()
    for pair in pairs:
        candidate = Candidate(question=pair["question"], answer=pair["answer"], set_name="open_ended",
                              language=language, truths=({},), transcripts=(transcript,))
        fault, key = find_fault(candidate), make_duplicate_key(candidate)
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
