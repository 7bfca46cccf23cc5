"""Checkpoints: everything comes back as it was, and another model's is refused in one line."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
from tiny_model import make_config
from tiny_run import make_run

from sift_jax.checkpoints.checkpoint import CheckpointError, Checkpoints, DamagedError, load_params
from sift_jax.checkpoints.run_folder import read_model_file, write_model_file
from sift_jax.checkpoints.train_state import init_state
from sift_jax.exits import report_errors
from sift_jax.models.speech_lm import describe_params
from sift_jax.parallel import heartbeat
from sift_jax.training.loop import train
from sift_jax.training.optimizer import make_optimizer


def make_tiny_state(config, corpus, tmp_path, seed=0):
    update = make_optimizer(make_run(corpus, tmp_path)["optimizer"], 10)
    return jax.jit(lambda: init_state(config, (".*",), update, seed))()


def test_a_run_leaves_what_a_reader_needs(trained_run):
    assert read_model_file(trained_run) == make_config()
    config, step, params = load_params(trained_run)
    assert step == 6 and config == make_config()
    assert jax.tree.structure(params) == jax.tree.structure(describe_params(config))
    _, third, earlier = load_params(trained_run, 3)
    assert third == 3
    differs = jax.tree.map(
        lambda a, b: bool(np.any(np.asarray(a) != np.asarray(b))), params, earlier
    )
    assert all(jax.tree.leaves(differs["decoder"]["blocks"]))
    lines = [json.loads(line) for line in (trained_run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [2, 4, 6]
    assert {"dev_loss", "audio_gain"} <= set(lines[-1])
    assert {
        "tokens_per_second",
        "token_efficiency",
        "learning_rate",
        "grad_norm",
        "seconds",
    } <= set(lines[0])
    assert (trained_run / "tokenizer" / "tokenizer.json").is_file()
    assert list((trained_run / "tensorboard").iterdir())


def test_a_state_comes_back_bit_for_bit(corpus, tmp_path):
    state = make_tiny_state(make_config(), corpus, tmp_path)
    checkpoints = Checkpoints(tmp_path, is_reader=False)
    assert checkpoints.latest_step is None
    checkpoints.save(4, state, {"batches": 4}, force=True)
    checkpoints.wait()
    like = make_tiny_state(make_config(), corpus, tmp_path, seed=1)
    found, place = checkpoints.restore(like, (".*",), 4)
    assert place == {"batches": 4} and int(found["step"]) == 4
    for part in ("trainable", "optimizer"):
        jax.tree.map(np.testing.assert_array_equal, found[part], state[part])
        jax.tree.map(
            lambda a, b: a.dtype == b.dtype or pytest.fail("dtype"), found[part], state[part]
        )
    checkpoints.close()


def test_saves_come_at_multiples_and_where_they_are_forced(corpus, tmp_path):
    state = make_tiny_state(make_config(), corpus, tmp_path)
    checkpoints = Checkpoints(tmp_path, is_reader=False, every=3)
    saved = [
        step
        for step in range(1, 8)
        if checkpoints.save(step, state, {"batches": step}, force=step == 7)
    ]
    assert saved == [3, 6, 7] and not checkpoints.save(7, state, {"batches": 7}, force=True)
    checkpoints.close()
    assert sorted(int(path.name) for path in (tmp_path / "checkpoints").iterdir()) == [3, 6, 7]


def test_a_run_that_fails_finishes_what_it_was_saving(corpus, tmp_path):
    state = make_tiny_state(make_config(), corpus, tmp_path)
    checkpoints = Checkpoints(tmp_path, is_reader=False)
    with pytest.raises(FloatingPointError), checkpoints.finishing():
        checkpoints.save(4, state, {"batches": 4}, force=True)
        raise FloatingPointError
    assert (tmp_path / "checkpoints" / "4" / "place").is_dir()
    checkpoints.close()


def test_a_checkpoint_of_another_shape_names_the_parameter(corpus, tmp_path):
    checkpoints = Checkpoints(tmp_path, is_reader=False)
    checkpoints.save(
        1, make_tiny_state(make_config(), corpus, tmp_path), {"batches": 1}, force=True
    )
    checkpoints.wait()
    wider = make_tiny_state(make_config(projector_frames=4, decoder="quickstart"), corpus, tmp_path)
    message = (
        r"parameter decoder/blocks/attention_norm/scale is \(2, 32\) there and \(2, 192\) in this "
        r"model; use the"
    )
    with pytest.raises(CheckpointError, match=message) as error:
        checkpoints.restore(wider, (".*",), 1)
    assert "\n" not in str(error.value)
    adapted = make_tiny_state(make_config(lora_rank=2), corpus, tmp_path)
    with pytest.raises(
        CheckpointError, match=r"blocks/q/lora_a is missing there and \(2, 32, 2\) in this model"
    ):
        checkpoints.restore(adapted, (".*",), 1)
    checkpoints.close()


def test_another_models_folder_is_refused_before_anything_is_read(trained_run, corpus):
    with pytest.raises(
        CheckpointError,
        match="holds a run whose projector.frames is 4, this config says 2; choose another OUT_DIR",
    ):
        write_model_file(trained_run, make_config(projector_frames=2), is_begun=True)
    arguments = make_run(corpus, trained_run, steps=12)
    other = {**arguments, "model": dataclasses.replace(arguments["model"], decoder="quickstart")}
    with pytest.raises(
        CheckpointError, match="holds a run whose decoder.vocab_size is 384, this config says 4096"
    ):
        train(**other)
    assert read_model_file(trained_run) == make_config()


def test_arithmetic_may_change_between_runs(tmp_path):
    write_model_file(tmp_path, make_config(), is_begun=False)
    write_model_file(tmp_path, make_config(dtype="bfloat16", remat="full"), is_begun=True)
    assert read_model_file(tmp_path).remat == "full"


def test_missing_steps_and_folders_name_what_there_is(trained_run, tmp_path):
    with pytest.raises(CheckpointError, match="has no checkpoint of step 5; it has 3, 6"):
        load_params(trained_run, 5)
    with pytest.raises(
        CheckpointError,
        match=r"is not a run of sift_jax \(no model.json\); point to a folder that train wrote",
    ):
        load_params(tmp_path)
    write_model_file(tmp_path, make_config(), is_begun=False)
    with pytest.raises(CheckpointError, match="has no checkpoint of step None; it has none"):
        load_params(tmp_path)


def test_a_run_that_never_began_holds_its_folder_for_no_model(tmp_path):
    write_model_file(tmp_path, make_config(), is_begun=False)
    write_model_file(tmp_path, make_config(projector_frames=2), is_begun=False)
    assert read_model_file(tmp_path) == make_config(projector_frames=2)


def find_payload(step_dir, item):
    """The file that holds an item's largest arrays."""
    return max(
        (step_dir / item / "ocdbt.process_0" / "d").iterdir(), key=lambda file: file.stat().st_size
    )


def flip(path):
    """One bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.fixture
def copied_run(trained_run, tmp_path):
    return shutil.copytree(trained_run, tmp_path / "run")


@pytest.mark.parametrize("item", ["params", "optimizer"])
def test_a_flipped_bit_is_named_and_the_step_before_taken(
    corpus, copied_run, tmp_path, capsys, item
):
    flip(find_payload(copied_run / "checkpoints" / "6", item))
    checkpoints = Checkpoints(copied_run, is_reader=False)
    state, place = checkpoints.restore_newest(
        make_tiny_state(make_config(), corpus, tmp_path), (".*",)
    )
    assert int(state["step"]) == place["batches"] == 3
    said = capsys.readouterr().err
    assert (
        f"checkpoint {copied_run} step 6 is damaged: {item}/" in said
        and len(said.splitlines()) == 1
    )
    assert said.strip().endswith(f"it is moved to {copied_run}/damaged, and step 3 is taken")
    assert [path.name for path in (copied_run / "damaged").iterdir()] == ["6"]
    # nothing is in the way of the step when it comes again
    assert checkpoints.save(6, state, {"batches": 6}, force=True)
    checkpoints.close()
    assert load_params(copied_run)[1] == 6


def test_a_torn_file_and_a_changed_place_are_damage(corpus, copied_run, tmp_path, capsys):
    state = make_tiny_state(make_config(), corpus, tmp_path)
    place = copied_run / "checkpoints" / "6" / "place" / "metadata"
    place.write_text(place.read_text().replace('"batches": 6', '"batches": 5'))
    checkpoints = Checkpoints(copied_run, is_reader=False)
    with pytest.raises(DamagedError, match="step 6 is damaged: place is not what was saved"):
        checkpoints.restore(state, (".*",), 6)
    torn = find_payload(copied_run / "checkpoints" / "3", "params")
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 3])
    with pytest.raises(
        CheckpointError,
        match="no checkpoint that is whole .*step 6.*step 3.*delete it to train from scratch",
    ):
        checkpoints.restore_newest(state, (".*",))
    checkpoints.close()
    assert not (copied_run / "damaged").exists() and not capsys.readouterr().err


def test_the_loss_of_a_process_is_no_damage(corpus, copied_run, tmp_path, monkeypatch):
    """A restore over several processes fails where one of them is killed, and says nothing against
    the files."""
    lost = ValueError("UNKNOWN: Gloo AllGather failed: Read error: Connection reset by peer")
    checkpoints = Checkpoints(copied_run, is_reader=False)

    def restore(*arguments, **kwargs):
        raise ValueError("restoring failed") from lost

    monkeypatch.setattr(checkpoints._manager, "restore", restore)
    with pytest.raises(ValueError, match="restoring failed") as error:
        checkpoints.restore_newest(make_tiny_state(make_config(), corpus, tmp_path), (".*",))
    assert (
        not isinstance(error.value, CheckpointError) and (copied_run / "checkpoints" / "6").is_dir()
    )
    asked = []
    monkeypatch.setattr(heartbeat, "await_verdict", lambda: asked.append(True))
    with pytest.raises(SystemExit):
        report_errors(lambda: restore(), is_debug=False)
    assert asked, "the process that was killed is to be named"
    checkpoints.close()


def test_a_reader_names_the_damage_and_moves_nothing(copied_run, capsys):
    flip(find_payload(copied_run / "checkpoints" / "6", "params"))
    assert load_params(copied_run)[1] == 3
    assert "step 6 is damaged: params/" in capsys.readouterr().err
    with pytest.raises(DamagedError, match="step 6 is damaged: params/.* is not what was saved"):
        load_params(copied_run, 6)
    assert (copied_run / "checkpoints" / "6").is_dir()


def test_another_dtype_is_refused_where_a_run_goes_on_and_rounded_where_one_starts(
    corpus, trained_run, tmp_path
):
    state = make_tiny_state(make_config(), corpus, tmp_path)
    halves = {
        **state,
        "trainable": jax.tree.map(lambda x: x.astype("bfloat16"), state["trainable"]),
    }
    checkpoints = Checkpoints(trained_run, is_reader=True)
    with pytest.raises(
        CheckpointError, match=r"parameter \S+ is float32 there and bfloat16 in this model; use the"
    ):
        checkpoints.restore(halves, (".*",), 6)
    _, rounded = checkpoints.restore_params(halves["trainable"], 6)
    assert {str(x.dtype) for x in jax.tree.leaves(rounded)} == {"bfloat16"}
    counts = jax.tree.map(lambda x: x.astype("int32"), state["trainable"])
    with pytest.raises(
        CheckpointError, match=r"parameter \S+ is float32 there and int32 in this model"
    ):
        checkpoints.restore_params(counts, 6)
    checkpoints.close()
