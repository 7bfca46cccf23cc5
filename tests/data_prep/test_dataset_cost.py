"""What a dataset costs: figures grow as they should, and the page holds them."""

import pytest

from benchmarks.dataset_cost import Rates, format_page, make_paper_size, scale_costs
from data_prep.describe.paper import PAPER_ROWS

RATES = Rates(
    of_hour={"decode and measure": 9.0, "encode as FLAC": 1.0},
    of_row={"write from templates": 1e-4},
    bytes_of_hour={"FLAC": 6e7, "Opus": 1e7},
    bytes_of_row=dict.fromkeys(PAPER_ROWS, 300.0),
    bytes_of_utterance=2000.0,
    prompt_tokens=dict.fromkeys(PAPER_ROWS, 100.0),
    completion_tokens=dict.fromkeys(PAPER_ROWS, 50.0),
)


def test_the_paper_s_size_costs_what_its_rates_say():
    size = make_paper_size(14_000, 10.0)
    costs = scale_costs(RATES, size)
    assert (
        size.total == sum(sum(rows.values()) for rows in PAPER_ROWS.values())
        and size.utterances == 5_040_000
    )
    assert costs["hours decode and measure"] == pytest.approx(9 * 14_000 / 3600)
    assert costs["hours write from templates"] == pytest.approx(size.total * 1e-4 / 3600)
    assert costs["tokens prompt"] == pytest.approx(100 * size.total)
    assert costs["tokens completion"] == pytest.approx(50 * size.total)
    assert costs["bytes metadata"] == pytest.approx(2000 * 5_040_000)
    # pairs hold their two recordings again
    pairs = sum(PAPER_ROWS["closed_ended/comparison"].values()) / 10
    assert size.stored_hours == pytest.approx(14_000 + 2 * pairs * 10 / 3600)
    assert costs["bytes records in Opus"] == pytest.approx(
        1e7 * size.stored_hours + costs["bytes rows"]
    )


def test_ten_times_the_hours_cost_ten_times_as_much():
    small, large = (scale_costs(RATES, make_paper_size(hours, 8.0)) for hours in (100, 1000))
    for name, cost in small.items():
        assert large[name] == pytest.approx(10 * cost), name


def test_the_page_has_the_figures():
    page = format_page(RATES, make_paper_size(14_000, 10.0), "a command", "a machine")
    assert "400 × real time | 35.0 |" in page and "10,000 rows a second" in page
    assert "| open_ended | 100 | 50 | 0.4 G | 0.2 G |" in page and "| 100,000 |" in page
    assert all(category in page for category in PAPER_ROWS)
