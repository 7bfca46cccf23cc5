"""Cached generation is the argmax of full passes, whatever stands beside a prompt; sampling does
what its names say."""

import dataclasses

import jax
import numpy as np
import pytest
from tiny_examples import AUDIO_ID, LAYOUTS, make_question
from tiny_model import make_config, make_params, measure_logits

from sift_jax.audio.whisper_mel import count_mel_frames, fill_log_mel
from sift_jax.batch import BatchShape, make_empty_batch
from sift_jax.data.row_layout import expand_question
from sift_jax.decoding import clip_encoder
from sift_jax.decoding import generate as generation
from sift_jax.decoding.clip_encoder import ClipEncoder
from sift_jax.decoding.generate import Prompt, lay_out_prompts, prepare
from sift_jax.decoding.generate import speak as speak_prepared
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.models.layers import LoraConfig
from sift_jax.parallel.mesh import MeshConfig, make_mesh

# a head of its own: the tied one of a random model says the last word over and over
CONFIG = dataclasses.replace(
    make_config(), decoder=dataclasses.replace(make_config().decoder, is_tied=False)
)
NEW = 6
GREEDY = DecodingConfig(
    max_new_tokens=NEW,
    temperature=0.0,
    top_p=1.0,
    repetition_penalty=1.0,
    no_repeat_ngram=0,
    beams=1,
)
NEVER = 383


def make_prompt(layout, seed):
    rng = np.random.default_rng(seed)
    tokens, is_target, clips = make_question(rng, layout)
    first = is_target.index(True)
    waves = [
        rng.normal(size=int(n)).astype(np.float32) / 10
        for n in rng.integers(4000, 30_000, max(clips) + 1)
    ]
    frames = [CONFIG.count_frames(count_mel_frames(len(wave))) for wave in waves]
    piece = expand_question(
        np.array(tokens[:first]), np.array(is_target[:first]), np.array(clips), AUDIO_ID, frames
    )
    return Prompt(tokens=piece.tokens, clip=piece.clip, frame=piece.frame, clips=waves)


PROMPTS = [make_prompt(layout, seed) for seed, layout in enumerate(LAYOUTS)]


def make_listener(rows=2, config=CONFIG, params=None):
    mesh = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])
    return ClipEncoder(config, make_params(config) if params is None else params, mesh, rows=rows)


def lay_out(prompts, tokens=128, listener=None, draws=(), config=CONFIG):
    listener = listener or make_listener(config=config)
    return lay_out_prompts(
        prompts, config, [listener.hear(p.clips) for p in prompts], tokens=tokens, draws=draws
    )


def speak(prompts, decoding=GREEDY, stop_id=NEVER, key=0, config=CONFIG, **sizes):
    prepared = prepare(config, make_params(config), rows=len(prompts))
    batch = lay_out(prompts, config=config, **sizes)
    return speak_prepared(
        config, prepared, batch, jax.random.key(key), decoding=decoding, stop_ids=(stop_id,)
    )


def continue_slowly(prompt, count, config=CONFIG):
    """Without cache: the whole text through the training model for each new token."""
    shape = BatchShape(
        rows=1,
        tokens=160,
        targets=1,
        clips=2,
        mel_frames=CONFIG.encoder.mel_frames,
        mel_bins=CONFIG.encoder.mel_bins,
    )
    batch = make_empty_batch(shape)
    n = len(prompt.tokens)
    batch["token_bt"][0, :n] = prompt.tokens
    batch["slot_bt"][0, :n] = np.where(
        prompt.clip >= 0, prompt.clip * CONFIG.slots_per_clip + prompt.frame, -1
    )
    for a, wave in enumerate(prompt.clips):
        batch["frames_ba"][0, a] = fill_log_mel(wave, batch["mel_basf"][0, a])
    found = []
    for end in range(n, n + count):
        batch["group_bt"][0, :end] = 1
        batch["position_bt"][0, :end] = np.arange(end)
        batch["predict_bm"][0, 0] = end - 1
        found.append(
            int(np.argmax(np.asarray(measure_logits(config, make_params(config), batch))[0, 0]))
        )
        batch["token_bt"][0, end] = found[-1]
    return found


@pytest.fixture(scope="module")
def together():
    return speak(PROMPTS)


@pytest.mark.parametrize("place", range(len(LAYOUTS)), ids=LAYOUTS)
def test_the_cache_changes_no_token(together, place):
    assert together[place].tolist() == continue_slowly(PROMPTS[place], NEW)


def test_prompts_and_answers_differ(together):
    """Otherwise the test above proves nothing."""
    assert len({tuple(row) for row in together.tolist()}) == len(LAYOUTS)


def test_padding_and_neighbours_change_nothing(together):
    shuffled = speak(PROMPTS[::-1])
    np.testing.assert_array_equal(shuffled[::-1], together)
    np.testing.assert_array_equal(speak(PROMPTS, tokens=192), together)
    np.testing.assert_array_equal(speak(PROMPTS[:1]), together[:1])


def test_after_the_stop_token_comes_nothing_else(together):
    stop = int(together[0, 2])
    found = speak(PROMPTS, stop_id=stop)
    for row, free in zip(found.tolist(), together.tolist(), strict=True):
        end = free.index(stop) if stop in free else NEW
        assert row == free[: end + 1] + [stop] * (NEW - end - 1)
    assert found[0].tolist()[2:] == [stop] * (NEW - 2)


def test_sampling_follows_its_key_and_cold_sampling_is_greedy(together):
    warm = dataclasses.replace(GREEDY, temperature=1.5, top_p=0.95)
    first = speak(PROMPTS, warm, key=1)
    np.testing.assert_array_equal(first, speak(PROMPTS, warm, key=1))
    assert (first != speak(PROMPTS, warm, key=2)).any() and (first != together).any()
    cold = dataclasses.replace(GREEDY, temperature=1e-4, top_p=1.0)
    np.testing.assert_array_equal(speak(PROMPTS, cold, key=3), together)
    nearly_none = dataclasses.replace(GREEDY, temperature=2.0, top_p=1e-6)
    np.testing.assert_array_equal(speak(PROMPTS, nearly_none, key=4), together)


def test_what_is_drawn_follows_a_prompts_own_number(together):
    """Neither its neighbours, nor its place, nor the padding before it."""
    warm = dataclasses.replace(GREEDY, temperature=1.5, top_p=0.95)
    found = speak(PROMPTS, warm, draws=[7, 8, 9, 10])
    turned = speak(PROMPTS[::-1], warm, draws=[10, 9, 8, 7], tokens=192)
    np.testing.assert_array_equal(turned[::-1], found)
    assert (speak(PROMPTS, warm, draws=[11, 8, 9, 10])[0] != found[0]).any()


def test_a_clip_is_heard_once_and_as_it_would_be_alone(monkeypatch):
    calls = []
    encode = clip_encoder._encode
    monkeypatch.setattr(
        clip_encoder, "_encode", lambda *args: calls.append(args[3].shape[1]) or encode(*args)
    )
    clips = [wave for prompt in PROMPTS for wave in prompt.clips]
    listener = make_listener(rows=4)
    together = listener.hear([*clips, *clips])
    again = listener.hear(clips[::-1])[::-1]
    lengths = [listener._choose_length(clip) for clip in clips]
    assert sorted(calls) == sorted(set(lengths)) and len(clips) > len(calls)
    for clip, *heard in zip(clips * 2, together, again * 2, strict=True):
        (alone,) = make_listener(rows=1).hear([clip])
        assert len(alone) == CONFIG.count_frames(count_mel_frames(len(clip)))
        for frames in heard:
            np.testing.assert_allclose(frames, alone, atol=1e-5)


def test_a_short_clip_needs_no_long_window(monkeypatch):
    """Where silence behind a clip is masked, it sounds the same in a window of its own length."""
    monkeypatch.setattr(clip_encoder, "LENGTHS", 3)
    config = make_config(frame_mask="all", projector="stacked", projector_frames=5)
    clips = [wave for prompt in PROMPTS for wave in prompt.clips]
    short = make_listener(config=config)
    lengths = {short._choose_length(clip) for clip in clips}
    found = short.hear(clips)
    monkeypatch.setattr(clip_encoder, "LENGTHS", 1)
    whole = make_listener(config=config).hear(clips)
    assert len(lengths) > 1 and min(lengths) < config.encoder.mel_frames / 2
    for a, b in zip(found, whole, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_what_is_remembered_has_a_bound(monkeypatch):
    monkeypatch.setattr(clip_encoder, "KEPT_BYTES", 300_000)
    listener = make_listener(rows=1)
    waves = [np.full(16_000, i / 10, np.float32) for i in range(9)]
    listener.hear(waves)
    assert listener._bytes <= 300_000 and 1 < len(listener._heard) < 9
    assert listener._bytes == sum(x.nbytes for pair in listener._heard.values() for x in pair)


def test_a_heavy_penalty_forbids_repeats():
    penalty = dataclasses.replace(GREEDY, repetition_penalty=1e6)
    for prompt, row in zip(PROMPTS, speak(PROMPTS, penalty).tolist(), strict=True):
        assert len(set(row)) == NEW and not set(row) & set(prompt.tokens.tolist())


def test_a_cache_that_grows_changes_no_token(monkeypatch, together):
    monkeypatch.setattr(generation, "ROOM", 2)
    np.testing.assert_array_equal(speak(PROMPTS), together)


def test_any_of_several_stop_tokens_ends_a_row(together):
    stops = (NEVER, int(together[0, 1]), int(together[1, 3]))
    prepared = prepare(CONFIG, make_params(CONFIG), rows=len(PROMPTS))
    found = speak_prepared(
        CONFIG, prepared, lay_out(PROMPTS), jax.random.key(0), decoding=GREEDY, stop_ids=stops
    ).tolist()
    for row, free in zip(found, together.tolist(), strict=True):
        end = min((free.index(stop) for stop in stops if stop in free), default=NEW)
        assert row == free[: end + 1] + [NEVER] * (NEW - end - 1)


@pytest.mark.parametrize("rows", [1, 2])
def test_adapters_and_every_kind_of_decoder_speak_as_they_were_trained(rows):
    """LoRA is merged and projections are fused before: the training model says the same."""
    lora = LoraConfig(rank=3, alpha=6.0, targets=("q", "v", "gate", "down"))
    decoder = dataclasses.replace(CONFIG.decoder, has_qkv_bias=False, is_tied=True)
    config = dataclasses.replace(CONFIG, decoder=decoder, lora=lora)
    found = speak(PROMPTS[:rows], config=config)
    for prompt, row in zip(PROMPTS[:rows], found.tolist(), strict=True):
        assert row == continue_slowly(prompt, NEW, config)


def test_no_run_of_tokens_comes_twice():
    free = speak(PROMPTS, dataclasses.replace(GREEDY, max_new_tokens=24))
    bound = speak(PROMPTS, dataclasses.replace(GREEDY, max_new_tokens=24, no_repeat_ngram=2))
    assert (free != bound).any()
    for prompt, row in zip(PROMPTS, bound.tolist(), strict=True):
        text = prompt.tokens.tolist() + row
        pairs = list(zip(text, text[1:], strict=False))
        new = pairs[len(prompt.tokens) - 1 :]
        assert len(set(new)) == len(new) and not set(new) & set(pairs[: len(prompt.tokens) - 1])


def test_what_does_not_fit_says_so():
    with pytest.raises(ValueError, match="a prompt of .* positions does not fit 16; shorten it"):
        lay_out(PROMPTS[:1], tokens=16)
    long = Prompt(
        tokens=np.array([1]),
        clip=np.array([-1]),
        frame=np.array([-1]),
        clips=[np.zeros(40_000, np.float32)],
    )
    with pytest.raises(
        ValueError, match="a clip of 2.5 s is longer than the encoder's window of 2 s; cut it"
    ):
        lay_out([long])
