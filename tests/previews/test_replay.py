"""A past batch of a run, from the number of its step."""

import json
import shutil

import pytest
from tiny_run import make_run, write_gin

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
