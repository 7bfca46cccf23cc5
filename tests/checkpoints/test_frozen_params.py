"""What does not train is saved once, and every checkpoint is whole with it."""

import json
import shutil

import jax
import numpy as np
import pytest
from test_checkpoint import find_payload, flip
from tiny_model import make_config
from tiny_run import make_run

from sift_jax.checkpoints.checkpoint import Checkpoints, digest_sealed, load_params
from sift_jax.checkpoints.checkpoint_errors import CheckpointError
from sift_jax.checkpoints.checksums import checksum_leaves
from sift_jax.checkpoints.run_folder import write_model_file
from sift_jax.checkpoints.train_state import init_state, join_params
from sift_jax.models.speech_lm import describe_params
from sift_jax.training.optimizer import make_optimizer

CONFIG, TRAINABLE = make_config(lora_rank=2), ("projector/.*", ".*/lora_.*")


@pytest.fixture(scope="module")
def make_state(corpus, tmp_path_factory):
    update = make_optimizer(make_run(corpus, tmp_path_factory.mktemp("no_run"))["optimizer"], 10)
    return jax.jit(lambda seed: init_state(CONFIG, TRAINABLE, update, seed))


def assert_same(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert jax.tree.map(lambda x: x.dtype, found) == jax.tree.map(lambda x: x.dtype, expected)


def count_bytes(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def saved(make_state, tmp_path_factory):
    """(folder, state) of a run with two checkpoints."""
    run_dir, state = tmp_path_factory.mktemp("frozen") / "run", make_state(0)
    run_dir.mkdir()
    write_model_file(run_dir, CONFIG, is_begun=False)
    checkpoints = Checkpoints(run_dir, is_reader=False, every=2)
    assert [checkpoints.save(step, state, {"batches": step}) for step in (1, 2, 3, 4)] == [
        False,
        True,
        False,
        True,
    ]
    checkpoints.close()
    return run_dir, state


@pytest.fixture
def copied(saved, tmp_path):
    return shutil.copytree(saved[0], tmp_path / "run"), saved[1]


def test_it_is_there_once(saved, make_state):
    run_dir, state = saved
    (frozen,) = (run_dir / "frozen").iterdir()
    raw = sum(x.nbytes for x in jax.tree.leaves(state["frozen"]))
    assert count_bytes(frozen) > 0.8 * raw
    for step in ("2", "4"):
        params = json.loads((run_dir / "checkpoints" / step / "params" / "_METADATA").read_text())[
            "tree_metadata"
        ]
        assert not any("encoder" in path for path in params) and len(params) == len(
            jax.tree.leaves(state["trainable"])
        )
        assert count_bytes(run_dir / "checkpoints" / step) < raw
    checkpoints = Checkpoints(run_dir, is_reader=False)
    found, place = checkpoints.restore(make_state(1), TRAINABLE, 2)
    checkpoints.close()
    assert place == {"batches": 2}
    for part in ("trainable", "frozen", "optimizer"):
        assert_same(found[part], state[part])


def test_readers_see_one_model(saved):
    run_dir, state = saved
    _, step, params = load_params(run_dir)
    assert step == 4 and jax.tree.structure(params) == jax.tree.structure(describe_params(CONFIG))
    assert_same(params, join_params(state["trainable"], state["frozen"]))


def test_a_life_that_was_killed_before_its_first_checkpoint_leaves_nothing_in_the_way(
    copied, make_state
):
    """Frozen parameters that are whole are taken; drafts go; and those of another model are not
    taken for these."""
    run_dir, state = copied
    shutil.rmtree(run_dir / "checkpoints")
    (frozen,) = (run_dir / "frozen").iterdir()
    inode = frozen.stat().st_ino
    (run_dir / "frozen" / "0123456789abcdef.orbax-checkpoint-tmp").mkdir()
    for number, seed in enumerate((0, 1), 1):
        checkpoints = Checkpoints(run_dir, is_reader=False)
        checkpoints.save(number, make_state(seed), {"batches": 1})
        checkpoints.wait()
        assert_same(
            checkpoints.restore(state, TRAINABLE, number)[0]["frozen"], make_state(seed)["frozen"]
        )
        checkpoints.close()
    assert frozen.stat().st_ino == inode
    assert len(list((run_dir / "frozen").iterdir())) == 2 and not list(
        run_dir.rglob("*orbax-checkpoint-tmp*")
    )


def test_a_flipped_bit_in_it_ends_all(copied, make_state):
    run_dir, _ = copied
    (frozen,) = (run_dir / "frozen").iterdir()
    flip(find_payload(frozen, "."))
    message = (
        r"frozen/[0-9a-f]{16} is damaged: params/.* is not what was saved.*; all checkpoints of "
        r".* need it: bring"
    )
    checkpoints = Checkpoints(run_dir, is_reader=False)
    with pytest.raises(CheckpointError, match=message):
        checkpoints.restore_newest(make_state(1), TRAINABLE)
    checkpoints.close()
    assert not (run_dir / "damaged").exists()
    shutil.rmtree(frozen)
    with pytest.raises(
        CheckpointError, match=r"is damaged: it is missing; all checkpoints of .* need it: bring"
    ):
        load_params(run_dir)


def test_checkpoints_of_older_versions_hold_all(copied, make_state):
    """They go on being read, and a run that resumes from one saves as it does now."""
    run_dir, state = copied
    for folder in ("checkpoints", "frozen"):
        shutil.rmtree(run_dir / folder)
    old = Checkpoints(run_dir, is_reader=False)
    whole = {**state, "trainable": join_params(state["trainable"], state["frozen"]), "frozen": {}}
    old.save(1, whole, {"batches": 1})
    old.close()
    assert not (run_dir / "frozen").exists()
    checkpoints = Checkpoints(run_dir, is_reader=False)
    found, _ = checkpoints.restore_newest(make_state(1), TRAINABLE)
    assert_same(
        {k: found[k] for k in ("trainable", "frozen")},
        {k: state[k] for k in ("trainable", "frozen")},
    )
    assert checkpoints.save(2, found, {"batches": 2})
    checkpoints.close()
    for step in (1, 2):
        assert_same(load_params(run_dir, step)[2], whole["trainable"])


def seal_as_before(run_dir, step, params, optimizer):
    """Writes a step's seal as it was when there was one rule of checksums, and nothing said
    which."""
    path = run_dir / "checkpoints" / str(step) / "place" / "metadata"
    sealed = json.loads(path.read_text())
    del sealed["digest"], sealed["checksum_format"]
    sealed["checksums"] = checksum_leaves({"params": params, "optimizer": optimizer}, 1)
    path.write_text(json.dumps({**sealed, "digest": digest_sealed(sealed)}))


def test_what_an_older_rule_sealed_is_verified_by_it_and_sealed_anew(copied, make_state):
    run_dir, state = copied
    (run_dir / "checkpoints" / "2").rename(run_dir / "aside")
    seal_as_before(run_dir, 4, join_params(state["trainable"], state["frozen"]), state["optimizer"])
    checkpoints = Checkpoints(run_dir, is_reader=False)
    found, place = checkpoints.restore_newest(make_state(1), TRAINABLE)
    assert place == {"batches": 4}
    assert_same(found["trainable"], state["trainable"])
    assert checkpoints.save(5, found, {"batches": 5})
    checkpoints.close()
    # the frozen parameters were not written a second time, and the new seal is of the new rule
    assert len(list((run_dir / "frozen").iterdir())) == 1
    sealed = json.loads((run_dir / "checkpoints" / "5" / "place" / "metadata").read_text())
    assert sealed["checksum_format"] == 2
    assert sealed["checksums"].items() >= checksum_leaves({"params": state["frozen"]}).items()
    assert load_params(run_dir)[1] == 5
    # and what it had sealed is still found damaged
    shutil.rmtree(run_dir / "checkpoints" / "5")
    flip(find_payload(run_dir / "checkpoints" / "4", "params"))
    with pytest.raises(CheckpointError, match="step 4 is damaged"):
        load_params(run_dir)
