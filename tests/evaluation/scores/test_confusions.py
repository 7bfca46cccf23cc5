"""Tables of right class against said class."""

from scored_items import make_item

from sift_jax.evaluation.items import Prediction
from sift_jax.evaluation.scores.confusions import make_confusions


def predict(number, reference, answer, **changes):
    item = make_item(number, reference, metrics=("judge_closed",), **changes)
    return Prediction(item=item, answer=answer)


def test_rows_are_right_classes_columns_said_ones_and_none_comes_last():
    predictions = [predict(0, "The voice is loud: loudly.", "softly"), predict(1, "Loudly.", "They speak loudly."),
                   predict(2, "They speak softly.", "Who knows?"), predict(3, "Softly.", "softly, then loudly"),
                   predict(4, "Leise.", "Leise.", language="de")]
    tables = {(t["facet"], t["language"]): t for t in make_confusions(predictions)}
    assert set(tables) == {("kind=average_intensity", language) for language in ("", "de", "en")}
    whole = tables["kind=average_intensity", ""]
    assert whole["labels"] == ["softly", "moderate volume", "loudly"] and whole["suite"] == "s"
    assert whole["counts"] == [[1, 0, 0, 2], [0, 0, 0, 0], [1, 0, 1, 0]]
    assert tables["kind=average_intensity", "de"]["counts"] == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_questions_of_other_kinds_are_in_no_table():
    predictions = [predict(0, "It is noisy, and they speak very fast.", "noisy"), predict(1, "Yes.", "No."),
                   predict(2, "A woman.", "A man."), predict(3, "Loudly.", "Loudly.", language="zh"),
                   Prediction(item=make_item(4, "softly", metrics=("wer",)), answer="softly")]
    assert make_confusions(predictions) == []
