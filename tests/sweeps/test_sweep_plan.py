"""The plan of a sweep: ordinary commands, in the order in which they are run."""

import pytest
from made_sweep import make_plan

from sift_jax.sweeps.plan import list_stages


def list_names(chains):
    return [[job.name for job in chain.jobs] for chain in chains]


def test_the_plan_is_ordinary_commands():
    prepare, starts, arms = list_stages(make_plan())
    assert prepare[0].jobs[0].command == (
        "python",
        "-m",
        "data_prep.x",
        "--out=o/data",
        "--model=a",
        "--x",
    )
    assert list_names(starts) == [["train.hear.3"], ["train.other.3"]]
    # each arm with all of its seeds: a sweep that is stopped has fewer arms, and no fewer seeds
    assert [chain.run for chain in arms] == [("one", 3), ("one", 4), ("two", 3), ("two", 4)]
    assert list_names(arms)[0] == ["train.one.3", "evaluate.one.3"]
    assert arms[3].jobs[0].command == (
        "python",
        "-m",
        "sift_jax.train",
        "--gin_file=a.gin",
        "--gin_file=arms/two.gin",
        "--gin.OUT_DIR='o/runs/two.4'",
        "--gin.SEED=4",
        "--gin.START_RUN='o/runs/other.3'",
        "--gin.RATE=0.5",
    )
    assert arms[3].jobs[1].command[-1] == "--gin.LIMIT=3"
    assert arms[1].jobs[1].command[-1] == "--gin.ROOT='r'"


def test_some_runs_come_with_what_they_start_from_alone():
    _, starts, arms = list_stages(make_plan(only=("one",), seeds=(0,)))
    assert list_names(starts) == [["train.hear.0"]] and len(arms) == 1
    _, starts, arms = list_stages(make_plan(), {("two", 4)})
    assert list_names(starts) == [["train.other.3"]] and [c.run for c in arms] == [("two", 4)]


def test_a_start_of_each_seed_goes_behind_the_start_that_it_needs():
    """Named from its own seed, a start is trained for each; and what it starts from before it."""
    plan = make_plan(
        starts={"hear": {}, "name": {"START_RUN": "{out}/runs/hear.{seed}"}, "idle": {}},
        train_bindings={"START_RUN": "{out}/runs/name.{seed}"},
        arms={"one": {}, "two": {"START_RUN": None}},
    )
    _, starts, _ = list_stages(plan)
    assert list_names(starts) == [
        ["train.hear.3", "train.name.3"],
        ["train.hear.4", "train.name.4"],
    ]
    _, starts, _ = list_stages(plan, {("one", 4), ("two", 3)})
    assert list_names(starts) == [["train.hear.4", "train.name.4"]]


def test_an_arm_may_have_commands_of_its_own():
    plan = make_plan(arm_prepare={"two": ("python -m data_prep.y --out={out}",)})
    for runs, names in (
        ({("one", 3)}, ["prepare.0"]),
        ({("one", 3), ("two", 3), ("two", 4)}, ["prepare.0", "prepare.two.0"]),
    ):
        prepare, _, _ = list_stages(plan, runs)
        assert list_names(prepare) == [names]


def test_what_no_sweep_can_be_is_refused():
    for changes, wanted in (
        ({"arms": {}, "evaluate_arms": {}}, "SweepConfig.arms is {}; give 1 or more"),
        ({"only": ("three",)}, "ARMS names 'three'"),
        ({"evaluate_arms": {"three": {}}}, "evaluate_arms names 'three'"),
        ({"arm_prepare": {"three": ()}}, "arm_prepare names 'three'"),
        ({"starts": {"one": {}}}, "both an arm and a start"),
        ({"arms": {"two": {}, "a/b": {}}}, "a/b"),
    ):
        with pytest.raises(ValueError, match=wanted):
            make_plan(**changes)
    with pytest.raises(ValueError, match="asks for 'who', and known are out"):
        list_stages(make_plan(words={}))
