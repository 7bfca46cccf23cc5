"""What a run was made with, in one name: the resolved config, and not where it lies."""

import dataclasses

import pytest

from sift_jax.cli import build_arguments
from sift_jax.sweeps.digests import describe_value, find_digests
from sift_jax.sweeps.run import sweep

SWEEP = "configs/sweeps/small/ablations.gin"
ARMS = ("default", "no_comparison", "no_pretraining")


@pytest.fixture(scope="module")
def plan():
    run = build_arguments(sweep, [SWEEP], [])["run"]
    return dataclasses.replace(run, only=ARMS)


@pytest.fixture(scope="module")
def digests(plan):
    return find_digests(plan, 1)


def test_a_digest_is_of_the_config_and_not_of_the_machine(plan, digests):
    elsewhere = dataclasses.replace(plan, out_dir="/srv/x", seeds=(7, 8), parallel=1)
    assert find_digests(elsewhere, 1) == digests
    assert len(set(digests.arms.values())) == 3
    # few arms or all: each has its own
    alone = dataclasses.replace(plan, only=("no_comparison",))
    assert find_digests(alone, 1).arms["no_comparison"] == digests.arms["no_comparison"]


@pytest.mark.parametrize(
    "changes, same",
    [
        ({"arms": {"default": {}, "no_comparison": {}, "no_pretraining": {"STEPS": 7}}}, ARMS[:2]),
        ({"evaluate_bindings": {"LIMIT": 3}}, ()),
        ({"prepare": ("python -m data_prep.build",)}, ()),
        # what starts from nothing has no start to change
        ({"starts": "longer"}, ("no_pretraining",)),
    ],
)
def test_a_digest_changes_with_what_the_arm_is_made_with(plan, digests, changes, same):
    if changes.get("starts") == "longer":
        starts = {**plan.starts, "hear": {**plan.starts["hear"], "STEPS": 351}}
        changes = {"starts": starts}
    if "arms" in changes:
        arms = {arm: {**plan.arms[arm], **given} for arm, given in changes["arms"].items()}
        changes = {
            "arms": arms,
            "evaluate_arms": {"default": plan.evaluate_arms["default"]},
            "arm_prepare": {},
        }
    found = find_digests(dataclasses.replace(plan, **changes), 1).arms
    assert {arm for arm in ARMS if found[arm] == digests.arms[arm]} == set(same)


def test_a_comment_changes_nothing_and_a_version_all(plan, digests, tmp_path):
    path = tmp_path / "arm.gin"
    path.write_text(f"# words\ninclude '{plan.train_files[0]}'\n")
    files = (str(path), *plan.train_files[1:])
    assert find_digests(dataclasses.replace(plan, train_files=files), 1) == digests
    later = find_digests(plan, 2)
    assert not set(later.arms.values()) & set(digests.arms.values())
    assert not set(later.jobs.values()) & set(digests.jobs.values())


def test_a_field_that_was_added_since_counts_where_it_is_not_as_before():
    old = dataclasses.make_dataclass("Config", [("steps", int)])
    field = dataclasses.field(metadata={"before": ()})
    new = dataclasses.make_dataclass("Config", [("steps", int), ("forms", tuple, field)])
    assert describe_value({"run": new(3, ())}) == describe_value({"run": old(3)})
    assert describe_value({"run": new(3, ("json",))}) != describe_value({"run": old(3)})
    assert describe_value({"run": new(4, ())}) != describe_value({"run": old(3)})
    # tables in whatever order, and what is a number is not text
    assert describe_value({"a": 1, "b": (2, "2")}) == describe_value({"b": (2, "2"), "a": 1})
    assert describe_value((2,)) != describe_value(("2",))


def test_the_arm_that_hears_units_changes_no_other():
    """It has starts and a command of its own; what other arms are made with stays what it was, and
    results that there are stay those of their arms."""
    run = build_arguments(sweep, [SWEEP], [])["run"]
    both = find_digests(dataclasses.replace(run, only=("default", "unit_input")), 1)
    own = {"prepare.unit_input.0", "train.unit_hear", "train.unit_name", "train.unit_input"}
    assert own <= both.jobs.keys()
    without = dataclasses.replace(
        run,
        only=("default",),
        arm_prepare={},
        starts={name: given for name, given in run.starts.items() if not name.startswith("unit_")},
        arms={arm: given for arm, given in run.arms.items() if arm != "unit_input"},
    )
    alone = find_digests(without, 1)
    assert not own & alone.jobs.keys()
    assert alone.arms["default"] == both.arms["default"] != both.arms["unit_input"]
