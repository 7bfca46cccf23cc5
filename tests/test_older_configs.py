"""Configs of an older form are read as they are written now, and say so."""

import pytest
from resolve_configs import resolve

from sift_jax.cli import build_arguments
from sift_jax.config_files import ROOT
from sift_jax.training.loop import train
from sift_jax.vocoder_training.run import train_vocoder

TABLE = "{'sift.open_ended.*': 0.25, 'sift.closed_ended.*': 0.75}"
OLD = f"""include 'configs/stage2.gin'
DataConfig.mixture = 'mine'
DataConfig.rates = {TABLE}
"""


def build(path, *bindings):
    notes = []
    return build_arguments(train, [str(path)], list(bindings), say=notes.append)[
        "data"
    ].mixture, notes


def test_a_table_beside_a_title_is_the_mixture(tmp_path):
    path = tmp_path / "old.gin"
    path.write_text(OLD)
    mixture, notes = build(path)
    assert (mixture.name, mixture.rates) == (
        None,
        {"sift.open_ended.*": 0.25, "sift.closed_ended.*": 0.75},
    )
    assert mixture.languages == () and mixture.rate_changes == {}
    assert sum("are read as those of MixtureConfig" in note for note in notes) == 1


def test_a_name_without_a_table_is_a_name(tmp_path):
    path = tmp_path / "old.gin"
    path.write_text(
        "include 'configs/stage2.gin'\nDataConfig.mixture = 'generation'\nDataConfig.rates = None\n"
    )
    assert build(path)[0].name == "generation"


def test_rates_on_the_command_line_take_the_place_of_a_name():
    mixture, notes = build(
        ROOT / "configs" / "stage2.gin", f"DataConfig.rates = {TABLE}", "MixtureConfig.name = None"
    )
    assert mixture.rates["sift.open_ended.*"] == 0.25 and any(
        "are read as" in note for note in notes
    )


def test_a_config_of_today_is_left_alone(tmp_path):
    _, notes = build(ROOT / "configs" / "stage2.gin")
    assert not any("are read as" in note for note in notes)
    assert resolve("stage2")[0]["data"].mixture.name == "understanding"


@pytest.mark.parametrize("place", ["file", "command line"])
def test_a_repeated_key_is_found_in_the_older_form_too(tmp_path, place):
    table = "DataConfig.rates = {'a.*': 1.0, 'a.*': 2.0}"
    path = tmp_path / "old.gin"
    path.write_text("include 'configs/stage2.gin'\n" + (table + "\n" if place == "file" else ""))
    with pytest.raises(ValueError, match=r"the key 'a\.\*' is given a second time"):
        build(path, *([table] if place == "command line" else []))


def test_a_run_function_that_has_moved_is_found_under_its_old_name(tmp_path):
    base, tiny = (ROOT / "configs" / "vocoder" / name for name in ("base.gin", "tiny.gin"))
    old_base, old = tmp_path / "base.gin", tmp_path / "old.gin"
    old_base.write_text(
        base.read_text().replace("sift_jax.vocoder_training.run.", "sift_jax.vocoder_training.run.")
    )
    old.write_text(tiny.read_text().replace("configs/vocoder/base.gin", str(old_base)))
    assert build_arguments(train_vocoder, [str(old)], []) == build_arguments(
        train_vocoder, [str(tiny)], []
    )
