"""Sums of counts are the libraries' own figures over a corpus."""

import jiwer
import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF
from scored_items import make_item, make_predictions
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

from sift_jax.evaluation.scores.metrics import METRICS, describe_metrics, score_answer

PAIRS = [
    ("The cat sat on the mat.", "the cat sat on a mat"),
    ("He paid twenty-one dollars, Mr. Brown.", "He paid $21 mister Brown"),
    ("It's a colour that we don't like at all.", "It is a color we do not like"),
    ("Nothing was said here today.", ""),
    ("Quite short", "Quite a lot longer than it was before, isn't it?"),
    ("Rain falls softly on the old roof tonight.", "Rain falls softly on the old roof tonight."),
]


def make_figure(name, pairs, **changes):
    counts = [METRICS[name].count(p.item, p.answer) for p in make_predictions(pairs, **changes)]
    return float(METRICS[name].make(np.asarray(counts).sum(axis=0)))


@pytest.mark.parametrize(
    "language, normalise",
    [
        ("en", EnglishTextNormalizer()),
        ("en-GB", EnglishTextNormalizer()),
        ("de", BasicTextNormalizer()),
        ("", BasicTextNormalizer()),
    ],
)
@pytest.mark.parametrize("name, library", [("wer", jiwer.wer), ("cer", jiwer.cer)])
def test_error_rates_are_jiwers_after_whispers_normaliser(language, normalise, name, library):
    references, answers = zip(*PAIRS, strict=True)
    clean = [[normalise(text).strip() for text in texts] for texts in (references, answers)]
    assert make_figure(name, PAIRS, language=language) == pytest.approx(library(*clean), abs=1e-12)


def test_words_that_the_normaliser_drops_from_the_reference_leave_insertions():
    item = make_item(0, "[noise]")
    assert METRICS["wer"].count(item, "a bird") == [2.0, 0.0]
    assert score_answer("wer", item, "") == 0.0 and score_answer("wer", item, "a bird") == 2.0


def test_the_nearest_of_several_references_counts():
    item = make_item(0, ("a wholly different text", "rain falls"))
    assert METRICS["wer"].count(item, "rain falls") == [0.0, 2.0]
    assert score_answer("rouge_l", item, "rain falls") == 1.0


@pytest.mark.parametrize(
    "pairs",
    [
        PAIRS,
        PAIRS[:1],
        PAIRS[3:4],
        PAIRS[4:5],
        [("a b c d", "a b x y")],
        [("a b", "a b")],
        [("a", "")],
        [("x y", "a b")],
    ],
)
def test_bleu_and_chrf_are_sacrebleus_over_the_corpus(pairs):
    references, answers = zip(*pairs, strict=True)
    assert make_figure("bleu", pairs) == pytest.approx(
        BLEU().corpus_score(answers, [references]).score, abs=1e-9
    )
    assert make_figure("chrf", pairs) == pytest.approx(
        CHRF().corpus_score(answers, [references]).score, abs=1e-9
    )


def test_bleu_and_chrf_know_several_references():
    pairs = [
        (("rain falls on the roof", "it rains on the roof"), "it rains on the old roof"),
        (("a cat sat there", "there sat a cat"), "a cat sat there"),
    ]
    references = list(zip(*[refs for refs, _ in pairs], strict=True))
    answers = [answer for _, answer in pairs]
    assert make_figure("bleu", pairs) == pytest.approx(
        BLEU().corpus_score(answers, references).score, abs=1e-9
    )
    assert make_figure("chrf", pairs) == pytest.approx(
        CHRF().corpus_score(answers, references).score, abs=1e-9
    )


def test_chinese_targets_get_sacrebleus_chinese_tokenizer():
    pairs = [("今天天气很好,我们去公园。", "今天天气很好,我们回家。")]
    library = BLEU(tokenize="zh").corpus_score([pairs[0][1]], [[pairs[0][0]]]).score
    assert make_figure("bleu", pairs, facets={"target_language": "zh-CN"}) == pytest.approx(
        library, abs=1e-9
    )
    assert library > make_figure("bleu", pairs)


def test_a_sentences_bleu_is_sacrebleus():
    item = make_item(0, "rain falls")
    library = BLEU(effective_order=True).sentence_score("rain fell", ["rain falls"]).score
    assert score_answer("bleu", item, "rain fell") == pytest.approx(library)


def test_rouge_is_the_librarys_in_english():
    scorer = RougeScorer(["rougeL"])
    library = np.mean(
        [scorer.score(reference, answer)["rougeL"].fmeasure for reference, answer in PAIRS]
    )
    assert make_figure("rouge_l", PAIRS) == pytest.approx(library)


def test_rouge_keeps_the_accents_of_other_languages():
    pair = [("été", "ete")]
    assert make_figure("rouge_l", pair, language="fr") == 0.0
    assert make_figure("rouge_l", [("Über Köln", "über köln!")], language="de") == 1.0
    # the library's own tokenizer would have taken both for letters around a gap
    assert make_figure("rouge_l", [("où", "ou")], language="fr") == 0.0


def test_what_made_a_figure_is_told_with_versions():
    items = [
        make_item(0, metrics=("wer", "bleu", "accuracy")),
        make_item(1, metrics=("chrf", "rouge_l")),
    ]
    told = describe_metrics(items)
    assert set(told) == {"wer", "bleu", "chrf", "rouge_l"}
    assert told["bleu"] == "case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"
    assert "jiwer 4" in told["wer"] and "whisper-normalizer 0.1" in told["wer"]
