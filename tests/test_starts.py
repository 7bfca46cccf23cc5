"""What each training config starts from is what another one leaves; ablations write to folders of
their own."""

import functools

import pytest
from resolve_configs import CONFIGS, find_run, list_runs, resolve

TRAINED = [name for name in list_runs() if find_run(CONFIGS / f"{name}.gin").endswith(".train")]
ABLATIONS = [name for name in TRAINED if name.startswith("ablations/")]
# all others have 8
RANKS = {"lora_rank_16": 16, "lora_rank_32": 32, "stage1_rank_32": 32, "english_only": 16}
# their runs are those of a sweep, which makes the starts
STARTS_ELSEWHERE = {"sweeps/small/arm", "sweeps/small/ablations/arm"}


@functools.cache
def read(name):
    return resolve(name)[0]


def get_scale(model):
    return model.lora_alpha / model.lora_rank


def find_writer(folder):
    """The arguments of the config that writes to a folder."""
    (found,) = [arguments for name in TRAINED if (arguments := read(name))["run"].out_dir == folder]
    return found


def test_no_two_configs_write_to_one_folder():
    folders = [read(name)["run"].out_dir for name in TRAINED]
    assert len(set(folders)) == len(folders)
    assert [read(name)["run"].out_dir for name in ABLATIONS] == [
        f"runs/{name}" for name in ABLATIONS
    ]


@pytest.mark.parametrize("name", sorted(set(TRAINED) - STARTS_ELSEWHERE))
def test_a_start_is_what_another_config_leaves(name):
    arguments = read(name)
    sources, model = arguments["sources"], arguments["model"]
    if sources.run is None:
        assert sources.step is None
        return
    first = find_writer(sources.run)
    before, run = first["model"], first["run"]
    for field in (
        "encoder",
        "decoder",
        "projector",
        "projector_frames",
        "frame_mask",
        "fusion",
        "lora_targets",
    ):
        assert getattr(before, field) == getattr(model, field), field
    # None is as many as are needed, and never fewer than the run that it starts from has
    assert model.extra_tokens is None or (before.extra_tokens or 0) <= model.extra_tokens
    assert before.lora_rank <= model.lora_rank
    assert not before.lora_rank or get_scale(before) == get_scale(model)
    # the step that is asked for is saved, and still there at the end
    step = sources.step or run.steps
    assert step <= run.steps and (step == run.steps or step % run.checkpoint_every == 0)
    assert (run.steps - step) / run.checkpoint_every < run.keep_checkpoints


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_keeps_its_rank_from_stage_1_on_and_the_scale_of_the_paper(name):
    arguments = read(name)
    model, sources = arguments["model"], arguments["sources"]
    assert model.lora_rank == RANKS.get(name.removeprefix("ablations/"), 8)
    assert get_scale(model) == 0.5
    if name in ("ablations/no_pretraining", "ablations/stage1_rank_8", "ablations/stage1_rank_32"):
        assert sources.run is None and sources.encoder and sources.decoder
    else:
        assert find_writer(sources.run)["model"] == model
        assert sources.step == (200_000 if name == "ablations/from_200k" else 50_000)
