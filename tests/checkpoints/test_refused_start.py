"""A start that is refused leaves nothing behind; a run that has begun keeps its folder."""

import pytest
from tiny_run import make_run

from sift_jax.checkpoints.refused_start import undo_refused_start
from sift_jax.training.loop import train


def test_a_train_without_records_leaves_no_folder(corpus, tmp_path):
    run = tmp_path / "run"
    arguments = make_run(corpus, run, dev_batches=0, data={"records": str(tmp_path / "none")})
    with pytest.raises(ValueError, match="no records under"):
        train(**arguments)
    assert not run.exists()


@pytest.mark.parametrize("was_there, begun, stays", [(0, 0, 0), (0, 1, 1), (1, 0, 1)])
def test_only_a_folder_of_this_start_is_removed(tmp_path, was_there, begun, stays):
    run = tmp_path / "run"
    run.mkdir()
    with (
        pytest.raises(ValueError, match="refused"),
        undo_refused_start(run, was_there=bool(was_there)),
    ):
        (run / "model.json").write_text("{}")
        if begun:
            (run / "config.gin").write_text("STEPS = 1\n")
        raise ValueError("refused")
    assert run.exists() == bool(stays)


def test_a_run_that_ends_well_keeps_its_folder(tmp_path):
    with undo_refused_start(tmp_path, was_there=False):
        pass
    assert tmp_path.exists()
