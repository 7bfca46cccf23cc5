"""Scores of texts by the libraries that their papers use, as counts that add up.

    reference "the cat sat down", answer "the cat sat"
        wer     [errors 1, words 4]                     jiwer, after Whisper's normaliser
        cer     [errors 5, letters 16]                  the same by letter
        bleu    [lengths, n-grams right, n-grams said]  sacrebleu
        chrf    [n-grams said, there, right] × 6        sacrebleu
        rouge_l [F1, 1]                                 rouge-score

A figure over many items comes of the sum of their counts, as the libraries' own figures over a
corpus do; so a resample of the items is a weighted sum. Of several references the one nearest to
the answer counts for wer, cer, chrf and rouge_l; BLEU takes n-grams from all of them.
"""

from __future__ import annotations

import functools
import importlib.metadata
import unicodedata
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from sift_jax.evaluation.scores.schema import Item
from sift_jax.extras import import_extra
from sift_jax.sift.labels import simplify

_ORDERS = 4
_CHRF_ORDERS = 6
# written without spaces between words: sacrebleu's own advice for these
_BLEU_TOKENIZERS = {"zh": "zh", "ja": "char", "th": "char"}


def _import(module: str) -> ModuleType:
    """The libraries are those of the extra for evaluation; training goes without."""
    return import_extra(module, "eval")


@functools.cache
def _make_normaliser(is_english: bool) -> Callable[[str], str]:
    if is_english:
        return _import("whisper_normalizer.english").EnglishTextNormalizer()
    return _import("whisper_normalizer.basic").BasicTextNormalizer()


def normalise_speech(text: str, language: str) -> str:
    """The text as Whisper's evaluation compares it: its English normaliser for English, its basic
    one for others."""
    return " ".join(_make_normaliser(_base(language) == "en")(text).split())


def count_word_errors(item: Item, answer: str) -> list[float]:
    """Errors and words against the reference with the lowest rate."""
    return _count_errors(
        item, answer, _import("jiwer").process_words, lambda text: len(text.split())
    )


def count_letter_errors(item: Item, answer: str) -> list[float]:
    """Errors and letters, spaces among them, against the reference with the lowest rate."""
    return _count_errors(item, answer, _import("jiwer").process_characters, len)


def _count_errors(
    item: Item, answer: str, process: Callable, measure: Callable[[str], int]
) -> list[float]:
    said = normalise_speech(answer, item.language)
    counts = []
    for reference in item.references:
        wanted = normalise_speech(reference, item.language)
        if wanted:
            found = process(wanted, said)
            errors = found.substitutions + found.deletions + found.insertions
        else:
            # jiwer's rate of an empty reference is a convention; all that is said there is inserted
            errors = measure(said)
        counts.append([float(errors), float(measure(wanted))])
    return min(counts, key=lambda count: count[0] / max(count[1], 1.0))


@functools.cache
def _make_bleu(language: str) -> Any:
    return _import("sacrebleu.metrics").BLEU(
        tokenize=_BLEU_TOKENIZERS.get(_base(language), "13a"), effective_order=True
    )


def count_bleu(item: Item, answer: str) -> list[float]:
    """Both lengths, then the right and the said n-grams of each order."""
    target = item.facets.get("target_language", item.language)
    score = _make_bleu(target).sentence_score(answer, list(item.references))
    return [score.sys_len, score.ref_len, *score.counts, *score.totals]


def make_bleu(sums: np.ndarray) -> np.ndarray:
    """Corpus BLEU, smoothed as sacrebleu's default is, of each row of summed counts."""
    said, wanted = sums[..., 0], sums[..., 1]
    right, total = sums[..., 2 : 2 + _ORDERS], sums[..., 2 + _ORDERS :]
    # exponential smoothing: the k-th order without a match counts as 1 / 2^k matches
    is_missed = (right == 0) & (total > 0)
    smooth = np.where(is_missed, 0.5 ** np.cumsum(is_missed, axis=-1), right)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(total > 0, smooth / total, 0.0)
        brevity = np.where(said < wanted, np.exp(1 - wanted / said), 1.0)
        score = 100.0 * brevity * np.exp(np.log(precision).mean(axis=-1))
    return np.where((right.sum(axis=-1) > 0) & (said > 0), np.nan_to_num(score), 0.0)


def score_bleu(item: Item, answer: str) -> float:
    """BLEU of one sentence, without the orders that it is too short for; only for reading, corpus
    BLEU is no mean."""
    target = item.facets.get("target_language", item.language)
    return float(_make_bleu(target).sentence_score(answer, list(item.references)).score)


@functools.cache
def _make_chrf() -> Any:
    return _import("sacrebleu.metrics").CHRF()


def count_chrf(item: Item, answer: str) -> list[float]:
    """N-grams said, there and right, of each order."""
    # the library's public scores keep these to themselves; a test holds the sum against its corpus
    # score
    rows = _make_chrf()._extract_corpus_statistics(
        [answer], [[reference] for reference in item.references]
    )
    return [float(count) for count in rows[0]]


def make_chrf(sums: np.ndarray) -> np.ndarray:
    """Corpus chrF2 of each row of summed counts: precision and recall averaged over the orders that
    are there."""
    counts = sums.reshape(*sums.shape[:-1], _CHRF_ORDERS, 3)
    said, wanted, right = counts[..., 0], counts[..., 1], counts[..., 2]
    is_there = (said > 0) & (wanted > 0)
    orders = np.maximum(is_there.sum(axis=-1), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(is_there, right / said, 0.0).sum(axis=-1) / orders
        recall = np.where(is_there, right / wanted, 0.0).sum(axis=-1) / orders
        score = 100.0 * 5.0 * precision * recall / (4.0 * precision + recall)
    return np.where(precision + recall > 0, np.nan_to_num(score), 0.0)


class WordTokenizer:
    """What rouge-score calls a tokenizer: lower-cased runs of letters, marks and digits of any
    script. Its own keeps only a to z and 0 to 9."""

    def tokenize(self, text: str) -> list[str]:
        letters = unicodedata.normalize("NFC", text).lower()
        return "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in letters).split()


@functools.cache
def _make_rouge(is_english: bool) -> Any:
    scorer = _import("rouge_score.rouge_scorer").RougeScorer
    return scorer(["rougeL"], tokenizer=None if is_english else WordTokenizer())


def count_rouge(item: Item, answer: str) -> list[float]:
    """The best F1 over the references, and one item. Unstemmed; English by the library's tokenizer,
    others by ours."""
    scorer = _make_rouge(_base(item.language) == "en")
    return [
        max(scorer.score(reference, answer)["rougeL"].fmeasure for reference in item.references),
        1.0,
    ]


def describe(metric: str, languages: Sequence[str] = ()) -> str:
    """What a figure was made by, with versions: for the results, so that it can be made again."""
    if metric in ("wer", "cer"):
        return (
            f"{_version('jiwer')}, after {_version('whisper-normalizer')}: English, basic for "
            "other languages"
        )
    if metric == "bleu":
        chosen = {_BLEU_TOKENIZERS.get(_base(language), "13a") for language in languages} or {"13a"}
        sign = f"case:mixed|eff:no|tok:{'+'.join(sorted(chosen))}|smooth:exp"
        return f"{sign}|version:{importlib.metadata.version('sacrebleu')}"
    if metric == "chrf":
        return f"{_make_chrf().get_signature()}"
    return (
        f"{_version('rouge-score')} rougeL, no stemmer; accents kept in languages other than "
        "English"
    )


def _version(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"


def _base(language: str) -> str:
    return language.lower().replace("_", "-").split("-")[0]


def contains_reference(item: Item, answer: str) -> bool:
    """Whether an answer holds the words of a reference one behind the other, without punctuation
    and capitals."""
    said = f" {simplify(answer)} "
    return any(f" {simplify(reference)} " in said for reference in item.references)
