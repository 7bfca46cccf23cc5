"""Mixtures as data: shipped names, tables of one's own, rates laid over them, languages, and what a
split lacks."""

import json
import shutil

import pytest
import seqio
from resolve_configs import CONFIGS
from tiny_run import make_data

from sift_jax.cli import build_arguments
from sift_jax.config_files import ConfigError
from sift_jax.data.defined_tasks import define_tasks
from sift_jax.data.tasks.mixture_rates import resolve_rates
from sift_jax.data.tasks.mixture_table import (
    MIXTURES,
    TASKS,
    change_rates,
    choose_rates,
    match_patterns,
)
from sift_jax.training.loop import train

NAMES = ["sift.open_ended.de", "sift.open_ended.en", "sift.closed_ended.comparison.en"]


def find_rates(data, tokenizer, split="train", modules=(), among=None):
    defined = define_tasks(data, tokenizer, modules, split, among)
    return {name: rate for name, rate, _ in defined.tasks}, defined.notes


def drop_places(records, language, split, category):
    """Records whose index says that a split has none of a category."""
    path = records / f"sift_{language}" / "index.json"
    index = json.loads(path.read_text())
    del index[split][category]
    path.write_text(json.dumps(index))


@pytest.fixture
def lacking(corpus, tmp_path):
    """Records in which German has open questions in dev alone, and nobody has comparisons to train
    on."""
    records = shutil.copytree(corpus.records, tmp_path / "records")
    drop_places(records, "de", "train", "open_ended")
    for language in ("en", "de"):
        drop_places(records, language, "train", "closed_ended/comparison")
    return records


def test_rates_are_shared_by_what_a_pattern_matches():
    assert resolve_rates({"*.open_ended.*": 0.6, "*.comparison.en": 0.4}, NAMES).rates == {
        "sift.open_ended.de": 0.3,
        "sift.open_ended.en": 0.3,
        "sift.closed_ended.comparison.en": 0.4,
    }
    assert resolve_rates({"*.open_ended.*": 1, "*.comparison.*": 0}, NAMES).rates.keys() == set(
        NAMES[:2]
    )
    # what one has not got is left out by its rate
    assert resolve_rates({"*.open_ended.*": 1, "*.emotion.*": 0}, NAMES).rates.keys() == set(
        NAMES[:2]
    )


@pytest.mark.parametrize(
    "rates, message",
    [
        (
            {"sift.opened.*": 1.0},
            r"mixture pattern 'sift.opened.\*' matches none of the tasks: sift.closed_ended",
        ),
        (
            {"*.en": 1.0, "*open_ended.*": 1.0},
            r"sift.open_ended.en is matched by two patterns .* '\*open_ended.\*'",
        ),
        ({"*": -1.0}, r"mixture pattern '\*' has the negative rate -1.0; use 0"),
        ({"*": 0.0}, "every rate of the mixture is 0; give at least one task"),
        (
            {"*": 1.0, "sift.opened.*": 0.0},
            r"mixture pattern 'sift.opened.\*' matches no task that could be; correct",
        ),
    ],
)
def test_rates_that_are_refused(rates, message):
    with pytest.raises(ValueError, match=message):
        resolve_rates(rates, NAMES)


@pytest.mark.parametrize("name", MIXTURES)
def test_a_shipped_mixture_names_tasks_once_each(name):
    found = match_patterns(MIXTURES[name], TASKS)
    assert all(len(tasks) == 5 for tasks in found.values())


def test_rates_are_laid_over_a_mixture():
    rates = {"a": 0.5, "b": 0.5}
    assert change_rates(rates, {"a": None, "b": 0.0, "c": 0.2}) == {"a": 0.5, "b": 0.0, "c": 0.2}
    assert choose_rates("generation", None, {}) == {"sift.controllable_generation.*": 1.0}
    assert choose_rates(None, rates, {"a": 1.0}) == {"a": 1.0, "b": 0.5}
    assert choose_rates("of_my_module", None, {}) is None


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"name": "understanding"},
            "both MixtureConfig.name and MixtureConfig.rates are given; name a mixture",
        ),
        (
            {"rates": None},
            (
                "neither MixtureConfig.name nor .* is given; name a mixture by MIXTURE .one of "
                "from_noth"
            ),
        ),
        (
            {"languages": ("nl",)},
            "MixtureConfig.languages.0. is 'nl'; choose one of en, de, fr, it, es",
        ),
        ({"languages": ("de", "de")}, "MixtureConfig.languages .*; give 0 or more, each once"),
        ({"rates": {"*": float("inf")}}, "MixtureConfig.rates.* is inf; give 0 or more"),
        ({"rate_changes": {"*.en": -0.5}}, "MixtureConfig.rate_changes.* is -0.5; give 0 or more"),
    ],
)
def test_what_names_no_mixture_is_refused(corpus, changes, message):
    with pytest.raises(ValueError, match=message):
        make_data(corpus, **changes)


def test_a_shipped_mixture_by_its_name(corpus, tokenizer):
    rates, notes = find_rates(make_data(corpus, name="understanding", rates=None), tokenizer)
    assert (
        rates["sift.closed_ended.acoustic_level.de"] == 0.175
        and rates["sift.open_ended.en"] == 0.05
    )
    assert sum(rates.values()) == pytest.approx(1.0) and not notes
    without = {"sift.closed_ended.comparison.*": 0.0, "sift.pretraining.emotion.*": 0.0}
    rates, _ = find_rates(
        make_data(corpus, name="understanding", rates=None, rate_changes=without), tokenizer
    )
    assert not any("comparison" in name for name in rates) and sum(rates.values()) == pytest.approx(
        0.9
    )


def test_languages_are_chosen_before_rates_are_shared(corpus, tokenizer):
    data = make_data(corpus, name="understanding", rates=None, languages=("de",))
    rates, _ = find_rates(data, tokenizer)
    assert rates["sift.open_ended.de"] == 0.1 and all(name.endswith(".de") for name in rates)
    assert rates == find_rates(data, tokenizer, modules=(object(),))[0], "by SeqIO, too"
    for modules in ((), (object(),)):
        with pytest.raises(
            ValueError, match="names 'fr', of which there are no records under .*; make them with"
        ):
            find_rates(make_data(corpus, languages=("en", "fr")), tokenizer, modules=modules)


@pytest.mark.parametrize("modules", [(), (object(),)])
def test_a_rate_goes_to_those_that_have_the_split(corpus, lacking, tokenizer, modules):
    rates = {"sift.*.acoustic_level.*": 0.5, "sift.open_ended.*": 0.5}
    data = make_data(corpus, records=str(lacking), rates=rates)
    found, notes = find_rates(data, tokenizer, modules=modules)
    assert (
        found["sift.open_ended.en"] == 0.5 and found["sift.closed_ended.acoustic_level.de"] == 0.25
    )
    assert notes == [
        "mixture pattern 'sift.open_ended.*': no rows in train of sift.open_ended.de; its rate of "
        "0.5 goes to sift.open_ended.en"
    ]
    assert find_rates(data, tokenizer, "dev", modules)[0]["sift.open_ended.de"] == 0.25
    trained = list(found)
    assert find_rates(data, tokenizer, "dev", modules, trained)[0] == found


@pytest.mark.parametrize("modules", [(), (object(),)])
def test_a_pattern_of_which_nothing_can_be_trained_is_refused(corpus, lacking, tokenizer, modules):
    data = make_data(
        corpus, records=str(lacking), rates={"*.acoustic_level.en": 0.5, "*.comparison.*": 0.5}
    )
    with pytest.raises(
        ValueError, match=r"'\*.comparison.\*' has the rate 0.5, and .* has no rows in train; make"
    ):
        find_rates(data, tokenizer, modules=modules)
    rates, notes = find_rates(data, tokenizer, "EvalSIFT", modules)
    assert rates["sift.closed_ended.comparison.de"] == 0.25 and not notes


def test_seqio_has_the_rates_of_the_plan(corpus, lacking, tokenizer):
    """Every shipped mixture and every split, of whatever the records have."""
    for records in (corpus.records, lacking):
        for name, split in [
            ("understanding", "dev"),
            ("understanding", "EvalSIFT"),
            ("instructions", "dev"),
        ]:
            without = {"sift.controllable_generation.*": 0.0}
            data = make_data(
                corpus, records=str(records), name=name, rates=None, rate_changes=without
            )
            planned, notes = find_rates(data, tokenizer, split)
            assert (planned, notes) == find_rates(data, tokenizer, split, (object(),))
    planned, _ = find_rates(
        make_data(corpus, name="understanding", rates=None), tokenizer, "train", (object(),)
    )
    mixture = seqio.get_mixture_or_task("understanding")
    assert {task.name: mixture.get_rate(task) for task in mixture.tasks} == planned


def test_each_shipped_mixture_has_a_gin_file():
    assert {path.stem for path in (CONFIGS / "mixtures").glob("*.gin")} == set(MIXTURES)


@pytest.mark.parametrize(
    "stage", ["stage1", "stage3", "quickstart/stage2", "laptop/stage1", "sweeps/small/arm"]
)
def test_any_mixture_may_be_laid_over_any_stage(stage):
    first = str(CONFIGS / f"{stage}.gin")
    for name in MIXTURES:
        arguments = build_arguments(
            train, [first, str(CONFIGS / "mixtures" / f"{name}.gin")], ["WORD_RATE = 0.0"]
        )
        mixture = arguments["data"].mixture
        assert (mixture.name, mixture.rates) == (name, None)
        assert mixture.choose_rates()["sift.closed_ended.word_align.*"] == 0.0
    own = ["MIXTURE = None", "RATES = {'sift.open_ended.*': 1.0}", "LANGUAGES = ('en', 'fr')"]
    mixture = build_arguments(train, [first], own)["data"].mixture
    assert mixture.choose_rates()["sift.open_ended.*"] == 1.0 and mixture.languages == ("en", "fr")
    with pytest.raises(
        ConfigError, match="both MixtureConfig.name and MixtureConfig.rates are given"
    ):
        build_arguments(
            train, [first], ["MIXTURE = 'hearing'", "RATES = {'sift.open_ended.*': 1.0}"]
        )
