"""Metadata lines to SIFT files of all six categories.

    metadata.jsonl ─ shares of a split and language ─►  candidates ─ choose_items ─►  rows
        ─►  sift/{split}/{category}/{lang}/split<number of the share>.jsonl

A row asks only about utterances of its own split. The one question that leaves its language's
folder is which language is spoken: asked about one language alone, it would have one answer.
Languages that have no templates take part in that question alone. Two recordings that are compared
are of one share.
"""

import dataclasses
import functools
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data_prep.engine.beam_engine import Engine, run_chunks
from data_prep.engine.chunks import Chunk
from data_prep.instructions import (
    acoustic,
    comparison,
    content,
    generation,
    open_ended,
    open_ended_paper,
    pretraining,
    word_align,
)
from data_prep.instructions import fields as free_fields
from data_prep.instructions.choose_items import Item, choose_items, drop_certain
from data_prep.instructions.claims import CALIBRATED, CLAIMS, PAPER
from data_prep.instructions.memory_shares import SHARE_SIZE, Utterance, cut_shares
from data_prep.instructions.rows import AUDIO_FIRST_SHARE, lay_out_row, name_row
from data_prep.instructions.templates import Templates, load_templates
from sift_jax.sift.fields import Fields
from sift_jax.sift.labels import ACOUSTIC_LABELS, LANGUAGES
from sift_jax.sift.rows import (
    CLOSED_CATEGORIES,
    PRETRAINING_COMPARES,
    PRETRAINING_LISTS,
    PRETRAINING_RANKS,
    PRETRAINING_RATINGS,
    Row,
    write_rows,
)
from sift_jax.storage.whole_files import write_whole

# How much of their weight the forms that quote the utterance keep in plain training: a model that
# cannot yet transcribe learns nothing from them, and their loss is most of what it would be shown.
_VERBATIM = {"transcript": 0.1, "phonemes": 0.1, "spoken_word": 0.3}
_ROWS_A_PAIR = 6
# Of each other language, one in this many utterances is asked about for its language, a few times.
_FOREIGN_ONE_IN, _FOREIGN_ROWS = 15, 4
# One list in so many more is about an utterance of another language.
_FOREIGN_LISTS_ONE_IN = 4
_ONE_PROCESS = Engine(workers=1)

Counts = dict[str, dict[str, dict[str, int]]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quota:
    """How many rows a category and language get: all that an utterance may have, or a fixed
    number."""

    rows: int
    cap: int
    must_fill: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the rows shall be.

    EvalSIFT has `rows_per_language` rows a category and language, dev half of that, train up to
    `rows_per_utterance` rows an utterance and category. `wordings` limits how many wordings of each
    question and answer are used, behind the first `skip_wordings`. Plain instructions are for
    models of a few million parameters: questions are answered in the lines of `plain`, the audio
    stands before the question, and training hardly asks for the words themselves. `claims`
    is what a class may be told as, of `claims.CLAIMS`: as the bins have it.
    """

    seed: int = 0
    rows_per_language: int = 60
    rows_per_utterance: int = 10
    corpus: str = "embedded"
    wordings: int | None = None
    skip_wordings: int = 0
    is_plain: bool = False
    fields: Fields = ()
    claims: str = CALIBRATED

    def __post_init__(self) -> None:
        if self.rows_per_language < 2 or self.rows_per_utterance < 1:
            raise ValueError(
                "rows_per_language must be at least 2 and rows_per_utterance at least 1"
            )
        if self.claims not in CLAIMS:
            raise ValueError(f"no claims {self.claims!r}; choose of {', '.join(CLAIMS)}")

    @property
    def is_paper(self) -> bool:
        return self.claims == PAPER


def write_instructions(
    metadata_path: str | Path,
    out_dir: str | Path,
    *,
    folder: Path | None = None,
    share_size: int = SHARE_SIZE,
    engine: Engine = _ONE_PROCESS,
    **wishes: Any,
) -> Counts:
    """Writes the SIFT files of a corpus and returns the rows of each: {split: {category: {language:
    n}}}.

    The shares and what is finished of them lie in parts/ of `folder`, or of `out_dir`.
    """
    wished, out = Wishes(**wishes), Path(out_dir)
    shares = cut_shares(Path(metadata_path), folder or out, seed=wished.seed, size=share_size)
    groups: dict[str, dict[str, list[Chunk]]] = {}
    for share in shares:
        groups.setdefault(share.split, {}).setdefault(share.language, []).append(share)
    shares = [share for share in shares if share.language in LANGUAGES]
    run_chunks(
        shares,
        "counts",
        functools.partial(write_share, groups=groups, out=out, wishes=wished),
        engine,
    )
    counts: Counts = {}
    for share in shares:
        for category, count in json.loads(share.path("counts").read_text()).items():
            by_language = counts.setdefault(share.split, {}).setdefault(category, {})
            by_language[share.language] = by_language.get(share.language, 0) + count
    return counts


def write_share(
    share: Chunk, *, groups: dict[str, dict[str, list[Chunk]]], out: Path, wishes: Wishes
) -> None:
    """The rows of one share in all categories; of the other languages it sees a share each."""
    own = groups[share.split][share.language]
    number = own.index(share)
    by_language = {
        language: _read_share(shares[number % len(shares)])
        for language, shares in groups[share.split].items()
    }
    held_back = (
        wishes.rows_per_language if share.split == "EvalSIFT" else wishes.rows_per_language // 2
    )
    rows = (
        wishes.rows_per_utterance * share.size
        if share.split == "train"
        else held_back * (number + 1) // len(own) - held_back * number // len(own)
    )
    quota = Quota(rows=rows, cap=wishes.rows_per_utterance, must_fill=share.split != "train")
    templates = load_templates(
        share.language,
        wishes.wordings,
        skipped=wishes.skip_wordings,
        is_plain=wishes.is_plain,
        is_paper=wishes.is_paper,
    )
    fields = tuple(field.limit(wishes.wordings) for field in wishes.fields)
    made = _make_categories(share, templates, by_language, quota, number, fields, wishes)
    sources = {
        utterance["id"]: f"{wishes.corpus}_{language}"
        for language, utterances in by_language.items()
        for utterance in utterances
    }
    first_share = 1.0 if wishes.is_plain else AUDIO_FIRST_SHARE
    counts = {}
    for category, items in made.items():
        path = out / share.split / category / share.language / f"split{number}.jsonl"
        counts[category] = write_rows(
            path, (_make_row(item, category, sources, share.seed, first_share) for item in items)
        )
    write_whole(share.path("counts"), json.dumps(counts))


def _read_share(share: Chunk) -> list[Utterance]:
    return [json.loads(line) for line in share.read_lines("shares")]


def _make_categories(
    share: Chunk,
    templates: Templates,
    by_language: dict[str, list[Utterance]],
    quota: Quota,
    number: int,
    fields: Fields,
    wishes: Wishes,
) -> dict[str, list[Item]]:
    split, language = share.split, share.language
    utterances = by_language[language]
    # In training a rare class may be asked about twice, in other words.
    copies = 2 if split == "train" else 1
    has_accents = _has_accents(utterances)
    chosen = {}

    def make_rng(purpose: str) -> random.Random:
        return random.Random(
            f"{share.seed}/{split}/{purpose}/{language}" + (f"/{number}" if number else "")
        )

    def choose(category: str, module: Any, sources: Iterable, wanted: Quota, **extras: Any) -> None:
        rng = make_rng(category)
        items = [
            item
            for source in sources
            for _ in range(copies)
            for item in module.make_items(source, templates, rng, **extras)
        ]
        if category == "closed_ended/content_level":
            items += _make_language_items(language, by_language, templates, rng)
        own = [source for _ in range(copies) for source in sources]
        items += free_fields.make_items(
            category, own, fields, templates, make_rng(f"fields/{category}")
        )
        if category in CLOSED_CATEGORIES or (category == "open_ended" and not wishes.is_paper):
            items = drop_certain(items)
        weights = module.WEIGHTS | free_fields.list_weights(fields)
        if wishes.is_plain and split == "train":
            weights = {form: weight * _VERBATIM.get(form, 1.0) for form, weight in weights.items()}
        picked = choose_items(
            items,
            wanted.rows,
            weights,
            rng,
            cap=wanted.cap,
            must_fill=wanted.must_fill,
            even=free_fields.list_even(fields),
        )
        # Rows of an utterance stand together, as in the released files.
        chosen[category] = sorted(picked, key=lambda item: item.ids)

    classes = ACOUSTIC_LABELS if wishes.is_paper else _list_classes(utterances)
    choose("closed_ended/acoustic_level", acoustic, utterances, quota, classes=classes)
    words = sorted(
        {
            word
            for utterance in utterances
            for word in content.list_words(utterance["transcript"], language)
        }
    )
    choose(
        "closed_ended/content_level",
        content,
        utterances,
        quota,
        words=words,
        has_accents=has_accents,
    )
    choose("closed_ended/word_align", word_align, utterances, quota)
    pairs = comparison.make_pairs(utterances, make_rng("pairs"), 1 if copies > 1 else 2)
    pair_rows = min(quota.cap, _ROWS_A_PAIR) * len(pairs) if split == "train" else quota.rows
    choose("closed_ended/comparison", comparison, pairs, dataclasses.replace(quota, rows=pair_rows))
    choose("open_ended", open_ended_paper if wishes.is_paper else open_ended, utterances, quota)
    choose(
        "controllable_generation",
        generation,
        utterances,
        quota,
        has_accents=has_accents,
        fields=fields,
    )
    if split != "EvalSIFT":
        chosen |= _make_pretraining(language, by_language, pairs, make_rng("pretraining"))
    return chosen


def _make_pretraining(
    language: str,
    by_language: dict[str, list[Utterance]],
    pairs: list[comparison.Pair],
    rng: random.Random,
) -> dict[str, list[Item]]:
    utterances = by_language[language]
    others = [u for spoken, their in by_language.items() if spoken != language for u in their]
    foreign = rng.sample(others, min(len(others), len(utterances) // _FOREIGN_LISTS_ONE_IN))

    def make_list(utterance: Utterance, *, has_language: bool) -> Item:
        return pretraining.make_list_item(
            utterance,
            language,
            rng,
            has_language=has_language,
            has_accents=_has_accents(by_language[utterance["language"]]),
        )

    # Of the own language few say which it is: else the words around it would give it away.
    own_share = 1 / (_FOREIGN_LISTS_ONE_IN * max(1, len(by_language) - 1))
    lists = [make_list(u, has_language=rng.random() < own_share) for u in utterances]
    lists += [make_list(u, has_language=True) for u in foreign]
    has_accents = _has_accents(utterances)
    ratings = [pretraining.make_ratings_item(u, rng, has_accents=has_accents) for u in utterances]
    ranks = (pretraining.make_ranks_item(pair, rng) for pair in pairs)
    compares = (pretraining.make_compares_item(pair, language, rng) for pair in pairs)
    return {
        PRETRAINING_RATINGS: ratings,
        PRETRAINING_RANKS: [item for item in ranks if item],
        PRETRAINING_LISTS: sorted(lists, key=lambda item: item.ids),
        PRETRAINING_COMPARES: [item for item in compares if item],
    }


def _list_classes(utterances: list[Utterance]) -> dict[str, set[str]]:
    """The classes that occur: of absolute ones a corpus may reach a few, or one."""
    return {
        key: {utterance["labels"][key] for utterance in utterances if utterance["labels"].get(key)}
        for key in ACOUSTIC_LABELS
    }


def _has_accents(utterances: list[Utterance]) -> bool:
    return len({utterance["accent"] for utterance in utterances} - {None}) > 1


def _make_language_items(
    language: str, by_language: dict[str, list[Utterance]], templates: Templates, rng: random.Random
) -> list[Item]:
    """Which language is spoken: about some utterances of the others, and all of one's own."""
    if len(by_language) < 2:
        return []
    items = []
    for spoken, utterances in by_language.items():
        is_own = spoken == language
        count = (
            len(utterances)
            if is_own
            else min(len(utterances), max(8, len(utterances) // _FOREIGN_ONE_IN))
        )
        for utterance in rng.sample(utterances, count):
            items += content.make_language_items(
                utterance, templates, rng, 1 if is_own else _FOREIGN_ROWS
            )
    return items


def _make_row(
    item: Item, category: str, sources: dict[str, str], seed: int, first_share: float
) -> Row:
    return lay_out_row(
        item.ids,
        category,
        item.question,
        item.answer,
        data_source=sources[item.ids[0]],
        draw=f"{seed}/{category}/{name_row(item.ids)}",
        first_share=first_share,
    )
