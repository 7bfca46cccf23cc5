"""A start that changes a run's config says what, and keeps the config of before."""

import dataclasses

from tiny_run import make_run

from sift_jax.checkpoints.config_history import list_changes, read_bindings, write_config
from sift_jax.launch import Launch
from sift_jax.training.loop import train

TEXT = """import sift_jax
# Macros:
# ==============================================================================
STEPS = 600

# Parameters for DataConfig:
# ==============================================================================
DataConfig.rates = \\
    {'sift.closed_ended.*': 0.5,
     'sift.open_ended.*': 0.5}
DataConfig.rows = 4
RunConfig.out_dir = 'runs/a = b'
"""


def test_bindings_are_read_whole():
    assert read_bindings(TEXT) == {
        "STEPS": "600",
        "DataConfig.rates": "{'sift.closed_ended.*': 0.5, 'sift.open_ended.*': 0.5}",
        "DataConfig.rows": "4",
        "RunConfig.out_dir": "'runs/a = b'",
    }
    other = TEXT.replace("600", "1200").replace(
        "'sift.open_ended.*': 0.5", "'sift.open_ended.*': 0.25"
    )
    other = other.replace("DataConfig.rows = 4", "DataConfig.clips = 2")
    assert list_changes(TEXT, other) == [
        "DataConfig.clips unbound → 2",
        "DataConfig.rates {'sift.closed_ended.*': 0.5, 'sift.open_ended.*': 0.5} → "
        "{'sift.closed_ended.*': 0.5, 'sift.open_ended.*': 0.25}",
        "DataConfig.rows 4 → unbound",
        "STEPS 600 → 1200",
    ]
    assert list_changes(TEXT, "# the same, said otherwise\n" + TEXT) == []


def test_each_part_of_a_run_keeps_its_config(tmp_path):
    assert write_config(tmp_path, "A = 1\n", step=0) is None
    assert write_config(tmp_path, "A = 1\n", step=4) is None
    said = write_config(tmp_path, "A = 2\n", step=6)
    assert said == (
        f"from step 6 on {tmp_path} has another config than before ({tmp_path}/config.1.gin): A 1 "
        "→ 2"
    )
    # killed between the two files, and started again
    (tmp_path / "config.gin").write_text("A = 1\n")
    assert write_config(tmp_path, "A = 2\n", step=6) == said
    assert write_config(tmp_path, "A = 3\n", step=9).endswith("config.2.gin): A 2 → 3")
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"config.1.gin": "A = 1\n", "config.2.gin": "A = 2\n", "config.gin": "A = 3\n"}
    # one that starts over in a folder without checkpoints has no earlier part
    assert write_config(tmp_path, "A = 4\n", step=0) is None


def test_a_resumed_run_says_its_new_learning_rate(corpus, tmp_path, capsys):
    def start(steps, rate):
        arguments = make_run(corpus, tmp_path / "run", steps=steps, dev_batches=0)
        optimizer = dataclasses.replace(arguments["optimizer"], peak_learning_rate=rate)
        launch = Launch(config_text=f"PEAK_LR = {rate}\nSTEPS = {steps}\n")
        train(**{**arguments, "optimizer": optimizer}, launch=launch)
        return capsys.readouterr().out

    assert "another config" not in start(3, 0.01)
    said = start(4, 0.1)
    assert (
        f"has another config than before ({tmp_path}/run/config.1.gin): PEAK_LR 0.01 → 0.1; STEPS "
        "3 → 4"
    ) in said
    assert (tmp_path / "run" / "config.1.gin").read_text() == "PEAK_LR = 0.01\nSTEPS = 3\n"
    assert (tmp_path / "run" / "config.gin").read_text() == "PEAK_LR = 0.1\nSTEPS = 4\n"
    # it has its steps already: nothing is written
    assert (
        "not the one that it was trained by" in start(4, 0.2)
        and len(list((tmp_path / "run").glob("*.gin"))) == 2
    )
