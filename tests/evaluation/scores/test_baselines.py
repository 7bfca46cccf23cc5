"""Constant answers."""

from scored_items import make_item

from sift_jax.evaluation.scores.baselines import make_majority_predictions


def answers(items, rows=None):
    return [p.answer for p in make_majority_predictions(items, rows)]


def judged(number, reference, **changes):
    return make_item(
        number,
        reference,
        subset="closed_ended/acoustic_level",
        metrics=("judge_closed",),
        **changes,
    )


def test_training_rows_give_the_commonest_class_of_each_kind():
    items = [
        judged(0, "It is clean."),
        judged(1, "Very fast."),
        judged(2, "Yes, it is."),
        judged(3, "Sehr schnell.", language="de"),
    ]
    rows = [
        ("closed_ended/acoustic_level", "en", text)
        for text in (
            "The clip is noisy.",
            "This is noisy.",
            "It is clean.",
            "They speak quite fast.",
        )
    ]
    assert answers(items, rows) == ["The clip is noisy.", "They speak quite fast.", "", ""]


def test_without_training_rows_the_suites_own_references_give_the_best_constant():
    items = [
        judged(n, text)
        for n, text in enumerate(("It is clean.", "This clip is noisy.", "Noisy.", "Very fast."))
    ]
    assert answers(items) == ["This clip is noisy."] * 3 + ["Very fast."]


def test_subsets_and_languages_have_constants_of_their_own():
    items = [
        make_item(0, "yes", subset="a"),
        make_item(1, "no", subset="a"),
        make_item(2, "No", subset="a"),
        make_item(3, "yes", subset="b"),
        make_item(4, "ja", subset="a", language="ja"),
    ]
    assert answers(items) == ["no", "no", "no", "yes", "ja"]


def test_errors_of_words_are_fewest_where_nothing_is_said():
    assert answers([make_item(0, "rain falls", metrics=("wer", "cer"))]) == [""]


def test_free_text_gets_the_commonest_reference():
    items = [
        make_item(n, text, metrics=("rouge_l",)) for n, text in enumerate(("a cat", "rain", "rain"))
    ]
    assert answers(items) == ["rain"] * 3


def test_steps_get_the_median_class():
    labels = ("low", "middle", "high")
    items = [
        make_item(n, text, metrics=("mae", "qwk"), labels=labels)
        for n, text in enumerate(("low", "low", "middle", "high", "high"))
    ]
    assert answers(items) == ["middle"] * 5


def test_items_without_references_get_an_empty_answer():
    assert answers([make_item(0, ())]) == [""]
