"""Every field of every config that gin can bind says what it may hold, and refuses what it may
not."""

import dataclasses
import math
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
from resolve_configs import RUNS, resolve

from sift_jax.cli import build_arguments, check_types, find_dataclasses, list_configs
from sift_jax.config_files import ConfigError, find_repeated_keys, list_pieces
from sift_jax.data.tasks.mixture_table import MixtureConfig
from sift_jax.evaluation.during_training import EvaluationSets
from sift_jax.field_ranges import (
    CheckedConfig,
    Items,
    Line,
    OneOf,
    Pattern,
    Plain,
    Range,
    read_hints,
)
from sift_jax.training.loop import train

# runs that together hold one of each config
SOURCES = (
    "stage2",
    "evaluation/evalsift",
    "evaluation/judge",
    "vocoder/hubert",
    "sweeps/salm",
    "salm/salm",
    "self_generated/kl",
    "grpo/labels",
    "dpo/pairs",
    "laptop/warm_start",
    "dpo/make_pairs",
)
STAGE2 = str(Path(__file__).parent.parent / "configs" / "stage2.gin")


def find_classes() -> list[type]:
    functions = [*RUNS.values(), EvaluationSets]
    return list(
        dict.fromkeys(
            [EvaluationSets, *(cls for run in functions for cls in find_dataclasses(run))]
        )
    )


@pytest.fixture(scope="module")
def configs() -> dict[type, Any]:
    """A good one of each class."""
    made = [config for name in SOURCES for config in list_configs(resolve(name)[0].values())]
    found = {
        next(cls for cls in find_classes() if cls.__name__ == type(config).__name__): config
        for config in made
    }
    suite, decoding = (
        next(x for x in made if type(x).__name__ == name)
        for name in ("SuiteConfig", "DecodingConfig")
    )
    suite = dataclasses.replace(suite, limit=2)
    # what may come once has something that could come twice
    found[MixtureConfig] = dataclasses.replace(found[MixtureConfig], languages=("en",))
    found[EvaluationSets] = EvaluationSets(
        suites=(suite,), decoding=decoding, every=10, rows=4, most_clips=0, long_audio="cut", seed=0
    )
    return found


def is_ruled(hint: Any) -> bool:
    """Whether all that a field may hold is bounded: by a rule, by being True or False, or by a
    class of its own."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        # a rule of how many says nothing of what they are
        return any(not isinstance(rule, Items) for rule in args[1:]) or is_ruled(args[0])
    if origin is not None:
        return all(is_ruled(arg) for arg in args if arg not in (Ellipsis, type(None)))
    return hint is bool or dataclasses.is_dataclass(hint)


def list_rule_breakers(rule: Any, base: Any) -> list[Any]:
    """Values of the right type that a rule must refuse."""
    match rule:
        case Range():
            step = 1 if base is int else 0.001
            bounds = [(rule.least, -step), (rule.above, 0), (rule.most, step), (rule.below, 0)]
            wrong = [bound + change for bound, change in bounds if bound is not None]
            # one beyond the bound may be what is allowed besides
            wrong = [x - 1 if x in rule.also else x for x in wrong]
            return wrong if base is int else [*wrong, math.nan, math.inf, -math.inf]
        case OneOf():
            return ["int7", "", rule.values[0].upper()]
        case Line():
            return ["two\nlines", " x", "x\t", *([] if rule.may_be_empty else [""])]
        case Pattern():
            return ["", "("]
        case Plain():
            return [math.nan, [1, {"a": math.inf}], {1: 2}, object()]
    raise AssertionError(f"{rule} has no wrong values here; say some")


def list_wrong(hint: Any, good: Any) -> list[Any]:
    """Wrong values for a field, at each place where it has a rule."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        found = list_wrong(args[0], good)
        for rule in args[1:]:
            if isinstance(rule, Items):
                found += (
                    [()]
                    if rule.least and not isinstance(good, Mapping)
                    else [{}]
                    if rule.least
                    else []
                )
                found += [(good[0], good[0])] if rule.is_distinct else []
            else:
                found += list_rule_breakers(rule, args[0])
        return found
    if origin in (typing.Union, types.UnionType):
        found = [wrong for arg in args if arg is not type(None) for wrong in list_wrong(arg, good)]
        return [wrong for wrong in found if wrong is not None or type(None) not in args]
    if origin is tuple:
        return [
            (wrong,) * (1 if args[-1] is Ellipsis else len(args))
            for wrong in list_wrong(args[0], None)
        ]
    if origin is not None:
        keys = [{wrong: 1} for wrong in list_wrong(args[0], None)]
        return keys + [{"key": wrong} for wrong in list_wrong(args[1], None)]
    # of True and False, and of a config of its own, only what is of another type is wrong
    return [3, "yes", None] if hint is bool or dataclasses.is_dataclass(hint) else []


@pytest.mark.parametrize("cls", find_classes(), ids=lambda cls: cls.__name__)
def test_every_field_has_a_range_or_a_list(cls):
    assert issubclass(cls, CheckedConfig)
    unruled = [name for name, hint in read_hints(cls).items() if not is_ruled(hint)]
    assert not unruled, (
        f"{cls.__name__}: say what {unruled} may hold, as sift_jax/field_ranges.py has it"
    )


def test_a_field_without_a_rule_would_be_seen():
    ruled = Annotated[int, Range(least=1)]
    assert not any(
        map(is_ruled, (int, str, float | None, tuple[str, ...], Mapping[str, ruled], ruled | str))
    )
    assert not is_ruled(Annotated[tuple[str, ...], Items(least=1)]) and is_ruled(bool)


@pytest.mark.parametrize("cls", find_classes(), ids=lambda cls: cls.__name__)
def test_wrong_values_of_every_field_are_refused(cls, configs):
    good = configs[cls]
    for field in dataclasses.fields(good):
        wrong = list_wrong(read_hints(cls)[field.name], getattr(good, field.name))
        assert wrong, f"{cls.__name__}.{field.name}"
        for value in wrong:
            with pytest.raises(ValueError, match=rf"{cls.__name__}\.{field.name}\b") as refused:
                check_types({"x": dataclasses.replace(good, **{field.name: value})})
            assert "\n" not in str(refused.value), value


@pytest.mark.parametrize(
    "binding, message",
    [
        (
            "RunConfig.frozen_dtype = 'int8'",
            "RunConfig.frozen_dtype is 'int8'; choose one of float32, bfloat16",
        ),
        ("RunConfig.frozen_dtype = 'bool'", "RunConfig.frozen_dtype is 'bool'"),
        (
            "ModelConfig.dtype = 'int32'",
            "ModelConfig.dtype is 'int32'; choose one of float32, bfloat16",
        ),
        (
            "PEAK_LR = -1e-4",
            "OptimizerConfig.peak_learning_rate is -0.0001; give 0 or more, at most 10",
        ),
        ("PEAK_LR = 1e4", "OptimizerConfig.peak_learning_rate is 10000.0"),
        ("WARMUP_STEPS = -5", "OptimizerConfig.warmup_steps is -5; give 0 or more"),
        ("OptimizerConfig.clip_norm = 0.0", "OptimizerConfig.clip_norm is 0.0; give above 0"),
        ("OptimizerConfig.clip_norm = -1.0", "OptimizerConfig.clip_norm is -1.0"),
        ("OptimizerConfig.beta1 = 1.5", "OptimizerConfig.beta1 is 1.5; give 0 or more, below 1"),
        ("OptimizerConfig.beta2 = 1.0", "OptimizerConfig.beta2 is 1.0"),
        (
            "OptimizerConfig.final_fraction = 7.0",
            "OptimizerConfig.final_fraction is 7.0; give 0 or more, at most 1",
        ),
        ("OptimizerConfig.weight_decay = -1.0", "OptimizerConfig.weight_decay is -1.0"),
        ("OptimizerConfig.spike_factor = 0.5", "OptimizerConfig.spike_factor is 0.5; give above 1"),
        ("LORA_ALPHA = 0.0", "ModelConfig.lora_alpha is 0.0; give above 0"),
        ("LORA_ALPHA = -8.0", "ModelConfig.lora_alpha is -8.0"),
        ("END_WEIGHT = 0.0", "DataConfig.end_weight is 0.0; give above 0"),
        ("UNIT_WEIGHTS = {'0:5': -3.0}", "DataConfig.unit_weights['0:5'] is -3.0; give above 0"),
        ("CLIPS = 0", "DataConfig.clips is 0; give 1 or more"),
        ("RunConfig.dev_batches = -1", "RunConfig.dev_batches is -1; give 0 or more"),
        ("RunConfig.most_skipped_in_a_row = 0", "RunConfig.most_skipped_in_a_row is 0"),
        (
            "RunConfig.most_skipped_share = 0.0",
            "RunConfig.most_skipped_share is 0.0; give above 0, at most 1",
        ),
        ("SEED = -1", "RunConfig.seed is -1"),
        (f"SEED = {10**400}", "RunConfig.seed is 1000"),
        (
            "DataConfig.rates = {'sift.closed_ended.*': 1e999}",
            "MixtureConfig.rates['sift.closed_ended.*'] is inf",
        ),
        ("ModelConfig.lora_targets = ()", "lora_targets is (); name some, or set LORA_RANK to 0"),
        (
            "ModelConfig.lora_targets = ('q', 'q')",
            "ModelConfig.lora_targets is ('q', 'q'); give 0 or more, each once",
        ),
        (
            "ModelConfig.lora_targets = ('x',)",
            "ModelConfig.lora_targets[0] is 'x'; choose one of q, k, v, o, gate",
        ),
        (
            "ModelConfig.remat = 'fulll'",
            "ModelConfig.remat is 'fulll'; choose one of none, full, dots, narrow, offload",
        ),
        ("ATTENTION = 'flash'", "ModelConfig.attention is 'flash'; choose one of auto, plain"),
        ("MeshConfig.fsdp = -2", "MeshConfig.fsdp is -2; give 1 or more, or -1 for what remains"),
        (
            "TRAINABLE = ('projector/(',)",
            "RunConfig.trainable[0] is 'projector/('; give a regular expression",
        ),
        (
            "DataConfig.rates = {'sift.a.*': 0.1, 'sift.b.*': 0.2, \"sift.a.*\": 0.9}",
            "the key 'sift.a.*' is given a second time; keep one",
        ),
    ],
)
def test_what_a_gin_file_may_get_wrong(binding, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as refused:
        build_arguments(train, [STAGE2], [binding])
    assert "configurable" not in str(refused.value)


@pytest.mark.parametrize(
    "text, found",
    [
        ("A = {'a': 1,\n     'b': {'a': 2, 'a': 3}}\n", [(2, "'a'")]),
        ("A = {'x' 'y': @f(), 'xy': %M}", [(1, "'xy'")]),
        ("A = {1: 2, ('a', 'b'): [{'a': 1}, {'a': 2}], ('a', 'c'): 2, 1: 3}", [(1, "1")]),
        (
            (
                "A = {'a': {'b': 1}, 'c': {'b': 2}}  # {'a': 1, 'a': 2}\nB = {'a': 1, 'd': "
                '\'{"a": 1, "a": 2}\'}'
            ),
            [],
        ),
        ("A = {'a': 1, 'a'", []),
    ],
)
def test_a_key_given_twice_is_found(text, found):
    assert list(find_repeated_keys(text)) == found


def test_a_key_given_twice_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "run.gin"
    path.write_text("A = 1\nDataConfig.rates = {\n    'sift.a.*': 0.1,\n    'sift.a.*': 0.9,\n}\n")
    message = rf"{path}:4: the key 'sift.a.\*' is given a second time in one table; keep one"
    with pytest.raises(ConfigError, match=message):
        list(list_pieces(path))
