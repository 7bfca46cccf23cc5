"""What any corpus tells about an utterance before it is measured; one line of utterances.jsonl.

    {"id", "language", "split", "speaker", "duration", "transcript", "topic", "phonemes", "is_question", "gender",
     "age_category", "accent", "words": [{"word", "position", "start", "end"}, …], "truth": {key:
     value}, "fields": {name: value}, "collection": "…"}

What a corpus does not have is null, and its words are [] where nobody knows their times. `fields`
are free ones as the corpus writes them; a file that lacks them is read as having none. `collection`
is the corpus that a line of a manifest is from, where it says so: it is asked about by nobody, but
recordings of two have not the same level. `truth` holds what a synthesizer was told; it is empty
for recorded speech and serves rank correlations only.
"""

import dataclasses
import json
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class WordSpan:
    word: str
    position: int
    start: float
    end: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Utterance:
    id: str
    language: str
    split: str
    speaker: str | None
    duration: float
    transcript: str
    topic: str | None
    phonemes: str | None
    is_question: bool | None
    gender: str | None
    age_category: str | None
    accent: str | None
    words: tuple[WordSpan, ...]
    truth: dict[str, float]
    fields: dict[str, str] = dataclasses.field(default_factory=dict)
    collection: str | None = None

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)


def parse_utterance(line: str) -> Utterance:
    """Reads one line of utterances.jsonl."""
    row: dict[str, Any] = json.loads(line)
    words = tuple(WordSpan(**word) for word in row.pop("words"))
    return Utterance(**row, words=words)
