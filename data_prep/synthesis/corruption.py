"""Transcripts with as many wrong words as are asked for, wrong in the way of a recogniser.

    "there are three red boxes in the kitchen"   at 20 %  ─►   "there are free red boxes the kitchen"

An edit is drawn for each word: of all edits so many are substitutions, deletions and insertions as
in KINDS. A word is substituted by one that is spelled alike, of those the texts themselves use: the
nearer (by letters that are kept, and by how it begins), the likelier. Short words of grammar go
missing, and come in, more often than others. What is drawn depends on the seed and the utterance's
id alone, and a text that is wrong at 5 % is wrong there at 10 %, too.

The rate asked for is that over all texts: jiwer measures the one reached, and the draw is set right
until it is met.
"""

import bisect
import collections
import dataclasses
import difflib
import itertools
import random
from collections.abc import Iterable, Mapping

from data_prep.corpora.splits import normalise_sentence
from sift_jax.extras import import_extra

# What recognisers of read and of spontaneous speech do, roughly: most errors are another word.
KINDS = {"substitution": 0.65, "deletion": 0.20, "insertion": 0.15}
_NEIGHBOURS = 8
# How much more often a word of grammar is dropped than another.
_GRAMMAR_WEIGHT = 3.0
_GRAMMAR = frozenset(
    "a an the of in on at to and or is are was were be been it he she they we i you that this as "
    "by for with from his her their not but have has had do does did so if".split()
)
_LEAST_LIKENESS, _SAME_START, _MOST_LONGER = 0.3, 0.1, 4
_COMPARED = 300
_ROUNDS, _TOLERANCE = 12, 0.0025


class CorruptionError(ValueError):
    """A rate that cannot be reached; one line with the remedy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Corrupted:
    """Texts by id, and what was measured: rate, substitutions, deletions, insertions."""

    texts: Mapping[str, str]
    rate: float
    counts: Mapping[str, int]


def corrupt(texts: Mapping[str, str], rate: float, seed: int) -> Corrupted:
    """Texts by id with `rate` of their words wrong."""
    if not 0 <= rate <= 0.6:
        raise CorruptionError(
            f"a word error rate of {rate:g} is none to make; give one from 0 to 0.6"
        )
    plain = {name: normalise_sentence(text) for name, text in texts.items()}
    if not any(plain.values()):
        raise CorruptionError("the transcripts have no words; nothing can be wrong in them")
    if rate == 0:
        return Corrupted(texts=dict(texts), rate=0.0, counts=dict.fromkeys(KINDS, 0))
    model = ErrorModel(plain.values())
    # an edit beside another may be one edit to jiwer, so that the draw is raised until its measure
    # is right
    low, high, share, best = 0.0, 1.0, rate, None
    for _ in range(_ROUNDS):
        made = {
            name: model.corrupt(text, share, random.Random(f"{seed}/{name}"))
            for name, text in plain.items()
        }
        found = measure_errors(plain, made)
        if best is None or abs(found.rate - rate) < abs(best.rate - rate):
            best = found
        if abs(found.rate - rate) <= _TOLERANCE:
            break
        low, high = (share, high) if found.rate < rate else (low, share)
        share = (low + high) / 2 if high < 1.0 else min(0.99, share * rate / max(found.rate, 1e-3))
    assert best is not None
    return best


def measure_errors(right: Mapping[str, str], wrong: Mapping[str, str]) -> Corrupted:
    jiwer = import_extra("jiwer", "eval")

    names = [name for name, text in right.items() if text]
    found = jiwer.process_words([right[name] for name in names], [wrong[name] for name in names])
    counts = {
        "substitution": found.substitutions,
        "deletion": found.deletions,
        "insertion": found.insertions,
    }
    return Corrupted(texts=dict(wrong), rate=found.wer, counts=counts)


class ErrorModel:
    """Which words there are and how often, and which of them are spelled alike."""

    def __init__(self, texts: Iterable[str]):
        counts = collections.Counter(word for text in texts for word in text.split())
        total, grammar = (
            counts.total(),
            sum(count for word, count in counts.items() if word in _GRAMMAR),
        )
        # by which the draw of a deletion is raised for grammar and lowered for the rest, so that
        # the rate stays
        self.mean_weight = (total - grammar + _GRAMMAR_WEIGHT * grammar) / total
        self.words = sorted(counts, key=lambda word: (-counts[word], word))
        # words of grammar come in more often, too
        weights = (
            counts[word] * (_GRAMMAR_WEIGHT if word in _GRAMMAR else 1.0) for word in self.words
        )
        self.edges = list(itertools.accumulate(weights))
        self.places = collections.defaultdict(list)
        for word in self.words:
            for key in _list_keys(word):
                self.places[key].append(word)
        self.alike: dict[str, list[tuple[str, float]]] = {}

    def corrupt(self, text: str, rate: float, rng: random.Random) -> str:
        """Five draws a word, whatever becomes of it, so that higher rates add to the errors of
        lower ones."""
        said: list[str] = []
        for word in text.split():
            weight = (_GRAMMAR_WEIGHT if word in _GRAMMAR else 1.0) / self.mean_weight
            dropped, changed, added, which, more = (rng.random() for _ in range(5))
            if dropped >= rate * KINDS["deletion"] * weight:
                said.append(
                    self._pick_alike(word, which)
                    if changed < rate * KINDS["substitution"]
                    else word
                )
            if added < rate * KINDS["insertion"]:
                said.append(
                    self.words[bisect.bisect_right(self.edges, more * self.edges[-1] * (1 - 1e-12))]
                )
        return " ".join(said)

    def _pick_alike(self, word: str, draw: float) -> str:
        near = self.alike.get(word)
        if near is None:
            near = self.alike[word] = self.find_alike(word)
        if not near:
            # a name, a number in figures: what is heard is a piece of it
            return word[: max(1, len(word) // 2)] if len(word) > 1 else "uh"
        edges = list(itertools.accumulate(likeness**2 for _, likeness in near))
        return near[min(bisect.bisect_right(edges, draw * edges[-1]), len(near) - 1)][0]

    def find_alike(self, word: str) -> list[tuple[str, float]]:
        """The words nearest in spelling with their likeness, the nearest first; of many, among the
        commonest."""
        if len(self.words) <= _COMPARED:
            candidates: Iterable[str] = self.words
        else:
            candidates = itertools.chain(
                *(self.places[key][:_COMPARED] for key in _list_keys(word))
            )
        matcher = difflib.SequenceMatcher(autojunk=False)
        matcher.set_seq2(word)
        found = {}
        for other in candidates:
            if other == word or abs(len(other) - len(word)) > _MOST_LONGER:
                continue
            matcher.set_seq1(other)
            if (
                matcher.real_quick_ratio() < _LEAST_LIKENESS
                or matcher.quick_ratio() < _LEAST_LIKENESS
            ):
                continue
            likeness = matcher.ratio() + (_SAME_START if other[0] == word[0] else 0.0)
            if likeness >= _LEAST_LIKENESS:
                found[other] = likeness
        return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:_NEIGHBOURS]


def _list_keys(word: str) -> tuple[str, str]:
    """How it begins, and how it ends."""
    return f"{word[:2]}-", f"-{word[-2:]}"
