"""Every gin file that is a run parses, builds, and says what it said when a person last looked."""

import ast
import dataclasses
import math
import re
from pathlib import Path

import jax
import pytest
from resolve_configs import (
    CONFIGS,
    GOLDEN,
    ROOT,
    find_run,
    golden_path,
    list_runs,
    read_includes,
    resolve,
)

from sift_jax.checkpoints.train_state import split_params
from sift_jax.cli import find_dataclasses
from sift_jax.evaluation.during_training import EvaluationSets
from sift_jax.evaluation.evaluate import evaluate
from sift_jax.evaluation.judging import judge_again
from sift_jax.models.presets import make_model_config
from sift_jax.models.speech_lm import SpeechLMConfig, describe_params
from sift_jax.rewarding.loop import reinforce
from sift_jax.rewarding.make_pairs import make_pairs
from sift_jax.sweeps.plan import SweepConfig
from sift_jax.sweeps.run import sweep
from sift_jax.training.job import make_geometry
from sift_jax.training.loop import train
from sift_jax.training.optimizer import make_optimizer
from sift_jax.vocoder_training.run import train_vocoder

RUNS = list_runs()


def test_there_are_runs():
    assert {"quickstart/stage1", "quickstart/stage2", "quickstart/evaluate"} <= set(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_equals_its_golden_text(name):
    _, text = resolve(name)
    path = golden_path(name)
    assert path.is_file(), f"{path} is missing; run python tests/refresh_golden.py"
    assert text == path.read_text(), (
        "resolved differently; run python tests/refresh_golden.py and look at the difference"
    )


def test_no_golden_text_is_left_over():
    assert {path.name for path in GOLDEN.glob("*.gin")} == {golden_path(name).name for name in RUNS}


@pytest.mark.parametrize(
    "name", [name for name in RUNS if find_run(CONFIGS / f"{name}.gin").endswith(".train")]
)
def test_a_training_run_builds(name):
    arguments, _ = resolve(name)
    config = make_model_config(arguments["model"])
    params = describe_params(config)
    trainable, _ = split_params(params, arguments["run"].trainable)
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(trainable)) > 0
    make_optimizer(arguments["optimizer"], arguments["run"].steps)
    data, geometry = arguments["data"], make_geometry(config)
    assert data.clip_seconds[-1] == geometry.window_seconds and list(data.clip_seconds) == sorted(
        data.clip_seconds
    )
    frames = geometry.count_frames(round(100 * geometry.window_seconds))
    assert data.tokens > frames, (
        f"a clip of the whole window takes {frames} of {data.tokens} tokens"
    )
    assert arguments["run"].checkpoint_every <= arguments["run"].steps


def test_every_file_is_part_of_a_run():
    """A fragment that no run includes is dead, or an ablation that nobody can start."""
    reached, waiting = set(), [CONFIGS / f"{name}.gin" for name in RUNS]
    while waiting:
        path = waiting.pop()
        reached.add(path)
        waiting += [target for target in read_includes(path) if target not in reached]
    # laid over a run; tests/evaluation/test_during_training.py does it
    reached.add(CONFIGS / "evaluating.gin")
    # a sweep lays a file of each arm's name over what it trains
    reached |= {
        CONFIGS.parent / file.format(arm=arm)
        for name in RUNS
        if "/sweeps/" in str(CONFIGS / f"{name}.gin")
        and isinstance(run := resolve(name)[0]["run"], SweepConfig)
        for file in run.train_files
        for arm in run.arms
    }
    choices = {
        path
        for path in CONFIGS.rglob("*.gin")
        if path.parent.name in ("hardware", "mixtures", "models")
    }
    assert sorted(map(str, set(CONFIGS.rglob("*.gin")) - reached - choices)) == []


@pytest.mark.parametrize(
    "path", sorted(CONFIGS.rglob("*.gin")), ids=lambda path: str(path.relative_to(CONFIGS))
)
def test_a_gin_file_is_short_and_begins_with_what_it_is_for(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 80 and lines[0].startswith("# ") and len(lines[0]) > 20


def find_config_classes() -> list[type]:
    """The dataclasses of the run functions and of the model, with those inside them."""
    waiting = [
        *find_dataclasses(train),
        *find_dataclasses(evaluate),
        *find_dataclasses(judge_again),
        *find_dataclasses(reinforce),
        *find_dataclasses(make_pairs),
    ]
    waiting += [
        *find_dataclasses(train_vocoder),
        *find_dataclasses(sweep),
        SpeechLMConfig,
        EvaluationSets,
    ]
    found = []
    while waiting:
        cls = waiting.pop()
        if cls not in found:
            found.append(cls)
            waiting += [hint for hint in get_hints(cls).values() if dataclasses.is_dataclass(hint)]
    return found


def get_hints(cls):
    import typing

    return typing.get_type_hints(cls)


@pytest.mark.parametrize("cls", find_config_classes(), ids=lambda cls: cls.__name__)
def test_every_field_is_read_somewhere(cls):
    """`x.field` in the package, the class's own module included; a field that nobody reads is a lie
    in a config."""
    assert cls.__dataclass_params__.frozen and all(
        field.kw_only for field in dataclasses.fields(cls)
    )
    assert all(field.default is dataclasses.MISSING for field in dataclasses.fields(cls)), (
        "defaults hide; bind them"
    )
    fields = {field.name for field in dataclasses.fields(cls)}
    unread = fields - read_attributes()
    assert not unread, f"{cls.__name__}: nobody reads {sorted(unread)}"
    assert len(fields) <= 18


def read_attributes() -> set[str]:
    names = set()
    for path in (ROOT / "sift_jax").rglob("*.py"):
        names |= {
            node.attr
            for node in ast.walk(ast.parse(Path(path).read_text()))
            if isinstance(node, ast.Attribute)
        }
    return names


def test_paths_in_gin_files_are_relative():
    for path in CONFIGS.rglob("*.gin"):
        assert not re.search(r"['\"](/|~|gs://)", path.read_text()), (
            f"{path} names a place of one machine"
        )
