"""A writer that is shown how: the prompt is a few transcripts with their questions and answers, and
then the next one.

    examples ─ some of them, drawn for each transcript ─►  user "words …"  assistant {"question": …, "answer": …}
                                                                user "words …"  assistant {"question": …, "answer": …}
                                                                user "words …"  ─►  the model goes on

The examples are few_shot.json's, in five languages, or a file of one's own: JSON lines with
`transcript` (or `text`), `question`, `answer` and `language` (English if not given), as
`triples.jsonl` of the other commands is. So the questions of a set that was written by people teach
what a question is like. What comes back of an example is dropped.
"""

import functools
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.instructions.filters.copies import Copies
from data_prep.llm.journal import make_key
from data_prep.synthesis.question_writers.llm_writer import LANGUAGE_NAMES, write_turn
from sift_jax.endpoints.client import Message
from sift_jax.sift.labels import LANGUAGES

Shot = dict[str, str]
_VERSION = "1"
_EXAMPLES = Path(__file__).with_name("few_shot.json")
# A longer transcript is no example: the prompt would be nothing else.
_LONGEST = 1_500
_MOST = 2_000
_SYSTEM = """Somebody has heard a recording. You get the words that are said in it, and write what could be asked \
about it, and the answer that the recording gives: short, right, and without a word about a text or a transcript.
Write each as one JSON object on a line of its own: {{"question": "…", "answer": "…"}}.
Write everything in {language}; only the JSON keys stay as they are."""


class FewShotPrompt:
    """Examples by language; each transcript gets as many as wanted, others each time."""

    def __init__(self, examples: Mapping[str, Sequence[Shot]], shots: int):
        self.examples, self.shots = examples, shots
        self.name = f"few shots {_VERSION}"

    def make(
        self, transcript: str, language: str, *, count: int, salt: str
    ) -> tuple[list[Message], Copies]:
        known = self._list_examples(language)
        shown = random.Random(make_key(salt)).sample(known, min(self.shots, len(known)))
        messages: list[Message] = [
            {"role": "system", "content": _SYSTEM.format(language=LANGUAGE_NAMES[language])}
        ]
        for shot in shown:
            pair = {name: shot[name] for name in ("question", "answer")}
            messages += [
                {"role": "user", "content": write_turn(shot["transcript"], 1, "")},
                {"role": "assistant", "content": json.dumps(pair, ensure_ascii=False)},
            ]
        texts = tuple(shot[name] for shot in shown for name in ("question", "answer"))
        return [
            *messages,
            {"role": "user", "content": write_turn(transcript, count, salt)},
        ], Copies(texts)

    def _list_examples(self, language: str) -> Sequence[Shot]:
        if not self.examples.get(language):
            raise ValueError(
                f'no example in language {language!r}; add lines with "language": "{language}" to '
                "--examples, or leave it out for those that come with the program"
            )
        return self.examples[language]


@functools.cache
def load_examples(path: Path | None) -> dict[str, list[Shot]]:
    """The examples of a file, or those of the package, by language."""
    if path is None:
        return json.loads(_EXAMPLES.read_text(encoding="utf-8"))
    examples: dict[str, list[Shot]] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    language, shot = _parse_shot(line, f"{path}, line {number}")
                    if (
                        len(shot["transcript"]) <= _LONGEST
                        and len(examples.setdefault(language, [])) < _MOST
                    ):
                        examples[language].append(shot)
    except OSError as error:
        raise ValueError(
            f"{path}: {error.strerror}; give --examples=<JSON lines with transcript, question "
            "and answer>"
        ) from None
    if not any(examples.values()):
        raise ValueError(
            f"{path} holds no example of up to {_LONGEST} letters; give JSON lines with "
            "transcript, question and answer"
        )
    return examples


def _parse_shot(line: str, place: str) -> tuple[str, Shot]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise ValueError(
            f"{place} is not a JSON object; give one with transcript, question and answer"
        )
    given = {
        "transcript": row.get("transcript", row.get("text")),
        "question": row.get("question"),
        "answer": row.get("answer"),
    }
    shot: Shot = {}
    for name, text in given.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(
                f"{place} has no {name}; give each example a transcript, a question and an answer"
            )
        shot[name] = " ".join(text.split())
    language = row.get("language", "en")
    if language not in LANGUAGES:
        raise ValueError(f"{place}: language {language!r} is none of {', '.join(LANGUAGES)}")
    return language, shot
