"""Two encoders joined: each as it is alone, counted as they are made, nothing of BEATs behind a
clip."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chirps import make_wave
from tiny_model import hear, make_config, make_params

from sift_jax.audio.joined_mel import count_joined_frames, fill_joined_mel
from sift_jax.audio.kaldi_mel import count_kaldi_frames, fill_kaldi_mel
from sift_jax.audio.whisper_mel import fill_log_mel
from sift_jax.models.beats_encoder import BeatsEncoder
from sift_jax.models.joined_encoder import KALDI_BINS, KALDI_LACKS, JoinedEncoder
from sift_jax.models.presets import ENCODERS, PROJECTORS, from_json, to_json
from sift_jax.models.speech_lm import encode_speech
from sift_jax.models.whisper_encoder import WhisperEncoder
from sift_jax.training.flops import count_costs

CONFIG = make_config(encoder="test-salmonn", projector="salmonn", projector_frames=None)
TINY = CONFIG.encoder
SALMONN_TRAINS = ("projector/.*", "encoder/(whisper|beats)_norm/.*")


def make_mel(samples: int) -> tuple[np.ndarray, int]:
    mel = np.full((TINY.mel_frames, TINY.mel_bins), 7.0, np.float32)
    return mel, fill_joined_mel(make_wave(samples), mel)


def run(encoder, params, *inputs):
    return np.asarray(jax.jit(encoder.apply)({"params": params}, *inputs))[0]


@pytest.fixture(scope="module")
def encoder():
    module = JoinedEncoder(config=TINY, dtype=jnp.dtype("float32"), remat="none")
    return module, make_params(CONFIG)["encoder"]


@pytest.mark.parametrize("samples", [16_000, 16_079, 16_080, 16_081, 21_923, 480_000])
def test_kaldis_frames_follow_from_the_clips(samples):
    assert count_joined_frames(samples) - KALDI_LACKS == count_kaldi_frames(samples)


def test_two_pictures_side_by_side():
    wave = make_wave(20_000)
    mel, frames = make_mel(20_000)
    whisper = np.zeros((200, 80), np.float32)
    kaldi = np.zeros((200, KALDI_BINS), np.float32)
    fill_log_mel(wave, whisper), fill_kaldi_mel(wave, kaldi)
    np.testing.assert_array_equal(mel, np.concatenate([whisper, kaldi], axis=1))
    assert frames == 125


def test_a_short_clip_is_filled_up_to_a_second():
    short, frames = make_mel(9_000)
    filled = np.zeros_like(short)
    assert frames == fill_joined_mel(np.pad(make_wave(9_000), (0, 7_000)), filled) == 100
    np.testing.assert_array_equal(short, filled)


def test_each_is_what_it_is_alone(encoder):
    mel, frames = make_mel(21_923)
    module, params = encoder
    found = run(module, params, mel[None], np.array([frames]))
    fields = {"dtype": jnp.dtype("float32"), "remat": "none"}
    whisper = WhisperEncoder(config=TINY.whisper, **fields)
    beats = BeatsEncoder(config=TINY.beats, **fields)
    tokens = TINY.beats.count_tokens(frames - KALDI_LACKS)
    assert found.shape == (TINY.count_frames(frames), 32 + 24) and 0 < tokens < len(found)
    inputs = (mel[None], np.array([frames]))
    alone = (
        run(whisper, params["whisper"], inputs[0][..., :80], inputs[1]),
        run(beats, params["beats"], inputs[0][..., 80:], inputs[1] - KALDI_LACKS)[:tokens],
    )
    parts = (found[:, :32], found[:tokens, 32:])
    for part, x, norm in zip(parts, alone, ("whisper_norm", "beats_norm"), strict=True):
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        wanted = x * params[norm]["scale"] + params[norm]["bias"]
        np.testing.assert_allclose(part, wanted[: len(part)], atol=2e-5)
    assert not found[tokens:, 32:].any()


def test_counted_positions_are_the_models():
    mel = jax.ShapeDtypeStruct((1, 3, TINY.mel_frames, TINY.mel_bins), np.float32)
    clips = jax.ShapeDtypeStruct((1, 3), np.int32)
    spoken = jax.eval_shape(
        lambda m, f: encode_speech(CONFIG, make_params(CONFIG), m, f), mel, clips
    )
    assert spoken.shape == (1, 3 * CONFIG.slots_per_clip, CONFIG.decoder.width)
    counted = TINY.count_frames(np.array([1, 50, 200]))
    assert counted.tolist() == [96, 96, 96]


def test_thirty_seconds_are_eighty_eight_positions():
    full = ENCODERS["salmonn"]
    assert (full.mel_bins, full.width, full.count_frames(3000)) == (208, 2048, 1496)
    assert PROJECTORS["salmonn"].count_positions(full.count_frames(1)) == 88


def test_a_run_keeps_the_config():
    assert from_json(to_json(CONFIG)) == CONFIG
    # one that was written before there was a choice
    older = to_json(make_config(projector="qformer", projector_frames=None))
    del older["projector"]["has_norm"]
    assert from_json(older).projector.has_norm


def test_norms_behind_the_encoder_pass_nothing_back():
    trained, frozen = (count_costs(CONFIG, rows) for rows in (SALMONN_TRAINS, SALMONN_TRAINS[:1]))
    assert trained.frame == frozen.frame > 0
    assert count_costs(CONFIG, ("encoder/.*",)).frame > 2 * trained.frame


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="hears the silence behind a clip; set ModelConfig.frame"):
        make_config(encoder="test-salmonn", frame_mask="all")
    with pytest.raises(ValueError, match="this encoder is two; set PROJECTOR"):
        make_params(make_config(encoder="test-salmonn", projector="pooled"))
    with pytest.raises(ValueError, match="BEATs has 80 mel bins beside a Whisper"):
        dataclasses.replace(TINY, beats=dataclasses.replace(TINY.beats, mel_bins=80))


def test_a_clip_is_heard_in_its_own_time():
    """What is behind 1.3 s of Kaldi's picture is not read."""
    mel, frames = make_mel(21_923)
    params, clips = make_params(CONFIG), np.array([[frames]])
    other = mel.copy()
    other[frames:, 80:] = 3.0
    both = [np.asarray(hear(CONFIG, params, x[None, None], clips)) for x in (mel, other)]
    np.testing.assert_array_equal(*both)
