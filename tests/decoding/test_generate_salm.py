"""Cached generation of SALM and SALM-XATT is the argmax of full passes, whatever stands beside a
prompt."""

import dataclasses

import jax
import numpy as np
import pytest
from tiny_examples import AUDIO_ID, LAYOUTS, make_question
from tiny_model import SALM, SALM_XATT, make_config, make_params, measure_logits

from sift_jax.audio.front_ends import FRONT_ENDS
from sift_jax.batch import BatchShape, make_empty_batch
from sift_jax.data.row_layout import expand_question
from sift_jax.decoding.clip_encoder import ClipEncoder
from sift_jax.decoding.generate import Prompt, lay_out_prompts, prepare, speak
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.parallel.mesh import MeshConfig, make_mesh

NEW, TOKENS = 4, 64
GREEDY = DecodingConfig(
    max_new_tokens=NEW,
    temperature=0.0,
    top_p=1.0,
    repetition_penalty=1.0,
    no_repeat_ngram=0,
    beams=1,
)


def make_untied(changes):
    config = make_config(**changes)
    return dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, is_tied=False))


def make_prompt(config, layout, seed):
    rng = np.random.default_rng(seed)
    tokens, is_target, clips = make_question(rng, layout)
    first = is_target.index(True)
    waves = [
        rng.normal(size=int(n)).astype(np.float32) / 10
        for n in rng.integers(4000, 30_000, max(clips) + 1)
    ]
    frames = [
        config.count_frames(FRONT_ENDS["normalised"].count_frames(len(wave))) for wave in waves
    ]
    piece = expand_question(
        np.array(tokens[:first]), np.array(is_target[:first]), np.array(clips), AUDIO_ID, frames
    )
    return Prompt(tokens=piece.tokens, clip=piece.clip, frame=piece.frame, clips=waves)


def continue_slowly(config, prompt):
    """Without cache: the whole text through the training model for each new token."""
    shape = BatchShape(rows=1, tokens=TOKENS + NEW, targets=1, clips=2, mel_frames=200, mel_bins=80)
    batch, n, found = make_empty_batch(shape), len(prompt.tokens), []
    batch["token_bt"][0, :n] = prompt.tokens
    batch["slot_bt"][0, :n] = np.where(
        prompt.clip >= 0, prompt.clip * config.slots_per_clip + prompt.frame, -1
    )
    for a, wave in enumerate(prompt.clips):
        batch["frames_ba"][0, a] = FRONT_ENDS["normalised"].fill(wave, batch["mel_basf"][0, a])
    for end in range(n, n + NEW):
        batch["group_bt"][0, :end] = 1
        batch["position_bt"][0, :end] = np.arange(end)
        batch["predict_bm"][0, 0] = end - 1
        found.append(
            int(np.argmax(np.asarray(measure_logits(config, make_params(config), batch))[0, 0]))
        )
        batch["token_bt"][0, end] = found[-1]
    return found


@pytest.mark.parametrize("changes", [SALM, SALM_XATT], ids=["salm", "salm_xatt"])
def test_the_cache_and_neighbours_change_no_token(changes):
    config = make_untied(changes)
    prompts = [make_prompt(config, layout, seed) for seed, layout in enumerate(LAYOUTS)]
    if config.cross:
        # text, and a marker for each clip: no more
        assert max(len(prompt.tokens) for prompt in prompts) < 20
    mesh = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])
    listener = ClipEncoder(config, make_params(config), mesh, rows=2)
    prepared = prepare(config, make_params(config), rows=len(prompts), mesh=mesh)

    def answer(frames):
        batch = lay_out_prompts(prompts, config, frames, tokens=TOKENS)
        return speak(config, prepared, batch, jax.random.key(0), decoding=GREEDY, stop_ids=(383,))

    heard = [listener.hear(prompt.clips) for prompt in prompts]
    found = answer(heard)
    assert found.tolist() == [continue_slowly(config, prompt) for prompt in prompts]
    assert len({tuple(row) for row in found.tolist()}) > 1
    assert (answer([[np.zeros_like(x) for x in frames] for frames in heard]) != found).any()
