"""Tables of right class against said class."""

from scored_items import make_item

from sift_jax.evaluation.scores.confusions import make_confusions
from sift_jax.evaluation.scores.schema import Prediction


def predict(number, reference, answer, **changes):
    item = make_item(number, reference, metrics=("judge_closed",), **changes)
    return Prediction(item=item, answer=answer)


def test_rows_are_right_classes_columns_said_ones_and_none_comes_last():
    predictions = [
        predict(0, "The voice is loud: loudly.", "softly"),
        predict(1, "Loudly.", "They speak loudly."),
        predict(2, "They speak softly.", "Who knows?"),
        predict(3, "Softly.", "softly, then loudly"),
        predict(4, "Leise.", "Leise.", language="de"),
    ]
    tables = {(t["facet"], t["language"]): t for t in make_confusions(predictions)}
    assert set(tables) == {("kind=average_intensity", language) for language in ("", "de", "en")}
    whole = tables["kind=average_intensity", ""]
    assert whole["labels"] == ["softly", "moderate volume", "loudly"] and whole["suite"] == "s"
    assert whole["counts"] == [[1, 0, 0, 2], [0, 0, 0, 0], [1, 0, 1, 0]]
    assert tables["kind=average_intensity", "de"]["counts"] == [
        [1, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]


def test_questions_of_other_kinds_are_in_no_table():
    predictions = [
        predict(0, "It is noisy, and they speak very fast.", "noisy"),
        predict(1, "Yes.", "No."),
        predict(2, "A woman.", "A man."),
        predict(3, "Loudly.", "Loudly.", language="zh"),
        Prediction(item=make_item(4, "softly", metrics=("wer",)), answer="softly"),
    ]
    assert make_confusions(predictions) == []


def test_suites_of_one_closed_set_have_a_table_for_each_part():
    labels = ("angry", "happy", "sad")
    said = [("happy", "happy"), ("happy", "Happy or sad?"), ("sad", "angry"), ("angry", "Hm.")]
    predictions = [
        Prediction(
            item=make_item(n, right, labels=labels, metrics=("accuracy",), subset="test1"), answer=a
        )
        for n, (right, a) in enumerate(said)
    ]
    whole, english = make_confusions(predictions)
    assert (whole["facet"], whole["language"], english["language"]) == ("part=test1", "", "en")
    assert whole["labels"] == list(labels) and whole["counts"] == [
        [0, 0, 0, 1],
        [0, 1, 0, 1],
        [1, 0, 0, 0],
    ]


def test_labels_that_change_with_the_item_and_suites_of_many_parts_have_none():
    def predict_class(number, labels, subset):
        item = make_item(number, labels[0], labels=labels, metrics=("accuracy",), subset=subset)
        return Prediction(item=item, answer=labels[0])

    assert (
        make_confusions(
            [predict_class(0, ("a", "b"), "intent"), predict_class(1, ("a", "c"), "intent")]
        )
        == []
    )
    assert make_confusions([predict_class(n, ("a", "b"), f"task{n}") for n in range(5)]) == []
    assert len(make_confusions([predict_class(n, ("a", "b"), f"task{n}") for n in range(4)])) == 8
