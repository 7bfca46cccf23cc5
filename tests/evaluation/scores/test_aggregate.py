"""Figures of groups: the suites' own aggregates, n of all, intervals."""

import dataclasses

import numpy as np
import pytest
from sacrebleu.metrics import BLEU
from scipy.stats import binomtest
from scored_items import make_item

from sift_jax.evaluation.scores.aggregate import make_cells
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig, make_generator, resample
from sift_jax.evaluation.scores.metrics import METRICS, check_metrics
from sift_jax.evaluation.scores.schema import EvaluationError, Prediction, Verdict

BOOTSTRAP = BootstrapConfig(samples=400, confidence=0.95, seed=1)


def make_judged(number, subset, score, suite="evalsift", **changes):
    item = make_item(
        number, "yes", suite=suite, subset=subset, metrics=("judge_closed",), **changes
    )
    status = "scored" if score is not None else "unparsed"
    return item, Verdict(id=item.id, judge="j", score=score, status=status, metric="judge_closed")


def find(cells, subset="", language="", facet="", metric=None):
    found = [
        c
        for c in cells
        if (c.subset, c.language, c.facet) == (subset, language, facet)
        and metric in (None, c.metric)
    ]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("suite", ["evalsift", "evalsift:home"])
def test_evalsift_closed_is_the_unweighted_mean_of_its_parts(suite):
    scores = {
        "closed_ended/acoustic_level": [1, 1, 1, 1, 1, 0],
        "closed_ended/word_align": [0, 0, 1],
        "closed_ended/comparison": [0],
    }
    rows = [
        make_judged(f"{s}{n}", s, float(x), suite)
        for s, values in scores.items()
        for n, x in enumerate(values)
    ]
    items, verdicts = zip(*rows, strict=True)
    cells = make_cells(
        items,
        [Prediction(item=i, answer="x") for i in items],
        verdicts,
        system="model",
        bootstrap=BOOTSTRAP,
    )
    mean = find(cells, "closed_ended")
    assert mean.value == pytest.approx((5 / 6 + 1 / 3 + 0) / 3) and (mean.n, mean.of) == (10, 10)
    assert find(cells, "closed_ended/acoustic_level").value == pytest.approx(5 / 6)
    assert find(cells, "closed_ended", "en").value == mean.value
    assert not [c for c in cells if c.subset == ""]
    assert mean.low <= mean.value <= mean.high and mean.low < mean.high


def test_dynamic_superb_categories_are_means_of_tasks():
    dimension = {"accent": "paralinguistics", "emotion": "paralinguistics", "intent": "semantics"}
    items = [
        make_item(
            f"{task}{n}",
            "yes",
            suite="dynamic_superb",
            subset=task,
            facets={"dimension": dimension[task]},
        )
        for task, size in (("accent", 2), ("emotion", 4), ("intent", 1))
        for n in range(size)
    ]
    answers = ["yes", "no", "yes", "yes", "yes", "no", "yes"]
    predictions = [Prediction(item=i, answer=a) for i, a in zip(items, answers, strict=True)]
    cells = make_cells(items, predictions, (), system="model", bootstrap=BOOTSTRAP)
    assert find(cells, facet="dimension=paralinguistics").value == pytest.approx((0.5 + 0.75) / 2)
    assert find(cells, facet="dimension=semantics").value == 1.0
    assert find(cells).value == pytest.approx((0.5 + 0.75 + 1.0) / 3)
    assert not [c for c in cells if c.subset and c.facet], (
        "a task's dimension is no figure of its own"
    )


def test_other_suites_pool_their_items():
    items = [make_item(n, "yes", subset=subset) for n, subset in enumerate(("a", "a", "a", "b"))]
    predictions = [
        Prediction(item=i, answer=a)
        for i, a in zip(items, ("yes", "yes", "yes", "no"), strict=True)
    ]
    assert (
        find(make_cells(items, predictions, (), system="model", bootstrap=BOOTSTRAP)).value == 0.75
    )


def test_wer_of_a_language_is_errors_of_all_over_words_of_all():
    items = [
        make_item(0, "a b c d", metrics=("wer",), language="de"),
        make_item(1, "e", metrics=("wer",), language="de"),
    ]
    predictions = [
        Prediction(item=items[0], answer="a b c d"),
        Prediction(item=items[1], answer="f"),
    ]
    assert (
        find(
            make_cells(items, predictions, (), system="m", bootstrap=BOOTSTRAP), language="de"
        ).value
        == 1 / 5
    )


def test_items_without_answer_or_score_are_counted_and_not_guessed():
    rows = [
        make_judged(0, "open_ended", 1.0),
        make_judged(1, "open_ended", None),
        make_judged(2, "open_ended", 0.0),
    ]
    items, verdicts = zip(*rows, strict=True)
    predictions = [Prediction(item=i, answer="x") for i in items[:2]]
    cell = find(
        make_cells(items, predictions, verdicts[:2], system="m", bootstrap=BOOTSTRAP), "open_ended"
    )
    assert (cell.value, cell.n, cell.of) == (1.0, 1, 3)
    nothing = find(make_cells(items, (), (), system="m", bootstrap=BOOTSTRAP), "open_ended")
    assert (nothing.value, nothing.low, nothing.n, nothing.of) == (None, None, 0, 3)


def test_an_empty_answer_is_a_wrong_one():
    items = [make_item(0, "yes"), make_item(1, "a b", metrics=("wer",))]
    cells = make_cells(
        items, [Prediction(item=i, answer="") for i in items], (), system="m", bootstrap=BOOTSTRAP
    )
    assert [(c.metric, c.value, c.n) for c in cells if not c.language] == [
        ("exact_match", 0.0, 1),
        ("wer", 1.0, 1),
    ]


def test_labels_of_two_orders_share_no_kappa():
    items = [
        make_item(n, labels[0], labels=labels, metrics=("qwk", "mae"), facets={"kind": labels[0]})
        for n, labels in enumerate((("low", "high"), ("slow", "fast"), ("low", "high")))
    ]
    predictions = [Prediction(item=i, answer=i.labels[1]) for i in items]
    cells = make_cells(items, predictions, (), system="m", bootstrap=BOOTSTRAP)
    assert not [c for c in cells if not c.facet]
    assert find(cells, facet="kind=low", metric="mae").value == 1.0


def test_an_interval_is_that_of_the_library_drawn_one_by_one():
    """The weighted sums of counts are the same as sacreBLEU over the drawn sentences."""
    pairs = [
        ("rain falls on the old roof", "rain falls on a roof"),
        ("the cat sat down there", "a cat sat down"),
        ("he sings very loudly now", "he sings loudly now"),
        ("it is late in the day", "it is late in the day"),
    ]
    counts = np.asarray([METRICS["bleu"].count(make_item(0, r), a) for r, a in pairs], float)
    drawn = resample([counts], METRICS["bleu"].make, make_generator(3, "x"), 20)
    places = make_generator(3, "x").integers(0, 4, (20, 4))
    for figure, place in zip(drawn, places, strict=True):
        references, answers = zip(*[pairs[p] for p in place], strict=True)
        assert figure == pytest.approx(BLEU().corpus_score(answers, [references]).score, abs=1e-9)


def test_an_interval_covers_what_it_promises():
    """Of 200 samples of 80 answers from a system that is right in 70 %, about 95 % of the intervals
    hold 0.7."""
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(200):
        items = [make_item(n, "yes", id=f"{trial}-{n}", language="") for n in range(80)]
        predictions = [
            Prediction(item=i, answer="yes" if rng.random() < 0.7 else "no") for i in items
        ]
        cell = find(
            make_cells(
                items,
                predictions,
                (),
                system="m",
                bootstrap=dataclasses.replace(BOOTSTRAP, seed=trial, samples=200),
            )
        )
        held += cell.low <= 0.7 <= cell.high
    assert 178 <= held <= 199


def test_questions_about_one_recording_widen_the_interval():
    rng = np.random.default_rng(2)
    answers = [a for a in np.where(rng.random(40) < 0.6, "yes", "no") for _ in range(10)]

    def width(name):
        items = [make_item(n, "yes", audio=name(n), language="") for n in range(400)]
        predictions = [
            Prediction(item=i, answer=str(a)) for i, a in zip(items, answers, strict=True)
        ]
        cell = find(make_cells(items, predictions, (), system="m", bootstrap=BOOTSTRAP))
        return cell.high - cell.low

    assert width(lambda n: f"{n // 10}.wav") > 2.5 * width(lambda n: f"{n}.wav")


def test_the_same_seed_gives_the_same_interval_whatever_else_is_made():
    items = [make_item(n, "yes", subset="ab"[n % 2]) for n in range(20)]
    predictions = [Prediction(item=i, answer="yes" if n % 3 else "no") for n, i in enumerate(items)]
    whole = make_cells(items, predictions, (), system="m", bootstrap=BOOTSTRAP)
    alone = make_cells(items[::2], predictions, (), system="m", bootstrap=BOOTSTRAP)
    assert find(whole, "a") == find(alone, "a")
    assert whole != make_cells(
        items, predictions, (), system="m", bootstrap=dataclasses.replace(BOOTSTRAP, seed=2)
    )


def test_a_bootstrap_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="BootstrapConfig.confidence is 95; give above 0, below 1"):
        BootstrapConfig(samples=10, confidence=95, seed=0)


@pytest.mark.parametrize("score", [0.0, 1.0])
@pytest.mark.parametrize("count", [3, 15])
def test_all_right_or_all_wrong_is_no_certainty(score, count):
    """The bound is that of Clopper and Pearson."""
    rows = [make_judged(n, "closed_ended/word_align", score) for n in range(count)]
    items, verdicts = zip(*rows, strict=True)
    cells = make_cells(
        items,
        [Prediction(item=i, answer="x") for i in items],
        verdicts,
        system="model",
        bootstrap=BOOTSTRAP,
    )
    exact = binomtest(int(score) * count, count).proportion_ci(0.95)
    for subset in ("closed_ended", "closed_ended/word_align"):
        cell = find(cells, subset)
        assert (cell.value, cell.low, cell.high) == pytest.approx((score, exact.low, exact.high))


def test_too_many_ordered_labels_are_refused_before_anything_is_answered():
    labels = tuple(f"class {n}" for n in range(17))
    with pytest.raises(
        EvaluationError, match="i0: 17 ordered labels; qwk takes at most 16, ask for mae"
    ):
        check_metrics([make_item(0, "class 0", labels=labels, metrics=("qwk",))])
    check_metrics([make_item(0, "class 0", labels=labels, metrics=("mae",))])
