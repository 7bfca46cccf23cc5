"""Our encoders, Q-Former and whole speech LM against Whisper, Blip2QFormer and Qwen2-Audio of
transformers."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from tiny_model import make_config, measure_logits
from torch_models import (
    assert_equal,
    measure_difference,
    run,
    shake,
    take_weights,
    torch,
    transformers,
)

from sift_jax.audio.whisper_mel import fill_log_mel
from sift_jax.batch import BatchShape, make_empty_batch
from sift_jax.models.layers import NO_LORA
from sift_jax.models.presets import ENCODERS, PROJECTORS, read_decoder_preset, read_encoder_preset
from sift_jax.models.projectors import make_projector
from sift_jax.models.speech_lm import SpeechLMConfig, describe_params
from sift_jax.models.whisper_encoder import EncoderConfig, WhisperEncoder
from sift_jax.weights.key_table import PROJECTOR, QWEN2, WHISPER, WHISPER_COMPUTED

pytestmark = pytest.mark.parity

SECONDS, AUDIO_ID = 3, 299


def make_whisper_config(**sizes):
    given = {
        "d_model": 32,
        "encoder_layers": 3,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 128,
        "num_mel_bins": 80,
        "max_source_positions": 50 * SECONDS,
        # the half that is not used here
        "decoder_layers": 1,
        "decoder_attention_heads": 2,
        "decoder_ffn_dim": 16,
        "vocab_size": 50,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 1,
    }
    return transformers.WhisperConfig(**{**given, **sizes})


@partial(jax.jit, static_argnames=("config", "dtype"))
def encode(config, params, mel_bsf, dtype="float32"):
    encoder = WhisperEncoder(config=config, dtype=jnp.dtype(dtype), remat="none")
    return encoder.apply({"params": params}, mel_bsf, jnp.full((len(mel_bsf),), mel_bsf.shape[1]))


@pytest.mark.parametrize("mel_bins", [80, 128])
def test_whisper_hidden_states(tmp_path, mel_bins):
    theirs_config = make_whisper_config(num_mel_bins=mel_bins)
    theirs_config.save_pretrained(tmp_path)
    config = read_encoder_preset(tmp_path)
    assert (config.window_seconds, config.frame_mask) == (SECONDS, "none")
    torch.manual_seed(0)
    theirs = shake(transformers.WhisperModel(theirs_config).encoder)
    params = take_weights(WHISPER, theirs.state_dict(), config.layers, ignored=WHISPER_COMPUTED)
    mel = np.random.default_rng(0).normal(size=(2, 100 * SECONDS, mel_bins)).astype(np.float32)
    wanted = run(theirs, np.ascontiguousarray(mel.transpose(0, 2, 1))).last_hidden_state
    assert_equal(encode(config, params, mel), wanted)
    # bfloat16: within 3 % of the largest value
    assert (
        1e-4
        < measure_difference(
            encode(config, params, mel, dtype="bfloat16").astype(np.float32), wanted
        )
        <= 0.03
    )


WHISPERS = [name for name, config in ENCODERS.items() if isinstance(config, EncoderConfig)]


@pytest.mark.parametrize(
    "name", [name for name in WHISPERS if not name.endswith((".en", "-instruct"))]
)
def test_a_preset_has_the_parameters_of_their_class(name):
    c = ENCODERS[name]
    sizes = make_whisper_config(
        d_model=c.width,
        encoder_ffn_dim=4 * c.width,
        encoder_layers=c.layers,
        encoder_attention_heads=c.heads,
        num_mel_bins=c.mel_bins,
    )
    with torch.device("meta"):
        theirs = transformers.models.whisper.modeling_whisper.WhisperEncoder(sizes)
    wanted = sum(x.numel() for key, x in theirs.named_parameters() if key not in WHISPER_COMPUTED)
    params = describe_params(make_config(encoder=name))["encoder"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == wanted


def take_qformer(theirs, norm, linear, queries, blocks: int) -> dict:
    """Our params from Blip2QFormerModel, a norm before it and a Linear behind it."""
    state = {key: x.detach().numpy() for key, x in theirs.state_dict().items()}
    flat = {
        "queries": queries,
        "speech_norm/scale": norm.weight.detach().numpy(),
        "speech_norm/bias": norm.bias.detach().numpy(),
        "query_norm/scale": state["layernorm.weight"],
        "query_norm/bias": state["layernorm.bias"],
        "linear/kernel": linear.weight.detach().numpy().T,
        "linear/bias": linear.bias.detach().numpy(),
    }
    names = {
        "up": "intermediate_query.dense",
        "down": "output_query.dense",
        "mlp_norm": "output_query.LayerNorm",
    }
    for ours, kind in (("self", "attention"), ("cross", "crossattention")):
        names |= {f"{ours}_{x[0]}": f"{kind}.attention.{x}" for x in ("query", "key", "value")}
        names |= {f"{ours}_o": f"{kind}.output.dense", f"{ours}_norm": f"{kind}.output.LayerNorm"}
    for layer in (0, 1):
        for ours, key in names.items():
            places = [f"encoder.layer.{2 * i + layer}.{key}" for i in range(blocks)]
            if f"{places[0]}.weight" in state:
                weights = [state[f"{place}.weight"] for place in places]
                weight = np.stack([w.T for w in weights])
                flat[f"blocks/layer{layer}/{ours}/{'kernel' if weight.ndim == 3 else 'scale'}"] = (
                    weight if weight.ndim == 3 else np.stack(weights)
                )
                flat[f"blocks/layer{layer}/{ours}/bias"] = np.stack(
                    [state[f"{place}.bias"] for place in places]
                )
    return unflatten_dict(flat, sep="/")


def test_qformer_over_windows():
    """Theirs sees one window a row; the last one is not full, and masked."""
    c = dataclasses.replace(PROJECTORS["qformer"], frames=7, width=24, queries=2, layers=4, heads=3)
    theirs = shake(
        transformers.Blip2QFormerModel(
            transformers.Blip2QFormerConfig(
                hidden_size=24,
                num_hidden_layers=4,
                num_attention_heads=3,
                intermediate_size=96,
                encoder_hidden_size=32,
                cross_attention_frequency=2,
            )
        )
    )
    norm, linear = shake(torch.nn.LayerNorm(32)), shake(torch.nn.Linear(24, 20), seed=2)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 24, 32)).astype(np.float32)
    queries = rng.normal(size=(2, 24)).astype(np.float32)
    windows = run(norm, np.pad(x, ((0, 0), (0, 4), (0, 0)))).reshape(12, 7, 32)
    mask = np.tile((np.arange(28) < 24).reshape(4, 7), (3, 1)).astype(np.int64)
    found = run(
        theirs,
        np.tile(queries, (12, 1, 1)),
        encoder_hidden_states=windows,
        encoder_attention_mask=mask,
    ).last_hidden_state
    wanted = run(linear, found.numpy()).reshape(3, 8, 20)
    module = make_projector(c, 20, jnp.dtype("float32"))
    assert_equal(
        jax.jit(module.apply)({"params": take_qformer(theirs, norm, linear, queries, 2)}, x), wanted
    )


@pytest.fixture(scope="module")
def qwen2_audio(tmp_path_factory):
    """(our config, our params, their model) of one small Qwen2-Audio, its config read from their
    file."""
    folder = tmp_path_factory.mktemp("qwen2_audio")
    audio = {
        "d_model": 32,
        "encoder_layers": 3,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 128,
        "num_mel_bins": 128,
        "max_source_positions": 50 * SECONDS,
    }
    text = {
        "model_type": "qwen2",
        "vocab_size": 300,
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rms_norm_eps": 3e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 3e4},
        "tie_word_embeddings": False,
    }
    theirs_config = transformers.Qwen2AudioConfig(
        audio_config=transformers.Qwen2AudioEncoderConfig(**audio),
        text_config=text,
        audio_token_index=AUDIO_ID,
    )
    theirs_config.save_pretrained(folder)
    config = SpeechLMConfig(
        quantized=None,
        windows=1,
        encoder=read_encoder_preset(folder),
        projector=PROJECTORS["pooled"],
        decoder=read_decoder_preset(folder),
        cross=None,
        lora=NO_LORA,
        dtype="float32",
        remat="none",
        attention="plain",
        attention_block=512,
    )
    torch.manual_seed(0)
    theirs = transformers.Qwen2AudioForConditionalGeneration(theirs_config)
    # their class leaves the positions to the checkpoint
    sinusoids = transformers.models.whisper.modeling_whisper.sinusoids(50 * SECONDS, 32)
    theirs.model.audio_tower.embed_positions.weight.data = sinusoids
    state = shake(theirs).state_dict()
    decoder = {
        key.replace("model.language_model.", "model."): x
        for key, x in state.items()
        if "audio" not in key
    }
    decoder = {key: x for key, x in decoder.items() if "multi_modal" not in key}
    params = {
        "encoder": take_weights(WHISPER, state, 3, "model.audio_tower.", ignored=WHISPER_COMPUTED),
        "projector": take_weights(PROJECTOR, state, 0, "model.multi_modal_projector."),
        "decoder": take_weights(QWEN2, decoder, 2),
    }
    return config, params, theirs


def extract(clips: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Mel and frame mask as the processor of Qwen2-Audio makes them."""
    extractor = transformers.WhisperFeatureExtractor(feature_size=128, chunk_length=SECONDS)
    return extractor(
        clips,
        sampling_rate=16_000,
        padding="max_length",
        return_attention_mask=True,
        return_tensors="np",
    )


def make_clips() -> list[np.ndarray]:
    """Chirps in noise, shorter than the window, of lengths that are no whole number of frames."""
    rng = np.random.default_rng(0)
    times = [np.arange(n) / 16_000 for n in (21_923, 40_100)]
    return [
        (0.3 * np.sin(2 * np.pi * (300 + 200 * t) * t) + 0.05 * rng.normal(size=len(t))).astype(
            np.float32
        )
        for t in times
    ]


def lay_out_rows(config: SpeechLMConfig, frames: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """(ids, slots) of rows «text audio text» with one clip each, padded behind."""
    rng = np.random.default_rng(1)
    ids, slots = np.zeros((2, 80), np.int64), np.full((2, 80), -1)
    for row, n in enumerate(frames):
        count = config.count_frames(n)
        before, after = rng.integers(0, 290, 5 + row), rng.integers(0, 290, 7)
        text = np.concatenate([before, np.full(count, AUDIO_ID), after])
        ids[row, : len(text)] = text
        slots[row, len(before) : len(before) + count] = np.arange(count)
    return ids, slots


def test_qwen2_audio_from_audio_to_logits(qwen2_audio):
    """Our own log-mel, encoder, projector and decoder against theirs, with clips shorter than the
    window."""
    config, params, theirs = qwen2_audio
    clips = make_clips()
    features = extract(clips)
    frames = features["attention_mask"].sum(axis=-1)
    ids, slots = lay_out_rows(config, frames)
    # the class itself refuses a number of audio tokens other than its own
    mask = (np.cumsum(ids[:, ::-1], axis=1)[:, ::-1] > 0).astype(np.int64)
    wanted = run(
        theirs,
        ids,
        attention_mask=mask,
        input_features=features["input_features"],
        feature_attention_mask=features["attention_mask"].astype(np.int64),
    ).logits.numpy()

    shape = BatchShape(
        rows=2, tokens=80, targets=80, clips=1, mel_frames=100 * SECONDS, mel_bins=128
    )
    batch = make_empty_batch(shape)
    batch["token_bt"][:], batch["slot_bt"][:], batch["group_bt"][:] = ids, slots, mask
    batch["position_bt"][:] = batch["predict_bm"][:] = np.arange(80)
    for row, clip in enumerate(clips):
        fill_log_mel(clip, batch["mel_basf"][row, 0])
        batch["frames_ba"][row, 0] = frames[row]
    assert_equal(measure_logits(config, params, batch)[mask > 0], wanted[mask > 0])

    # without the mask the encoder attends to the silence, and says something else
    deaf = dataclasses.replace(
        config, encoder=dataclasses.replace(config.encoder, frame_mask="none")
    )
    assert (
        measure_difference(measure_logits(deaf, params, batch)[mask > 0], wanted[mask > 0]) > 1e-3
    )
    # bfloat16: within 3 % of the largest logit
    rounded = dataclasses.replace(config, dtype="bfloat16")
    assert (
        measure_difference(measure_logits(rounded, params, batch)[mask > 0], wanted[mask > 0])
        <= 0.03
    )
