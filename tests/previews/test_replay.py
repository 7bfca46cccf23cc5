"""A past batch of a run, from the number of its step."""

import json
import shutil

import pytest
from tiny_model import measure_loss
from tiny_run import make_run, write_gin

from sift_jax.checkpoints.checkpoint import load_params
from sift_jax.previews.question_losses import find_checkpoint, measure_costs
from sift_jax.previews.replay_page import make_replay_page, open_run
from sift_jax.replay import main


@pytest.fixture
def run_dir(corpus, trained_run, tmp_path):
    """The tiny run of six steps, with the config that a command line would have left."""
    copied = shutil.copytree(trained_run, tmp_path / "run")
    write_gin(copied / "config.gin", make_run(corpus, copied))
    return copied


def read_batches(run_dir):
    lines = map(json.loads, (run_dir / "batches.jsonl").read_text().splitlines())
    return {line["step"]: line for line in lines}


def test_a_step_is_shown_as_it_was_trained(run_dir, capsys):
    main([f"--run={run_dir}", "--step=4", "--examples=3"])
    out = run_dir / "replay" / "step4.html"
    assert capsys.readouterr().out == f"{out}\n"
    page = out.read_text(encoding="utf-8")
    batches = read_batches(run_dir)
    assert f"The run wrote down the same hash, {batches[4]['hash']}: it is that batch." in page
    assert batches[3]["hash"] not in page
    assert "the batch of step 4." in page and page.count("<audio") >= 3
    # its report, which is of steps 3 and 4
    assert "The report at step 4" in page and "was left out" not in page
    stream = open_run(run_dir)
    assert stream.plan.get_batch(3).hash == batches[4]["hash"]


def test_the_questions_cost_what_the_run_lost_on_them(run_dir):
    """By checkpoint 3, whose parameters the batch of step 4 met, without dropout."""
    stream = open_run(run_dir)
    (batch,) = (batch for _, batch in stream.read([stream.plan.get_batch(3)]))
    costs = measure_costs(run_dir, find_checkpoint(run_dir, 4), batch)
    assert costs.checkpoint == 3
    config, _, params = load_params(run_dir, 3)
    total, weight = measure_loss(config, params, batch)
    asked = {
        (row, group, segment)
        for row, places in enumerate(batch["predict_bm"])
        for group, segment in zip(
            batch["group_bt"][row, places + 1], batch["segment_bt"][row, places + 1], strict=True
        )
        if segment
    }
    assert set(costs.by_place) == asked and len(asked) > 2
    # questions weigh by their targets' weights, which sum to the batch's
    weights = weigh(batch)
    found = sum(cost.loss * weights[place] for place, cost in costs.by_place.items())
    assert found / float(weight) == pytest.approx(float(total) / float(weight), rel=1e-4)
    page = make_replay_page(stream, run_dir, 4, count=2).write_html()
    assert "By the parameters of checkpoint 3, without dropout: those that the batch met." in page
    worst = max(cost.loss for cost in costs.by_place.values())
    assert f"{len(asked)} questions" in page and f"{worst:.4f}" in page
    assert "learnt, loss " in page


def weigh(batch):
    sums = {}
    for row, target in zip(*batch["weight_bm"].nonzero(), strict=True):
        place = batch["predict_bm"][row, target] + 1
        key = row, batch["group_bt"][row, place], batch["segment_bt"][row, place]
        sums[key] = sums.get(key, 0.0) + float(batch["weight_bm"][row, target])
    return sums


def test_which_checkpoint_it_is_by_is_said(run_dir):
    assert [find_checkpoint(run_dir, step) for step in (1, 3, 5, 6, 40)] == [None, 3, 3, 6, 6]
    stream = open_run(run_dir)
    pages = {
        step: make_replay_page(stream, run_dir, step, count=1).write_html() for step in (1, 3, 6)
    }
    assert "No checkpoint of the run at or before step 1 was read." in pages[1]
    assert "checkpoint 3, without dropout: the update of this batch is in them." in pages[3]
    assert "checkpoint 6" in pages[6]
    none = make_replay_page(stream, run_dir, 3, count=1, has_losses=False).write_html()
    assert "Loss by question" not in none and "checkpoint 3" not in none


def test_a_skipped_step_says_why(run_dir):
    (run_dir / "skipped").mkdir()
    line = {"step": 5, "loss": "nan", "grad_norm": "88.4", "hash": "x", "items": []}
    (run_dir / "skipped" / "skipped.jsonl").write_text(json.dumps(line) + '\n{"torn": ')
    page = make_replay_page(open_run(run_dir), run_dir, 5, count=1).write_html()
    assert "Its update was left out: loss nan, gradient norm 88.4." in page


def test_other_data_are_told(run_dir):
    lines = [line | {"hash": "5c0a91d2"} for line in read_batches(run_dir).values()]
    (run_dir / "batches.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    stream = open_run(run_dir)
    with pytest.raises(ValueError, match="was trained on the batch 5c0a91d2, and its config draws"):
        make_replay_page(stream, run_dir, 2, count=1)
    # of a step that was never reached nothing is written down, and the plan draws it all the same
    page = make_replay_page(stream, run_dir, 40, count=1).write_html()
    assert "The run wrote down no hash for this step" in page


@pytest.mark.parametrize(
    "words, said",
    [
        (["--step=0"], "counted from 1"),
        (["--step=1", "--out=x.pdf"], "is not an .html file"),
        (["--step=1"], "is not a run of sift_jax (no config.gin)"),
    ],
)
def test_what_cannot_be_shown_is_one_line(tmp_path, capsys, words, said):
    with pytest.raises(SystemExit) as stop:
        main([f"--run={tmp_path}", *words])
    assert stop.value.code == 2 and said in capsys.readouterr().err
