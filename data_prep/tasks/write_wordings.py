"""More wordings of stage 1's instructions, written by a language model.

python -m data_prep.tasks.write_wordings --out=data/wordings --endpoint=http://localhost:8000/v1
--model=…
    [--tasks=asr,translation] [--languages=en,de] [--count=20] [--a_call=4] [--calls=12]

the package's own wordings, some of them each time ─►  a call  ─►  wordings ─ slots, language, length, twice? ─►
    OUT/wordings.json      for python -m data_prep.tasks --wordings=OUT/wordings.json
    OUT/rejected.jsonl     what was written beside it, and why it is not taken
    OUT/calls.jsonl        finished calls: the same command asks none of them again
"""

import argparse
import collections
import dataclasses
import json
import random
import re
from collections.abc import Sequence
from pathlib import Path

from data_prep.llm.cached_client import CachedClient, Prices
from data_prep.llm.chat_client import ChatClient, Endpoint
from data_prep.llm.flags import add_endpoint_flags, make_endpoint
from data_prep.llm.journal import Journal
from data_prep.llm.json_repair import find_objects
from data_prep.tasks.example_to_row import LISTS, load_templates
from data_prep.tasks.wordings import Wordings, find_wording_fault, make_wording_key
from sift_jax.endpoints.client import CallError, Message
from sift_jax.endpoints.secret import read_secret
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.labels import LANGUAGE_NAMES, LANGUAGES
from sift_jax.storage.whole_files import write_whole

VERSION = "wordings 1"
# Warmer than questions about clips: here all that counts is that they differ.
SAMPLING = {"temperature": 0.9, "top_p": 0.95}
_TOKENS_A_WORDING = 60
_SHOWN = 4
_TASKS = {
    "asr": "to write down what is said in a recording, word for word",
    "translation": "to translate what is said in a recording, in writing",
    "emotion": "to choose one word of a list that names the emotion in a voice",
    "speaker_asr": "to write down a conversation, with who says what, a line for each turn",
    "intent": "to choose from a list what a spoken command wants",
    "slots": "to list the details of a spoken command, a line each, as name: value",
    "tts": "to speak a text that is written behind the instruction",
    "speech_to_speech": "to speak the translation of what is said in a recording",
}
_SLOTS = {
    "translation": "It names the language by {into} or by {in}, and may say {from}, as the examples do: "
    "these three "
    'stand for words such as "{into_words}", "{in_words}" and "{from_words}".',
    "emotion": "It holds {labels} once, where the list of words is put in.",
    "intent": "It ends with a line break and {options}, where the list is put in.",
    "tts": "It ends with a space and {text}, where the text is put in.",
}
_SLOTS["speech_to_speech"] = _SLOTS["translation"]
_SYSTEM = """You write instructions for an assistant that can hear and speak: what a person says who wants something \
of it. All of them ask for the same thing, each in other words: some short, some long, some polite, some plain, \
commands and questions.
Write each as one JSON object on a line of its own: {"instruction": "…"}. No numbering, no fence, no word before or \
after."""
# "3. Write it down." where JSON was asked for
_LINE = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s+[\"“]?(.+?)[\"”]?\s*$", re.MULTILINE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wish:
    """How many wordings of each task and language, in calls for so many each, and how many calls at
    most."""

    count: int
    a_call: int
    calls: int
    seed: int

    def __post_init__(self) -> None:
        for name in ("count", "a_call", "calls"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name}={getattr(self, name)} is too small; give at least 1")


def write_task_wordings(
    client: CachedClient, task: str, language: str, wish: Wish
) -> tuple[list[str], list[dict[str, str]]]:
    """New wordings of a task's instruction, and those that were not taken."""
    own = load_templates(language)[task]
    seen = {make_wording_key(text) for text in own}
    kept: list[str] = []
    rejected: list[dict[str, str]] = []
    for call in range(wish.calls):
        if len(kept) >= wish.count:
            break
        rng = random.Random(f"{wish.seed}/{task}/{language}/{call}")
        count = min(wish.a_call, wish.count - len(kept))
        messages = make_messages(
            task, language, rng.sample(own, min(_SHOWN + count, len(own))), count
        )
        place = {"language": language, "task": task}
        try:
            reply = client.ask(
                messages, {**SAMPLING, "max_tokens": _TOKENS_A_WORDING * (count + 1)}
            )
        except CallError as error:
            rejected.append({**place, "reason": f"no answer: {error.reason}", "text": error.detail})
            continue
        for text in read_wording_reply(reply.text):
            key = make_wording_key(text)
            fault = find_wording_fault(text, task, language) or ("twice" if key in seen else None)
            if fault is None and len(kept) < wish.count:
                seen.add(key)
                kept.append(text)
            else:
                rejected.append({**place, "reason": fault or "more than asked for", "text": text})
    return kept, rejected


def make_messages(task: str, language: str, examples: Sequence[str], count: int) -> list[Message]:
    """As if some of the examples had been asked for and written; a new order of them is a new
    call."""
    shown, rest = examples[:-count] or examples, examples[-count:]
    return [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": _write_turn(task, language, len(shown))},
        {"role": "assistant", "content": _write_lines(shown)},
        {"role": "user", "content": _write_turn(task, language, len(rest))},
        {"role": "assistant", "content": _write_lines(rest)},
        {"role": "user", "content": _write_turn(task, language, count, is_more=True)},
    ]


def _write_turn(task: str, language: str, count: int, *, is_more: bool = False) -> str:
    words = {
        f"{name}_words": load_templates(language)[name]["en"] for name in ("from", "into", "in")
    }
    slots = _SLOTS.get(task, "")
    for name, text in words.items():
        slots = slots.replace(f"{{{name}}}", text)
    how = (
        "one more instruction"
        if count == 1
        else f"{count} more instructions"
        if is_more
        else f"{count} instructions"
    )
    other = " None may be like those above." if is_more else ""
    return " ".join(
        filter(None, (f"Write {how} {_TASKS[task]}, in {LANGUAGE_NAMES[language]}.", slots + other))
    )


def _write_lines(texts: Sequence[str]) -> str:
    return "\n".join(json.dumps({"instruction": text}, ensure_ascii=False) for text in texts)


def read_wording_reply(text: str) -> list[str]:
    """The wordings in a reply: those in JSON, or else the lines of a list."""
    found = [
        value
        for entry in find_objects(text).objects
        for value in entry.values()
        if isinstance(value, str)
    ]
    found = found or [match[1] for match in _LINE.finditer(text)]
    return [
        "\n".join(" ".join(line.split()) for line in wording.strip().splitlines())
        for wording in found
        if wording.strip()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the wordings of all tasks and languages that are asked for, and says what came of
    it."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags), can_resume=True)


def _run(flags: argparse.Namespace) -> None:
    out: Path = flags.out
    wish = Wish(count=flags.count, a_call=flags.a_call, calls=flags.calls, seed=flags.seed)
    tasks, languages = (
        _split(getattr(flags, name), known, name)
        for name, known in (("tasks", LISTS), ("languages", LANGUAGES))
    )
    endpoint = make_endpoint(flags)
    if endpoint is None:
        raise ValueError("no server to ask; give --endpoint=<address with /v1> and --model")
    report = write_wordings(out, endpoint, tasks, languages, wish)
    print("\n".join(report))
    print(f"wordings {out}/wordings.json   skipped {out}/rejected.jsonl")


def write_wordings(
    out: Path, endpoint: Endpoint, tasks: Sequence[str], languages: Sequence[str], wish: Wish
) -> list[str]:
    """The files of a folder; returns what came of it in lines."""
    places = [(language, task) for language in languages for task in tasks]
    with Journal(out / "calls.jsonl") as journal:
        client = CachedClient(
            ChatClient(endpoint, read_secret(endpoint.key_variable), seed=wish.seed),
            journal,
            version=VERSION,
        )
        outcomes = list(
            client.map(lambda place: write_task_wordings(client, place[1], place[0], wish), places)
        )
        run = client.report(Prices())["this_run"]
    wordings: Wordings = {}
    reasons: collections.Counter[str] = collections.Counter()
    lines: list[str] = []
    for (language, task), (kept, rejected) in zip(places, outcomes, strict=True):
        wordings.setdefault(language, {})[task] = kept
        reasons.update(entry["reason"] for entry in rejected)
        lines.append(f"{language} {task:18s} {len(kept):4d} of {wish.count}")
    write_whole(
        out / "rejected.jsonl",
        "".join(
            json.dumps(entry, ensure_ascii=False) + "\n"
            for _, rejected in outcomes
            for entry in rejected
        ),
    )
    write_whole(out / "wordings.json", json.dumps(wordings, ensure_ascii=False, indent=1) + "\n")
    lines += [f"{count:9d} not taken: {reason}" for reason, count in reasons.most_common()]
    return [
        *lines,
        f"{run['calls']} calls, {run['from_journal']} from the journal; {run['prompt_tokens']} + "
        f"{run['completion_tokens']} tokens",
    ]


def _split(text: str, known: Sequence[str], name: str) -> list[str]:
    found = list(dict.fromkeys(filter(None, text.split(","))))
    if strange := [entry for entry in found if entry not in known] or (
        [] if found else ["nothing"]
    ):
        raise ValueError(f"--{name}: {strange[0]} is not known; choose of {','.join(known)}")
    return found


def make_parser() -> Parser:
    """Of which tasks and languages, how many, and by which server."""
    parser = Parser(
        "data_prep.tasks.write_wordings",
        description="Has a language model write more paraphrases of stage 1's instructions.",
        examples=(
            "--out=data/wordings --endpoint=http://localhost:8000/v1 --model=Qwen2.5-7B-Instruct "
            "--tasks=asr,translation --languages=en,de",
        ),
    )
    add = parser.add_argument
    add(
        "--out",
        type=Path,
        required=True,
        help="folder for the paraphrases and the journal of calls",
    )
    add("--tasks", default=",".join(LISTS), help="comma-separated, of " + ", ".join(LISTS))
    add("--languages", default=",".join(LANGUAGES), help="comma-separated")
    add("--count", type=int, default=20, help="new paraphrases of each task and language, at most")
    add("--a_call", type=int, default=4, help="so many of them in one call")
    add("--calls", type=int, default=12, help="calls for each task and language, at most")
    add("--seed", type=int, default=0, help="decides which paraphrases are shown")
    add_endpoint_flags(parser, "with /chat/completions")
    return parser


if __name__ == "__main__":
    main()
