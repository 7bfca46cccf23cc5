"""Sentences and voices of a split are unseen in every other split.

    written sentences, grouped by (topic, is it a question?) ─► shuffled ─► 80 % train, 10 % dev, 10 % EvalSIFT

    recorded   speakers ─► those that the corpus holds back; else some to EvalSIFT, some to dev until their sizes are
                           reached; the others to train
               sentences ─► a sentence of EvalSIFT goes out of dev and train, one of dev out of train; where that would
                           take more than half of dev or train, the shared sentences are shared out, most to train

What a manifest states is obeyed as it stands. `shared` is what happens to a sentence of several
splits:

    apart: one split alone keeps it      drop: training keeps it, dev and EvalSIFT go without      allow: all keep it
"""

import dataclasses
import functools
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

TRAIN, DEV, EVALUATION = "train", "dev", "EvalSIFT"
SPLITS = (TRAIN, DEV, EVALUATION)
_SHARES = {TRAIN: 0.8, DEV: 0.1, EVALUATION: 0.1}


def split_sentences(
    sentences: Sequence[tuple[str, str]], *, seed: int, language_index: int
) -> dict[str, list[tuple[str, str]]]:
    """Shares (topic, sentence) pairs out over the splits, evenly over topics and questions."""
    if len(set(sentence for _, sentence in sentences)) != len(sentences):
        raise ValueError("a sentence occurs twice, it could land in two splits; remove one of them")
    rng = np.random.default_rng([seed, 71, language_index])
    order = [sentences[i] for i in rng.permutation(len(sentences))]
    # Stable sort: strata lie one after another, shuffled inside; every tenth of that line goes to
    # dev and to EvalSIFT.
    order.sort(key=lambda pair: (pair[1].endswith("?"), pair[0]))
    result: dict[str, list[tuple[str, str]]] = {split: [] for split in SPLITS}
    start = int(rng.integers(10))
    for place, pair in enumerate(order):
        turn = (place + start) % 10
        held = round(10 * _SHARES[DEV])
        split = DEV if turn < held else EVALUATION if turn < 2 * held else TRAIN
        result[split].append(pair)
    for split in SPLITS:
        result[split] = [result[split][i] for i in rng.permutation(len(result[split]))]
    return result


HELD_BACK, OVER_SIZE = "held back by its corpus", "over the size asked for"
ELSEWHERE = "its sentence is in"
SPLIT_REFUSALS = (
    HELD_BACK,
    OVER_SIZE,
    *(f"{ELSEWHERE} {split}" for split in (EVALUATION, DEV, TRAIN)),
)
SHARED_CHOICES = APART, ALLOW, DROP = "apart", "allow", "drop"
# What dev and EvalSIFT are drawn up to where nobody says how large they are to be.
DRAWN = 500
# Of the recordings that may be drawn, training keeps this share at least.
_LEAST_TRAINED = 0.25
# Of sentences that are shared out, one in so many goes to EvalSIFT, and as many to dev.
_SENTENCES_A_HELD = 5
_ORDER = (EVALUATION, DEV, TRAIN)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    """What decides where a recording goes; `held` is the split in which its corpus has it, if
    any."""

    id: str
    language: str
    speaker: str | None
    sentence: str
    held: str | None

    @property
    def group(self) -> str:
        """The speaker; where nobody knows who speaks, at least each sentence keeps together."""
        return (
            f"speaker {self.speaker}"
            if self.speaker
            else f"sentence {self.language} {self.sentence}"
        )

    @property
    def spoken(self) -> tuple[str, str]:
        return self.language, self.sentence


def normalise_sentence(transcript: str) -> str:
    """The words alone: the same sentence in other punctuation and capitals is no other sentence."""
    return " ".join("".join(c if c.isalnum() else " " for c in transcript.casefold()).split())


Sizes = Mapping[str, int | None]
Spoken = tuple[str, str]


def assign_splits(
    candidates: Sequence[Candidate],
    sizes: Sizes,
    *,
    seed: int,
    others: Mapping[str, Sizes] = MappingProxyType({}),
    shared: str | None = None,
    is_stated: bool = False,
) -> dict[str, str]:
    """Id to its split, or to one of SPLIT_REFUSALS; at most `sizes` a language and split, None for
    all that there are.

    Some languages may have sizes of their own, in `others`. The order of the candidates does not
    matter. Nothing that a corpus holds back is ever trained on. With `is_stated`, `held` is a
    manifest's word: such a recording goes there and nowhere else, whoever else is there. Sentences
    are kept `apart` if `shared` is None, but for what is stated, which stays; one of SHARED_CHOICES
    counts for all.
    """
    wanted = {candidate.language: others.get(candidate.language, sizes) for candidate in candidates}
    owners = _place_groups(candidates, wanted, seed, is_stated=is_stated)
    members: dict[str, list[Candidate]] = {split: [] for split in SPLITS}
    for candidate in candidates:
        stated = candidate.held if is_stated else None
        members[stated or owners[candidate.group]].append(candidate)
    members = {split: _take_turns(found, seed) for split, found in members.items()}
    trained = [candidate for candidate in members[TRAIN] if candidate.held not in (DEV, EVALUATION)]
    fill = functools.partial(_fill, members, wanted, shared=shared, is_stated=is_stated)
    if shared == DROP:
        return fill({candidate.spoken: TRAIN for candidate in trained})
    result = fill({})
    starved = _find_starved(trained, result) | _find_starved(members[DEV], result)
    return fill(_share_sentences(members, starved, wanted, seed)) if starved else result


def _fill(
    members: Mapping[str, Sequence[Candidate]],
    wanted: Mapping[str, Sizes],
    reserved: Mapping[Spoken, str],
    *,
    shared: str | None,
    is_stated: bool,
) -> dict[str, str]:
    """Fills the splits one after another; a sentence that is `reserved` for a later one is not
    taken before."""
    result: dict[str, str] = {}
    places: dict[Spoken, str] = {}
    counts: Counter[tuple[str, str]] = Counter()
    # What is stated comes first: it says where its sentences are, and what is drawn has to heed it.
    for stated_turn in (True, False) if is_stated else (False,):
        for split in _ORDER:
            for candidate in members[split]:
                is_told = is_stated and candidate.held is not None
                if is_told != stated_turn:
                    continue
                limit, spoken = wanted[candidate.language][split], candidate.spoken
                if limit is None and split != TRAIN and not is_told:
                    limit = DRAWN
                is_free = shared == ALLOW or (shared is None and is_told)
                place = places.get(spoken, split)
                if place == split and _ORDER.index(reserved.get(spoken, split)) > _ORDER.index(
                    split
                ):
                    place = reserved[spoken]
                if split == TRAIN and candidate.held in (DEV, EVALUATION):
                    result[candidate.id] = HELD_BACK
                elif place != split and not is_free:
                    result[candidate.id] = f"{ELSEWHERE} {place}"
                elif limit is not None and counts[candidate.language, split] >= limit:
                    result[candidate.id] = OVER_SIZE
                else:
                    result[candidate.id] = split
                    places.setdefault(spoken, split)
                    counts[candidate.language, split] += 1
    return result


def _find_starved(members: Iterable[Candidate], placed: Mapping[str, str]) -> set[str]:
    """The languages in which a split loses more than half of its recordings to the sentences of
    other splits."""
    totals: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for candidate in members:
        totals[candidate.language] += 1
        lost[candidate.language] += placed[candidate.id].startswith(ELSEWHERE)
    return {language for language, total in totals.items() if 2 * lost[language] > total}


def _share_sentences(
    members: Mapping[str, Sequence[Candidate]],
    languages: set[str],
    wanted: Mapping[str, Sizes],
    seed: int,
) -> dict[Spoken, str]:
    """Which split keeps each sentence of several: of ten, two go to EvalSIFT, two to dev, six to
    train."""
    heard: dict[Spoken, Counter[str]] = defaultdict(Counter)
    for split, found in members.items():
        for candidate in found:
            if candidate.language in languages and not (
                split == TRAIN and candidate.held in (DEV, EVALUATION)
            ):
                heard[candidate.spoken][split] += 1
    reserved: dict[Spoken, str] = {}
    for language in sorted(languages):
        several = [
            spoken for spoken, found in heard.items() if spoken[0] == language and len(found) > 1
        ]
        free = sorted(several, key=lambda spoken: _draw(seed, f"sentence {spoken[1]}"))
        share = max(1, len(free) // _SENTENCES_A_HELD)
        for split in (EVALUATION, DEV):
            size = wanted[language][split]
            target, taken = DRAWN if size is None else size, 0
            count = sum(
                found[split]
                for spoken, found in heard.items()
                if spoken[0] == language and len(found) == 1
            )
            for spoken in [spoken for spoken in reversed(free) if heard[spoken][split]]:
                # The last is for training.
                if count >= target or taken >= share or len(free) == 1:
                    break
                free.remove(spoken)
                reserved[spoken], taken, count = split, taken + 1, count + heard[spoken][split]
        reserved |= {spoken: TRAIN if heard[spoken][TRAIN] else DEV for spoken in free}
    return reserved


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leak:
    """What stands in several splits: an id, a speaker, a sentence after its language, or the
    samples."""

    key: str
    value: str
    splits: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.key} {self.value!r} is in {' and '.join(self.splits)}"


def find_leaks(
    rows: Iterable[Mapping[str, Any]], keys: Sequence[str] = ("id", "speaker", "sentence")
) -> list[Leak]:
    """What stands in more than one split; empty is the proof that nothing does.

    There may be millions of rows: of what stands in one split, a hash is held and no more.
    """
    places: dict[int, str | frozenset[str]] = {}
    leaks: dict[tuple[str, str], int] = {}
    for row in rows:
        split = row["split"]
        for key in keys:
            value = normalise_sentence(row["transcript"]) if key == "sentence" else row[key]
            if not value:
                continue
            name = (key, f"{row['language']} {value}" if key == "sentence" else value)
            seen = places.setdefault(hash(name), split)
            if seen != split:
                places[hash(name)] = (
                    seen if isinstance(seen, frozenset) else frozenset((seen,))
                ) | {split}
                leaks[name] = hash(name)
    return [
        Leak(key=key, value=value, splits=tuple(sorted(places[place])))
        for (key, value), place in sorted(leaks.items())
    ]


def _place_groups(
    candidates: Sequence[Candidate], sizes: Mapping[str, Sizes], seed: int, *, is_stated: bool
) -> dict[str, str]:
    """Group to split, the same in all languages: a reader of two languages stays on one side."""
    owners: dict[str, str] = {}
    by_language: dict[str, dict[str, Counter[str | None]]] = defaultdict(
        lambda: defaultdict(Counter)
    )
    for candidate in candidates:
        by_language[candidate.language][candidate.group][candidate.held] += 1
    mainstays = _find_mainstays(by_language)
    for language in sorted(by_language):
        groups = by_language[language]
        counts: Counter[str] = Counter()
        for group in groups:
            owner = owners.get(group) or _find_majority(groups[group])
            if owner in (DEV, EVALUATION) or (is_stated and owner):
                owners[group] = owner
            if group in owners:
                for held, count in groups[group].items():
                    counts[held if is_stated and held else owners[group]] += count
        free = sorted(
            (group for group in groups if group not in owners), key=lambda group: _draw(seed, group)
        )
        owners |= _draw_groups(free, groups, counts, sizes[language], mainstays)
    return owners


def _draw_groups(
    free: Sequence[str],
    groups: Mapping[str, Counter[str | None]],
    counts: Counter[str],
    sizes: Sizes,
    mainstays: set[str],
) -> dict[str, str]:
    """The split of each free group of a language.

    Others may be few: the held-back splits take a third of them at most, leave one at least, and
    never the one that has most of the recordings. Where the corpus has such a split of its own,
    that has to do.
    """
    share, total = max(1, len(free) // 3), sum(groups[group].total() for group in free)
    left = total
    drawn: dict[str, str] = {}
    for split in (EVALUATION, DEV):
        size, taken = sizes[split], 0
        wanted = 0 if counts[split] else DRAWN if size is None else size
        for group in reversed(free):
            if counts[split] >= wanted or taken >= share or len(free) - len(drawn) == 1:
                break
            rest = left - groups[group].total()
            if group in drawn or group in mainstays or rest < _LEAST_TRAINED * total:
                continue
            drawn[group], taken, left = split, taken + 1, rest
            counts[split] += groups[group].total()
    return dict.fromkeys(free, TRAIN) | drawn


def _find_mainstays(by_language: Mapping[str, Mapping[str, Counter[str | None]]]) -> set[str]:
    """Groups with more than half of what a language leaves to be drawn from: training cannot do
    without them."""
    mainstays: set[str] = set()
    for groups in by_language.values():
        free = {
            group: held.total()
            for group, held in groups.items()
            if _find_majority(held) in (None, TRAIN)
        }
        total = sum(free.values())
        mainstays |= {group for group, count in free.items() if 2 * count > total}
    return mainstays


def _find_majority(held: Counter[str | None]) -> str | None:
    """Where the corpus has most of a speaker, the held-back splits first; None where it says
    nothing."""
    named = [split for split in (EVALUATION, DEV, TRAIN) if held[split]]
    return max(named, key=lambda split: held[split], default=None)


def _take_turns(members: Sequence[Candidate], seed: int) -> list[Candidate]:
    """Everybody's first, then everybody's second, …: a size that is reached early is reached with
    many speakers."""
    turns: Counter[tuple[str, str]] = Counter()
    ranked = []
    for candidate in sorted(members, key=lambda candidate: _draw(seed, candidate.id)):
        turns[candidate.language, candidate.group] += 1
        ranked.append((turns[candidate.language, candidate.group], candidate))
    return [candidate for _, candidate in sorted(ranked, key=lambda pair: pair[0])]


def _draw(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()
