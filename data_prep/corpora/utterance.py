"""What any corpus tells about an utterance before it is measured; one line of utterances.jsonl.

    {"id", "language", "split", "speaker", "duration", "transcript", "topic", "phonemes", "is_question", "gender",
     "age_category", "accent", "words": [{"word", "position", "start", "end"}, …], "truth": {key: value}}

`truth` holds what a synthesizer was told; it is empty for recorded speech and serves rank correlations only.
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
    speaker: str
    duration: float
    transcript: str
    topic: str
    phonemes: str
    is_question: bool
    gender: str
    age_category: str
    accent: str
    words: tuple[WordSpan, ...]
    truth: dict[str, float]

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)


def parse_utterance(line: str) -> Utterance:
    """Reads one line of utterances.jsonl."""
    row: dict[str, Any] = json.loads(line)
    words = tuple(WordSpan(**word) for word in row.pop("words"))
    return Utterance(**row, words=words)
