"""Files and bindings laid over each other: any mixture over any stage, any binding over any config.
What a later choice made useless is a note; what nothing has ever read is an error."""

import dataclasses

import jax
import pytest
from resolve_configs import CONFIGS, RUNS, find_run, list_runs

from sift_jax.checkpoints.train_state import split_params
from sift_jax.cli import ConfigError, build_arguments, describe_config, list_configs
from sift_jax.models.presets import make_model_config
from sift_jax.models.speech_lm import describe_params
from sift_jax.training.loop import train

MIXTURES = sorted(path.stem for path in (CONFIGS / "mixtures").glob("*.gin"))
TRAINED = [name for name in list_runs() if find_run(CONFIGS / f"{name}.gin").endswith(".train")]
STAGES = [name for name in TRAINED if not name.startswith("ablations/")] + ["ablations/default"]
# a field that each config of a run function has, and another value than any config's
HANDFUL = {
    "sift_jax.training.loop.train": {
        "RunConfig.steps": 10,
        "RunConfig.out_dir": "runs/try",
        "DataConfig.clips": 6,
        "DataConfig.questions_per_record": 9,
        "OptimizerConfig.warmup_steps": 5,
        "ModelConfig.lora_rank": 3,
        "Sources.run": "runs/other",
    },
    "sift_jax.evaluation.evaluate.evaluate": {
        "EvaluationConfig.out_dir": "runs/try",
        "DecodingConfig.top_p": 0.5,
    },
    "sift_jax.evaluation.judging.judge_again": {"JudgeConfig.model": "another"},
    "sift_jax.sweeps.run.sweep": {"SweepConfig.out_dir": "runs/try"},
    "sift_jax.rewarding.loop.reinforce": {
        "RunConfig.out_dir": "runs/try",
        "GrpoConfig.rollouts": 5,
        "RewardConfig.seconds": 3.0,
    },
    "sift_jax.rewarding.make_pairs.make_pairs": {
        "PairsConfig.out_dir": "runs/try",
        "PairsConfig.seconds": 3.0,
    },
    "sift_jax.vocoder_training.run.train_vocoder": {
        "VocoderRun.out_dir": "runs/try",
        "VocoderRun.steps": 10,
    },
}


def build(name, files=(), bindings=()):
    """(the arguments, the notes)."""
    notes = []
    function = RUNS[find_run(CONFIGS / f"{name}.gin")]
    paths = [f"configs/{name}.gin", *map(str, files)]
    return build_arguments(function, paths, list(bindings), say=notes.append), notes


def get_field(arguments, binding):
    cls, _, field = binding.partition(".")
    return getattr(
        next(x for x in list_configs(arguments.values()) if type(x).__name__ == cls), field
    )


@pytest.mark.parametrize("stage", STAGES)
def test_any_mixture_may_be_laid_over_any_stage(stage):
    alone, _ = build(stage)
    for mixture in MIXTURES:
        arguments, notes = build(stage, [f"configs/mixtures/{mixture}.gin"])
        assert all(note.startswith("note: ") for note in notes)
        # a mixture is what is drawn and how often: all else is the stage's
        mixed = dataclasses.replace(alone["data"].mixture, name=mixture, rates=None)
        assert arguments == alone | {"data": dataclasses.replace(alone["data"], mixture=mixed)}


@pytest.mark.parametrize("mixture", MIXTURES)
def test_a_mixture_may_be_included_behind_a_stage(mixture, tmp_path):
    path = tmp_path / "mine.gin"
    path.write_text(
        f"include 'configs/stage1.gin'\ninclude 'configs/mixtures/{mixture}.gin'\nOUT_DIR = "
        "'runs/mine'\n"
    )
    arguments = build_arguments(train, [str(path)], [])
    assert (arguments["data"].mixture.name, arguments["run"].out_dir) == (mixture, "runs/mine")
    laid, _ = build("stage1", [f"configs/mixtures/{mixture}.gin"])
    assert arguments["data"] == laid["data"]


@pytest.fixture
def own(tmp_path):
    """A mixture with a knob of its own, as a user writes one."""
    path = tmp_path / "own.gin"
    path.write_text(
        "# KNOBS\nMY_RATE = 0.5\nMY_SHARE = %MY_RATE\nMIXTURE = None\n"
        "RATES = {'sift.open_ended.*': %MY_SHARE, 'sift.closed_ended.comparison.*': 0.5}\n"
    )
    return path


def test_what_a_mixture_made_useless_is_said_in_a_line(own):
    arguments, notes = build("stage1", [own])
    assert not notes and arguments["data"].mixture.rates["sift.open_ended.*"] == 0.5
    arguments, notes = build("stage1", [own, "configs/mixtures/hearing.gin"])
    assert (arguments["data"].mixture.name, arguments["data"].mixture.rates) == ("hearing", None)
    assert notes == [
        "note: MY_RATE, MY_SHARE do nothing here, since configs/mixtures/hearing.gin binds RATES"
    ]
    # the config beside a run says what the run is, and is taken without a word
    assert "MY_" not in describe_config() and "ASR_RATE" in describe_config()


@pytest.mark.parametrize(
    "laid, binding, message",
    [
        (False, "MY_RAET = 0.1", "gin binding MY_RAET is used by nothing; did you mean MY_RATE?"),
        # the nearest is itself useless here, and it is still what was meant
        (True, "MY_RAET = 0.1", "gin binding MY_RAET is used by nothing; did you mean MY_RATE?"),
        (True, "ELSE = 0.1", "gin binding ELSE is used by nothing; "),
        (
            True,
            "MY_RATE = 0.1",
            "gin binding MY_RATE (the command line) is used by nothing: RATES, which read it, is "
            "bound without it (configs/mixtures/hearing.gin); leave one of the two out",
        ),
    ],
)
def test_a_knob_that_nothing_reads_is_an_error(own, laid, binding, message):
    with pytest.raises(ConfigError) as error:
        build("stage1", [own, "configs/mixtures/hearing.gin"] if laid else [own], [binding])
    assert message in str(error.value)


def test_a_mixture_beside_rates_is_an_error(own):
    for bindings in (
        ["MIXTURE = 'hearing'"],
        ["RATES = {'sift.open_ended.*': 1.0}", "MIXTURE = 'hearing'"],
    ):
        with pytest.raises(
            ConfigError, match="both MixtureConfig.name and MixtureConfig.rates are given"
        ):
            build("stage1", [own], bindings)
    arguments, notes = build("ablations/default", bindings=["MixtureConfig.rates = None"])
    assert arguments == build("ablations/default")[0]
    assert notes == [
        "note: RATES does nothing here, since the command line binds MixtureConfig.rates"
    ]


@pytest.mark.parametrize("name", list_runs())
def test_no_config_of_ours_has_a_knob_without_a_use(name):
    assert build(name)[1] == []


@pytest.mark.parametrize("mixture", MIXTURES)
def test_languages_are_a_knob_of_every_mixture(mixture):
    arguments, _ = build(
        "stage2", [f"configs/mixtures/{mixture}.gin"], ["LANGUAGES = ('de', 'fr')"]
    )
    assert arguments["data"].mixture.languages == ("de", "fr")


def test_a_knob_beside_the_binding_that_takes_its_place_is_an_error():
    """Which of the two is meant?"""
    message = (
        "STEPS (the command line) is used by nothing: RunConfig.steps, which read it, is bound "
        "without it"
    )
    for bindings in (
        ["STEPS = 20", "RunConfig.steps = 10"],
        ["RunConfig.steps = 10", "STEPS = 20"],
    ):
        with pytest.raises(ConfigError) as error:
            build("stage2", bindings=bindings)
        assert message in str(error.value)


@pytest.mark.parametrize("name", list_runs())
def test_any_binding_may_be_given_on_the_command_line(name):
    for binding, value in HANDFUL[find_run(CONFIGS / f"{name}.gin")].items():
        arguments, notes = build(name, bindings=[f"{binding} = {value!r}"])
        assert get_field(arguments, binding) == value
        assert len(notes) <= 1 and all(
            f"since the command line binds {binding}" in note for note in notes
        )


@pytest.mark.parametrize(
    "name", ["stage2", "ablations/no_comparison", "quickstart/evaluate", "vocoder/tiny"]
)
def test_every_field_may_be_given_on_the_command_line(name):
    """One by one; then all of them, which leaves no knob with a use, and gives the same run."""
    arguments, _ = build(name)
    configs = [x for x in list_configs(arguments.values())]
    bindings = [
        f"{type(config).__name__}.{field.name} = {getattr(config, field.name)!r}"
        for config in configs
        for field in dataclasses.fields(config)
        # those are references, of which the fields are bound
        if not list(list_configs([getattr(config, field.name)]))
    ]
    for binding in bindings:
        assert build(name, bindings=[binding])[0] == arguments, binding
    assert build(name, bindings=bindings)[0] == arguments


def test_the_config_beside_a_run_repeats_it(tmp_path):
    laid = ["configs/mixtures/generation.gin"]
    arguments, notes = build(
        "ablations/default", laid, ["RunConfig.steps = 10", "DataConfig.codec = 'runs/codec'"]
    )
    assert len(notes) == 2
    path = tmp_path / "config.gin"
    path.write_text(describe_config())
    assert "\nSTEPS =" not in path.read_text() and "\nCODEC =" not in path.read_text()
    assert (
        build_arguments(train, [str(path)], [], say=notes.append) == arguments and len(notes) == 2
    )


def test_what_is_no_longer_built_is_a_note():
    """A class, and the knobs of its fields, where a later binding has no use for it."""
    part = ("sift_jax.evaluation.during_training:EvaluationSets",)
    files, notes = ["configs/quickstart/stage2.gin", "configs/evaluating.gin"], []
    binding = "sift_jax.training.loop.train.evaluator = None"
    arguments = build_arguments(train, files, [binding], part, say=notes.append)
    assert arguments["evaluator"] is None
    (note,) = notes
    assert (
        "EVAL_EVERY, " in note and "EvaluationSets.every, " in note and "SuiteConfig.root, " in note
    )
    assert note.endswith(
        "do nothing here, since the command line binds sift_jax.training.loop.train.evaluator"
    )


@pytest.mark.parametrize("stage", ["stage1", "small/stage1", "laptop/stage1"])
def test_a_decoder_of_ones_own_takes_one_include(stage, tmp_path):
    path = tmp_path / "mine.gin"
    path.write_text(
        f"include 'configs/{stage}.gin'\ninclude 'configs/models/own_decoder.gin'\n"
        "OUT_DIR = 'runs/mine'\nOWN_DECODER = 'weights/mine'\n"
    )
    arguments = build_arguments(train, [str(path)], [], say=print)
    alone, _ = build(stage)
    assert arguments["model"] == dataclasses.replace(
        alone["model"], decoder="weights/mine", extra_tokens=None
    )
    assert arguments["data"] == dataclasses.replace(alone["data"], tokenizer="weights/mine")
    assert arguments["sources"] == dataclasses.replace(alone["sources"], decoder="weights/mine")


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_salmonn_is_laid_over_a_stage(stage):
    """What trains is what its public code trains: the Q-Former, two norms, a Linear, LoRA of q and v."""
    arguments, _ = build(stage, ["configs/models/salmonn.gin"])
    params = describe_params(make_model_config(arguments["model"]))
    trained, _ = split_params(params, arguments["run"].trainable)
    sizes = {
        part: sum(leaf.size for leaf in jax.tree.leaves(tree)) for part, tree in trained.items()
    }
    lora = 2 * 32 * 8 * (4096 + 4096)
    assert sizes == {"encoder": 2 * (1280 + 768), "projector": 25_987_840, "decoder": lora}
    assert arguments["data"].chat_template == "salmonn"
    assert arguments["sources"].encoder == "weights/salmonn-encoder"


SYSTEMS = {
    "models/int8": ("ModelConfig.quantized", "int8"),
    "models/unit_input": ("ModelConfig.encoder", None),
    "models/long_recordings": ("DataConfig.long_audio", "windows"),
}


@pytest.mark.parametrize("stage", ["stage1", "stage2", "stage3", "small/stage2", "laptop/stage1"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_another_system_may_be_laid_over_a_stage(stage, system):
    arguments, _ = build(stage, [f"configs/{system}.gin"])
    field, value = SYSTEMS[system]
    assert get_field(arguments, field) == value
    assert get_field(build(stage)[0], field) != value


@pytest.mark.parametrize("stage", ["stage1", "stage2b", "small/stage1", "laptop/stage1"])
def test_units_are_heard_by_decoders_with_and_without_a_head(stage):
    """A tied decoder has no head that could train; a pattern that matches nothing is refused."""
    arguments, _ = build(stage, ["configs/models/unit_input.gin"])
    config = make_model_config(dataclasses.replace(arguments["model"], extra_tokens=2000))
    chosen, _ = split_params(describe_params(config), arguments["run"].trainable)
    assert ("head" in chosen["decoder"]) == (not config.decoder.is_tied)
    assert {"embedding", "blocks"} <= chosen["decoder"].keys()


@pytest.mark.parametrize("stage", ["quickstart/stage2", "sweeps/small/ablations/arm"])
def test_int8_may_be_composed_with_small_models(stage):
    arguments, _ = build(stage, ["configs/models/int8.gin"])
    config = make_model_config(arguments["model"])
    chosen, rest = split_params(describe_params(config), arguments["run"].trainable)
    assert "kernel_int8" in rest["decoder"]["blocks"]["q"]
    assert "lora_a" in chosen["decoder"]["blocks"]["q"]
