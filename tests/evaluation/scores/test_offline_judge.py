"""The offline judge: what counts as right, and what the baseline answers."""

import pytest
from scored_items import make_item

from sift_jax.evaluation.scores.offline_judge import (
    OfflineJudge,
    judge_closed,
    make_majority,
    question_kind,
    score_open,
)
from sift_jax.evaluation.scores.schema import Prediction


@pytest.mark.parametrize(
    "reference, answer, language, is_right",
    [
        ("Yes, the voice is very close-sounding.", "Yes.", "en", True),
        ("Yes, the voice is very close-sounding.", "yes it is", "en", True),
        (
            "Yes, the voice is very close-sounding.",
            "No, the voice is very close-sounding.",
            "en",
            False,
        ),
        ("Yes, the voice is very close-sounding.", "It is very close-sounding.", "en", False),
        ("Pitch 2: quite low pitch\nNo", "Pitch 1: very low pitch\nNo", "en", True),
        ("Pitch 2: quite low pitch\nNo", "Pitch 2: quite low pitch. No.", "en", True),
        ("Pitch 2: quite low pitch\nNo", "Pitch 2: quite low pitch\nYes", "en", False),
        ("Pitch 2: quite low pitch\nNo", "Pitch 2: quite low pitch", "en", False),
        ("Pitch 2: quite low pitch", "Pitch 3: quite low pitch", "en", True),
        ("Sí, la voz suena lejana.", "Sí", "es", True),
        ("Sì, la voce suona lontana.", "No, la voce suona lontana.", "it", False),
        ("The person speaks very fast.", "very fast", "en", True),
        ("The person speaks very fast.", "Very fast, very fast.", "en", True),
        ("The person speaks very fast.", "quite fast", "en", False),
        ("The person speaks very fast.", "fast", "en", False),
        (
            "The clip is noisy, and the person speaks very fast.",
            "It is noisy and very fast.",
            "en",
            True,
        ),
        (
            "The clip is noisy, and the person speaks very fast.",
            "It is very fast and noisy.",
            "en",
            False,
        ),
        ("The clip is noisy, and the person speaks very fast.", "It is noisy.", "en", False),
        ("The speaker is female.", "This is a woman.", "en", True),
        ("Die Stimme wird leiser.", "Sie wird LEISER", "de", True),
        ("Die Stimme wird leiser.", "Leiser als das andere.", "de", False),
        ('The speaker says: "Rain falls softly."', 'It says: "rain falls, softly"', "en", True),
        ('The speaker says: "Rain falls softly."', "Rain falls softly", "en", True),
        ('The speaker says: "Rain falls softly."', 'It says: "Rain falls loudly."', "en", False),
        ('The speaker says: "Rain falls softly."', "The sentence is spoken softly.", "en", False),
        ('The speaker says: "No music, please."', 'I hear: "No music, please."', "en", True),
        ("Die Person sagt: „Es regnet leise.“", 'Ich höre: "Es regnet leise."', "de", True),
        ("Die Person sagt: „Es regnet leise.“", "Gesagt wird: „Es regnet laut.“", "de", False),
        ("The person speaks very fast.", "", "en", False),
        ('The speaker says: "Rain."', "", "en", False),
    ],
)
def test_judge(reference, answer, language, is_right):
    assert judge_closed(reference, answer, language) is is_right


@pytest.mark.parametrize(
    "reference, language, kind",
    [
        ("No, the clip is clean.", "en", "yes_no"),
        ("Clarity 6: clean\nNo", "en", "yes_no"),
        ("Die Person spricht sehr schnell.", "de", "speaking_rate"),
        ("The clip is noisy, and the person speaks very fast.", "en", "noise_level+speaking_rate"),
        ("First very slowly, then quite fast.", "en", "speaking_rate"),
        ('The speaker says: "Rain falls."', "en", "transcript"),
        ('The sounds are "r|eɪ|n".', "en", "phonemes"),
        ("Die Person sagt: „Kommst du? Nein.“", "de", "transcript"),
        ("It is hard to say.", "en", "text"),
        ('The speaker says: "Are you coming? No."', "en", "transcript"),
    ],
)
def test_kind(reference, language, kind):
    assert question_kind(reference, language) == kind


def test_majority_is_the_most_frequent_class_whatever_its_words():
    rows = [
        ("c", "en", "It is clean."),
        ("c", "en", "The clip is noisy."),
        ("c", "en", "This audio is noisy."),
        ("c", "de", "Der Ton ist sauber."),
        ("c", "en", "Yes, it is."),
        ("d", "en", "It is clean."),
    ]
    majority = make_majority(rows)
    assert set(majority) == {
        ("c", "en", "noise_level"),
        ("c", "de", "noise_level"),
        ("c", "en", "yes_no"),
        ("d", "en", "noise_level"),
    }
    assert judge_closed("It is noisy.", majority["c", "en", "noise_level"], "en")
    assert judge_closed("It is clean.", majority["d", "en", "noise_level"], "en")


def test_open_score_is_the_f1_of_the_labels():
    reference = "Probably outdoors: the voice is distant-sounding and the clip is noisy."
    assert score_open(reference, reference, "en") == 10
    assert score_open(reference, "It is noisy.", "en") == pytest.approx(20 / 3)
    assert score_open(reference, "It is clean.", "en") == 0
    assert score_open(reference, "", "en") == 0
    assert score_open("Who knows?", "who knows", "en") == 10


def test_the_judge_gives_verdicts_for_its_metrics_alone():
    items = [
        make_item(0, "It is clean.", metrics=("judge_closed", "rouge_l")),
        make_item(
            1, ("It is noisy.", "It is noisy and they speak very fast."), metrics=("judge_open",)
        ),
        make_item(2, "Anything.", metrics=("judge_air_bench",)),
        make_item(3, "yes", metrics=("exact_match",)),
    ]
    answers = ("clean", "They speak very fast, and it is noisy.", "Anything.", "yes")
    predictions = [Prediction(item=i, answer=a) for i, a in zip(items, answers, strict=True)]
    closed, opened, pair = OfflineJudge().judge(predictions)
    assert (closed.score, closed.status, closed.metric, closed.reason) == (
        1.0,
        "scored",
        "judge_closed",
        "labels: noise_level=clean",
    )
    assert opened.score == 10.0, "the nearest reference counts"
    assert (pair.score, pair.status) == (None, "no_judge") and "name an endpoint" in pair.reason


def test_languages_without_labels_are_compared_by_their_words():
    assert judge_closed("是的.", "是的", "zh") and not judge_closed("是的.", "不是", "zh")
    assert question_kind("是的.", "zh") == "text" and score_open("是的.", "是的", "") == 10.0
