"""Figures against scikit-learn's and by hand; the floors are floors."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, mean_absolute_error

from data_prep.generation.classify import Outcome
from data_prep.generation.figures import (
    count_confusions,
    score_constant,
    score_outcomes,
    score_permuted,
)
from data_prep.generation.requests import Request
from data_prep.generation.spoken_folder import Spoken
from data_prep.generation.word_errors import score_words
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig

DRAWS = BootstrapConfig(samples=400, confidence=0.95, seed=0)
NO_DRAWS = BootstrapConfig(samples=0, confidence=0.95, seed=0)


def make_outcomes(asked, found, *, sample=0, key="speaking_rate"):
    return [
        Outcome(
            id=f"u{place}",
            text=f"text {place // 2}",
            language="en",
            sample=sample,
            key=key,
            asked=int(a),
            found=None if b is None else int(b),
            reason=None if b is not None else "silence",
        )
        for place, (a, b) in enumerate(zip(asked, found, strict=True))
    ]


def pick(cells):
    return {cell.metric: cell for cell in cells}


@pytest.mark.parametrize("seed", range(4))
def test_figures_are_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    asked = rng.integers(0, 7, 80)
    found = np.clip(asked + rng.integers(-2, 3, 80), 0, 6)
    cells = pick(score_outcomes("model", "en", "speaking_rate", make_outcomes(asked, found), DRAWS))
    assert cells["mae"].value == pytest.approx(mean_absolute_error(asked, found))
    assert cells["qwk"].value == pytest.approx(cohen_kappa_score(asked, found, weights="quadratic"))
    assert cells["exact"].value == pytest.approx((asked == found).mean())
    for cell in cells.values():
        assert cell.low < cell.value < cell.high and cell.n == cell.of == 80 and cell.std is None


def test_by_hand():
    """Asked 0 1 2, found 0 1 0: one of three is two steps off."""
    cells = pick(
        score_outcomes(
            "m",
            "en",
            "average_intensity",
            make_outcomes([0, 1, 2], [0, 1, 0], key="average_intensity"),
            NO_DRAWS,
        )
    )
    # observed 4/3; expected by margins (1,1,1) and (2,1,0): (0·2+1·1 + 1·2+0 + 4·2+1·1) / 3 / 3 =
    # 12/9
    assert cells["mae"].value == pytest.approx(2 / 3) and cells["qwk"].value == pytest.approx(
        1 - (4 / 3) / (12 / 9)
    )
    assert cells["mae"].low is None
    assert count_confusions("average_intensity", make_outcomes([0, 1, 2], [0, 1, 0])) == [
        [1, 0, 0],
        [0, 1, 0],
        [1, 0, 0],
    ]


def test_a_figure_is_the_mean_over_runs_and_what_is_missing_is_counted():
    first = make_outcomes([0, 3, 6, 2], [0, 3, 6, None])
    second = make_outcomes([0, 3, 6, 2], [1, 4, 5, 2], sample=1)
    cell = pick(score_outcomes("model", "en", "speaking_rate", first + second, DRAWS))["mae"]
    assert cell.runs == [0.0, 0.75] and cell.value == pytest.approx(0.375)
    assert cell.std == pytest.approx(np.std([0, 0.75], ddof=1))
    assert (cell.n, cell.of, cell.missing) == (7, 8, {"silence": 1})


def test_nothing_measured_gives_no_figure():
    for cell in score_outcomes(
        "model", "en", "speaking_rate", make_outcomes([0, 1], [None, None]), DRAWS
    ):
        assert cell.value is None and cell.low is None and cell.n == 0
    for cell in score_permuted("en", "speaking_rate", make_outcomes([0, 1], [None, None]), DRAWS):
        assert cell.value is None


def test_who_obeys_has_one_and_who_does_not_has_nothing():
    rng = np.random.default_rng(5)
    asked = rng.integers(0, 7, 300)
    obeys = make_outcomes(asked, asked)
    cells = pick(score_outcomes("model", "en", "speaking_rate", obeys, DRAWS))
    assert cells["qwk"].value == 1.0 and cells["mae"].value == 0.0
    # of 150 texts without a fault nobody may say that there is none
    assert 0.9 < cells["exact"].low < 1.0 == cells["exact"].high
    chance = pick(score_permuted("en", "speaking_rate", obeys, DRAWS))
    assert (
        abs(chance["qwk"].value) < 0.02 and chance["qwk"].low < -0.05 and chance["qwk"].high > 0.05
    )
    deaf = pick(
        score_outcomes(
            "model", "en", "speaking_rate", make_outcomes(asked, rng.integers(0, 7, 300)), DRAWS
        )
    )
    assert chance["qwk"].low < deaf["qwk"].value < chance["qwk"].high
    # the steps that chance costs are those between all pairs
    assert chance["mae"].value == pytest.approx(np.abs(asked[:, None] - asked).mean(), abs=0.05)


def test_the_constant_floor_is_the_cheapest_class():
    asked = [0, 0, 1, 5, 6, 6, 6]
    cells = pick(score_constant("en", "speaking_rate", make_outcomes(asked, [None] * 7)))
    assert cells["qwk"].value == 0.0
    assert cells["mae"].value == pytest.approx(
        min(np.abs(np.array(asked) - c).mean() for c in range(7))
    )


def test_words_are_counted_after_the_normaliser():
    texts = {"u1": "Rain falls softly.", "u2": "It's 5 o'clock", "u3": "Der Regen fällt."}
    lines, rows = [], []
    for (name, text), said in zip(
        texts.items(), ("rain fall softly", "it is five o'clock", None), strict=True
    ):
        request = Request(
            id=name, language="de" if name == "u3" else "en", instruction=text, text=text, asked={}
        )
        lines.append(
            Spoken(request=request, sample=0, seed=0, audio="a.wav", units=1, has_ended=True)
        )
        rows.append({"said": said})
    cells = pick(score_words("model", "all", lines, rows, DRAWS))
    assert cells["wer"].value == pytest.approx(1 / 7) and (cells["wer"].n, cells["wer"].of) == (
        2,
        3,
    )
    assert cells["wer"].missing == {"not heard by the recogniser": 1}
    assert not score_words("model", "de", lines[2:], rows[2:], DRAWS)
    silent = pick(score_words("model", "en", lines[:1], [{"said": ""}], NO_DRAWS))
    assert silent["wer"].value == 1.0
