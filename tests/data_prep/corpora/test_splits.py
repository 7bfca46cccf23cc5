"""Splits of recorded corpora: apart by speaker and sentence whatever the corpus is like, and as
large as asked."""

from collections import Counter

import numpy as np
import pytest

from data_prep.corpora.splits import (
    DEV,
    EVALUATION,
    HELD_BACK,
    OVER_SIZE,
    SPLIT_REFUSALS,
    SPLITS,
    TRAIN,
    Candidate,
    assign_splits,
    find_leaks,
    normalise_sentence,
)
from data_prep.engine.chunks import BuildError
from data_prep.engine.ledger import Rejection, collect, format_accounts, settle


def make_candidates(seed: int, count: int = 400) -> list[Candidate]:
    """Some speakers unknown, some in two languages, sentences shared, held back at random."""
    rng = np.random.default_rng(seed)
    return [
        Candidate(
            id=f"u{number}",
            language=str(rng.choice(["de", "fr"])),
            sentence=f"s{rng.integers(250)}",
            speaker=None if rng.random() < 0.1 else f"p{rng.integers(30)}",
            held=rng.choice([None, TRAIN, TRAIN, DEV, EVALUATION]),
        )
        for number in range(count)
    ]


def describe(candidates, placed):
    return [
        {
            "id": c.id,
            "language": c.language,
            "speaker": c.speaker,
            "transcript": c.sentence,
            "split": placed[c.id],
        }
        for c in candidates
        if placed[c.id] in SPLITS
    ]


@pytest.mark.parametrize("seed", range(20))
def test_any_corpus_comes_apart(seed):
    candidates = make_candidates(seed)
    placed = assign_splits(candidates, {TRAIN: None, DEV: 12, EVALUATION: 20}, seed=seed)
    assert placed.keys() == {c.id for c in candidates} and set(placed.values()) <= {
        *SPLITS,
        *SPLIT_REFUSALS,
    }
    assert not find_leaks(describe(candidates, placed))
    counts = Counter((c.language, placed[c.id]) for c in candidates)
    assert all(
        counts[language, DEV] <= 12 and counts[language, EVALUATION] <= 20
        for language in ("de", "fr")
    )
    assert not any(placed[c.id] == TRAIN and c.held in (DEV, EVALUATION) for c in candidates)
    shuffled = [candidates[i] for i in np.random.default_rng(seed).permutation(len(candidates))]
    assert assign_splits(shuffled, {TRAIN: None, DEV: 12, EVALUATION: 20}, seed=seed) == placed


def make_speakers(count: int, each: int = 10, held=None) -> list[Candidate]:
    return [
        Candidate(id=f"p{p}_{n}", language="en", speaker=f"p{p}", sentence=f"{p} {n}", held=held)
        for p in range(count)
        for n in range(each)
    ]


def test_sizes_are_reached_where_the_corpus_holds_nothing_back():
    candidates = make_speakers(12)
    placed = assign_splits(candidates, {TRAIN: 50, DEV: 10, EVALUATION: 20}, seed=1)
    assert Counter(placed.values()) == {TRAIN: 50, DEV: 10, EVALUATION: 20, OVER_SIZE: 40}
    speakers = {c.id: c.speaker for c in candidates}
    # Fifty of nine speakers: everybody's first comes before anybody's tenth.
    assert len({speakers[name] for name, split in placed.items() if split == TRAIN}) == 9


@pytest.mark.parametrize(
    "count, splits", [(1, {TRAIN}), (2, {TRAIN, EVALUATION}), (3, {TRAIN, DEV, EVALUATION})]
)
def test_few_speakers_leave_some_to_train_on(count, splits):
    placed = assign_splits(make_speakers(count), {TRAIN: None, DEV: 500, EVALUATION: 500}, seed=0)
    assert set(placed.values()) == splits


def test_what_a_corpus_holds_back_is_held_back():
    candidates = [
        *make_speakers(4, held=TRAIN),
        *(
            Candidate(
                id=f"t{n}", language="en", speaker="tested", sentence=f"t {n}", held=EVALUATION
            )
            for n in range(10)
        ),
        Candidate(id="stray", language="en", speaker="p0", sentence="stray", held=EVALUATION),
    ]
    placed = assign_splits(candidates, {TRAIN: None, DEV: 0, EVALUATION: 5}, seed=0)
    assert Counter(placed[f"t{n}"] for n in range(10)) == {EVALUATION: 5, OVER_SIZE: 5}
    assert placed["stray"] == HELD_BACK and placed["p0_0"] == TRAIN


def test_a_sentence_is_the_same_in_other_punctuation():
    assert (
        normalise_sentence("„Ja“,  sagte ER!") == normalise_sentence("ja sagte er") == "ja sagte er"
    )
    rows = [
        {
            "id": "a",
            "speaker": None,
            "language": "de",
            "transcript": "Ja, sagte er.",
            "split": TRAIN,
        },
        {"id": "b", "speaker": None, "language": "de", "transcript": "ja sagte er", "split": DEV},
    ]
    assert list(map(str, find_leaks(rows))) == ["sentence 'de ja sagte er' is in dev and train"]


def test_books_must_balance(tmp_path):
    aside = [Rejection(reason="too long", id="a"), Rejection(reason="too long", id="b")]
    with pytest.raises(BuildError, match="decode: of 10 recordings 7 came out and 2 were skipped"):
        settle(tmp_path, "decode", "recordings", 10, 7, aside)
    settle(tmp_path, "decode", "recordings", 9, 7, aside)
    accounts = collect(tmp_path, ("read", "decode"))
    assert accounts == {
        "decode": {"unit": "recordings", "in": 9, "out": 7, "rejected": {"too long": 2}}
    }
    assert (tmp_path / "rejected.jsonl").read_text().count('"stage": "decode"') == 2
    assert "2 too long" in format_accounts(accounts)
