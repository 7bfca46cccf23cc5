"""A measured corpus and a decoder to SIFT files: each utterance with instructions that the decoder has
answered by itself.

    metadata.jsonl ─ describe ─► prompts ─ batches ─► answers (journal) ─ rules ─► sift/{split}/self_generated/{lang}/
                                                                                         self_generated_text/{lang}/
                                                                            └────► rejected.jsonl   report.json

Each answer is two rows, in the same order: the recording with the instruction, and the text that was
read with it. What is in a batch is decided before anything is answered, and a batch is in the
journal before the next begins: killed at any moment, the same command writes the same bytes.
"""

import collections
import dataclasses
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from data_prep.instructions.filters.candidate import Candidate
from data_prep.instructions.llm.metadata_reader import Sources, parse_line
from data_prep.instructions.llm.requests import list_labels
from data_prep.instructions.rows import lay_out_row
from data_prep.llm.journal import Journal, make_key
from data_prep.self_answer.describe import VERSION, describe, write_prompt
from data_prep.self_answer.rules import find_answer_fault
from sift_jax.endpoints.client import Reply
from sift_jax.sift.rows import (
    LANGUAGES,
    SELF_GENERATED,
    SELF_GENERATED_TEXT,
    SPLITS,
    Row,
    read_rows,
    write_rows,
)
from sift_jax.storage.whole_files import write_whole

# Prompts among which those of like length are answered together, in batches.
_SORTED_BATCHES = 16
_WHOLE, _CUT = "stop", "length"
_SHIPPED = Path(__file__).with_name("instructions.json")
Instructions = Mapping[str, Sequence[str]]


class Answerer(Protocol):
    """What answers: a decoder, made ready for batches of `rows`."""

    rows: int

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides what it says, but the prompt and its number."""

    def count_tokens(self, prompt: str) -> int: ...

    def answer(self, prompts: Sequence[str], draws: Sequence[int]) -> list[Reply]:
        """At most `rows` of them; `draws` are numbers by which each draws its tokens."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What is asked. `utterances` limits each split and language, `answers` each utterance."""

    splits: tuple[str, ...] = ("train", "dev")
    languages: tuple[str, ...] = LANGUAGES
    utterances: int | None = None
    answers: int = 3
    corpus: str = "embedded"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in {"splits": SPLITS, "languages": LANGUAGES}.items():
            wrong = [entry for entry in getattr(self, name) if entry not in known]
            if wrong or not getattr(self, name):
                raise ValueError(
                    f"--{name}: {wrong[0]!r} is not known; choose of {', '.join(known)}"
                    if wrong
                    else f"--{name} is empty; choose of {', '.join(known)}"
                )
        for name in ("answers", "utterances"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"--{name} is {getattr(self, name)}; give 1 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """One instruction about one utterance."""

    identity: str
    instruction: str
    prompt: str
    # by which its tokens are drawn, the same wherever it stands among others
    draw: int
    truths: dict[str, str]
    transcript: str


def read_instructions(path: Path | None) -> Instructions:
    """Language to instructions: those of a JSON file, or ours."""
    source = path or _SHIPPED
    try:
        value = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{source} cannot be read ({error}); give a JSON object: "
            '{"en": ["Describe the voice.", …], "de": […]}'
        ) from None
    is_table = isinstance(value, dict) and all(
        isinstance(texts, list) and texts and all(isinstance(x, str) and x.strip() for x in texts)
        for texts in value.values()
    )
    if not is_table or not value:
        raise ValueError(
            f'{source} is not a table of instructions; give {{"en": ["Describe the voice.", …]}}'
        )
    if unknown := sorted(set(value) - set(LANGUAGES)):
        raise ValueError(f"{source}: {unknown[0]!r} is not one of {', '.join(LANGUAGES)}")
    return {language: list(dict.fromkeys(texts)) for language, texts in value.items()}


def list_asked(
    sources: Sources, split: str, language: str, instructions: Sequence[str], plan: Plan
) -> Iterator[Asked]:
    """The instructions of a split and language, in the order of the metadata."""
    with sources.path.open("rb") as file:
        for place in sources.draw(split, language, plan.utterances, plan.seed):
            file.seek(place)
            utterance = parse_line(file.readline())
            description = describe(utterance)
            if description is None:
                continue
            rng = random.Random(f"{plan.seed}/{utterance['id']}")
            chosen = rng.sample(instructions, min(plan.answers, len(instructions)))
            for instruction in chosen:
                yield Asked(
                    identity=utterance["id"],
                    instruction=instruction,
                    prompt=write_prompt(description, instruction),
                    draw=rng.getrandbits(31),
                    truths=list_labels(utterance),
                    transcript=utterance["transcript"],
                )


def answer_all(
    asked: Sequence[Asked], answerer: Answerer, journal: Journal
) -> Iterator[tuple[Asked, Reply]]:
    """Each with its reply, in their order; those of like length are answered together."""
    identity = {**answerer.identity, "version": VERSION}
    keys = [make_key({**identity, "prompt": x.prompt, "draw": x.draw}) for x in asked]
    lengths = [answerer.count_tokens(x.prompt) for x in asked]
    order = sorted(range(len(asked)), key=lambda i: lengths[i])
    for start in range(0, len(order), answerer.rows):
        batch = order[start : start + answerer.rows]
        # a batch of which a part is there is answered again as a whole: so it says the same
        if any(journal.get(keys[i]) is None for i in batch):
            replies = answerer.answer(
                [asked[i].prompt for i in batch], [asked[i].draw for i in batch]
            )
            for i, reply in zip(batch, replies, strict=True):
                journal.add(keys[i], reply)
    for one, key in zip(asked, keys, strict=True):
        said = journal.get(key)
        assert said is not None
        yield one, said


def write_self_answers(
    metadata: str | Path,
    out: Path,
    *,
    answerer: Answerer,
    plan: Plan,
    instructions: Instructions,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Writes the SIFT files of a corpus and returns the report."""
    sources = Sources(metadata)
    if lacking := [language for language in plan.languages if language not in instructions]:
        raise ValueError(
            f"there are no instructions in {lacking[0]!r}; add some to --instructions, or leave "
            "the language out of --languages"
        )
    drops: list[dict[str, Any]] = list(sources.rejected)
    counts: dict[str, dict[str, int]] = {}
    with Journal(out / "answers.jsonl") as journal:
        for split in plan.splits:
            for language in plan.languages:
                rows = _answer_language(
                    sources,
                    (split, language),
                    instructions[language],
                    plan,
                    answerer,
                    journal,
                    drops,
                )
                for category, found in rows.items():
                    path = out / "sift" / split / category / language / "split0.jsonl"
                    if found:
                        write_rows(path, found)
                    else:
                        # what an earlier run with other flags has left
                        path.unlink(missing_ok=True)
                counts.setdefault(split, {})[language] = len(rows[SELF_GENERATED])
                tell(f"{split} {language}: {len(rows[SELF_GENERATED])} answers are kept")
    lines = (json.dumps(entry, ensure_ascii=False) + "\n" for entry in drops)
    write_whole(out / "rejected.jsonl", "".join(lines))
    report = {
        "utterances": len(sources),
        "answers": counts,
        "drops": dict(sorted(collections.Counter(entry["reason"] for entry in drops).items())),
    }
    _check_files(out, report)
    write_whole(out / "report.json", json.dumps(report, ensure_ascii=False, indent=1) + "\n")
    return report


def _answer_language(
    sources: Sources,
    place: tuple[str, str],
    instructions: Sequence[str],
    plan: Plan,
    answerer: Answerer,
    journal: Journal,
    drops: list[dict[str, Any]],
) -> dict[str, list[Row]]:
    split, language = place
    asked = list_asked(sources, split, language, instructions, plan)
    rows: dict[str, list[Row]] = {SELF_GENERATED: [], SELF_GENERATED_TEXT: []}
    while block := list(_take(asked, answerer.rows * _SORTED_BATCHES)):
        for one, reply in answer_all(block, answerer, journal):
            answer = " ".join(reply.text.split())
            candidate = Candidate(
                question=one.instruction,
                answer=answer,
                set_name="open_ended",
                language=language,
                truths=(one.truths,),
                transcripts=(one.transcript,),
            )
            fault = find_answer_fault(candidate, is_whole=reply.finish == _WHOLE)
            if fault:
                item = {"question": one.instruction, "answer": answer}
                drops.append(
                    {"split": split, "language": language, "ids": [one.identity]}
                    | {"reason": fault, "item": item}
                )
                continue
            heard, read = make_rows(one, answer, data_source=f"{plan.corpus}_{language}")
            rows[SELF_GENERATED].append(heard)
            rows[SELF_GENERATED_TEXT].append(read)
    return rows


def make_rows(asked: Asked, answer: str, *, data_source: str) -> tuple[Row, Row]:
    """The answer behind the recording, and behind the text that was read."""
    heard = lay_out_row(
        [asked.identity],
        SELF_GENERATED,
        asked.instruction,
        answer,
        data_source=data_source,
        draw="",
        # as the text stands before it: what an utterance's questions share is then all of it
        first_share=1.0,
    )
    read = Row(
        id=asked.identity,
        messages=[
            {"role": "user", "content": [{"text": asked.prompt}]},
            {"role": "assistant", "content": [{"text": answer}]},
        ],
        task=SELF_GENERATED_TEXT,
        data_source=data_source,
    )
    return heard, read


def _take(items: Iterator[Asked], most: int) -> Iterator[Asked]:
    for _, item in zip(range(most), items, strict=False):
        yield item


def _check_files(out: Path, report: dict[str, Any]) -> None:
    """Both categories have the rows that were counted, as they lie on the disk."""
    for split, languages in report["answers"].items():
        for language, count in languages.items():
            for category in (SELF_GENERATED, SELF_GENERATED_TEXT):
                path = out / "sift" / split / category / language / "split0.jsonl"
                found = sum(1 for _ in read_rows(path)) if count else 0
                if found != count:
                    raise ValueError(
                        f"{path} has {found} rows where {count} were written; another program may "
                        "write there: start again"
                    )


def format_report(report: dict[str, Any]) -> list[str]:
    """The counts of a run, as lines."""
    lines = [
        f"{split:9s}" + "  ".join(f"{code} {n}" for code, n in languages.items())
        for split, languages in report["answers"].items()
    ]
    return lines + [f"{count:9d} dropped: {reason}" for reason, count in report["drops"].items()]
