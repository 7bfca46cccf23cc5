"""Answers about free fields are scored by their classes, in whatever words: judge, baselines,
confusions, controls."""

import pytest
from scored_items import make_item

from sift_jax.evaluation.judges.control_answers import WRONG, check_judge
from sift_jax.evaluation.scores.baselines import make_majority_predictions
from sift_jax.evaluation.scores.confusions import make_confusions
from sift_jax.evaluation.scores.offline_judge import OfflineJudge, item_kind, make_majority
from sift_jax.evaluation.scores.ordinal_scores import find_classes
from sift_jax.evaluation.scores.schema import Prediction, read_predictions, write_prediction
from sift_jax.sift.fields import load_fields

(EMOTION,) = FIELDS = load_fields()


def make_field_item(number, reference, language="en", metric="judge_closed", **changes):
    return make_item(
        number,
        reference,
        language=language,
        metrics=(metric,),
        labels=tuple(EMOTION.classes),
        aliases=EMOTION.list_names(language),
        facets={"kind": "emotion"},
        **changes,
    )


def score(item, answer):
    (verdict,) = OfflineJudge().judge([Prediction(item=item, answer=answer)])
    return verdict.score


@pytest.mark.parametrize(
    ("reference", "answer", "language", "expected"),
    [
        ("The speaker sounds angry.", "Angry.", "en", 1),
        ("The speaker sounds angry.", "I hear anger.", "en", 1),
        ("The speaker sounds angry.", "The speaker sounds sad.", "en", 0),
        ("The speaker sounds angry.", "", "en", 0),
        ("The speaker sounds angry.", "Angry, or sad?", "en", 0),
        ("The speaker sounds afraid.", "Frightened", "en", 1),
        ("Die Person klingt wütend.", "Wut", "de", 1),
        ("Die Person klingt wütend.", "angry", "de", 1),
        ("Die Person klingt ruhig.", "Die Person klingt traurig.", "de", 0),
        ("La personne semble gagnée par l'ennui.", "De l'ennui.", "fr", 1),
        ("La persona sembra spaventata.", "Sembra impaurita.", "it", 1),
        ("La persona suena enfadada.", "Ira.", "es", 1),
    ],
)
def test_a_class_is_found_in_other_words(reference, answer, language, expected):
    assert score(make_field_item(0, reference, language), answer) == expected


def test_open_answers_are_scored_by_class_and_labels():
    item = make_field_item(0, "To me, the person comes across as angry.", metric="judge_open")
    assert (
        score(item, "The speaker sounds angry.") == 10
        and score(item, "The speaker sounds happy.") == 0
    )
    assert score(item, "Angry, and talking very fast.") == pytest.approx(20 / 3)


def test_words_of_a_class_are_no_labels_elsewhere():
    item = make_item(0, "The speaker talks very fast.", metrics=("judge_closed",))
    assert score(item, "An angry person talks very fast.") == 1


def test_items_are_read_again_with_their_words(tmp_path):
    prediction = Prediction(item=make_field_item(0, "The speaker sounds sad."), answer="Sadness.")
    (tmp_path / "p.jsonl").write_text(write_prediction(prediction))
    (found,) = read_predictions(tmp_path / "p.jsonl")
    assert found == prediction and find_classes(found.item, found.answer) == ["sad"]


def test_the_majority_is_the_commonest_class_and_not_the_commonest_sentence():
    answers = [
        "The speaker sounds sad.",
        "The speaker sounds sad.",
        "The voice sounds angry.",
        "The speaker sounds angry.",
        "The person comes across as angry.",
    ]
    rows = [("", "en", text) for text in answers] + [("", "en", "The speaker talks very fast.")] * 9
    assert make_majority(rows, FIELDS)["", "en", "emotion"] == "The voice sounds angry."
    items = [
        make_field_item(0, "The speaker sounds sad."),
        make_item(1, "Very fast.", metrics=("judge_closed",)),
    ]
    made = make_majority_predictions(items, rows, FIELDS)
    assert [prediction.answer for prediction in made] == [
        "The voice sounds angry.",
        "The speaker talks very fast.",
    ]
    # Without training rows it is the class that the references have most of.
    items = [make_field_item(n, text) for n, text in enumerate(answers)]
    assert {prediction.answer for prediction in make_majority_predictions(items)} == {
        "The voice sounds angry."
    }


def test_confusions_of_all_languages_share_their_classes():
    predictions = [
        Prediction(item=make_field_item(0, "The speaker sounds angry."), answer="sad"),
        Prediction(item=make_field_item(1, "Die Person klingt wütend.", "de"), answer="Wut."),
        Prediction(item=make_field_item(2, "Die Person klingt ruhig.", "de"), answer="Hm."),
    ]
    tables = {table["language"]: table for table in make_confusions(predictions)}
    assert set(tables) == {"", "de", "en"} and tables[""]["facet"] == "kind=emotion"
    labels, counts = tables[""]["labels"], tables[""]["counts"]
    angry, calm, sad = (labels.index(label) for label in ("angry", "calm", "sad"))
    assert (
        counts[angry][sad]
        == counts[angry][angry]
        == counts[calm][len(labels)]
        == 1
        == sum(map(sum, counts)) - 2
    )


def test_wrong_controls_say_another_class_and_not_the_same_in_other_words():
    items = [
        make_field_item(n, f"The {who} sounds {label}.")
        for n, (who, label) in enumerate(
            (who, label) for who in ("speaker", "voice") for label in ("angry", "sad", "happy")
        )
    ]
    assert {item_kind(item) for item in items} == {"emotion"}
    found = check_judge(OfflineJudge(), items, count=60, threshold=0.9, seed=0)
    assert found["kinds"][WRONG][1] > 0 and found["kinds"][WRONG][0] == found["kinds"][WRONG][1]
