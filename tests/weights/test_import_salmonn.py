"""SALMONN's files become a model that answers: numbers of its public code (bytedance/SALMONN, branch
salmonn), in float64 on the same drawn weights; and what is refused."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest
from chirps import make_wave
from foreign_files import step_dict, step_tensor, write_torch
from small_beats import draw
from small_salmonn import (
    ALPHA,
    BEATS_CFG,
    RANK,
    WIDTH,
    make_decoder_state,
    make_salmonn_state,
    write_beats,
    write_decoder,
    write_pickle,
    write_salmonn,
    write_whisper,
)

from sift_jax.audio.front_ends import FRONT_ENDS
from sift_jax.batch import BatchShape, make_empty_batch
from sift_jax.models.hf_config import read_encoder_preset
from sift_jax.models.presets import ENCODERS, PROJECTORS
from sift_jax.models.speech_lm import compute_target_logits, encode_speech
from sift_jax.pretrained import Model
from sift_jax.weights.foreign.convert import import_weights
from sift_jax.weights.foreign.salmonn import is_salmonn
from sift_jax.weights.tensor_files import TensorFolder

SAMPLES, HEARD = 163_333, 88
# every 22nd position of the recording, and every eighth number
SPOKEN = [
    [-0.213, 0.6883, 1.4199, 1.0409],
    [-0.0658, 0.9109, 1.1578, 1.0982],
    [0.0761, 1.1396, -0.2616, 0.2544],
    [0.1824, 1.227, -0.2228, 0.3256],
]
# of tokens 7 to 26 with the recording behind the fifth: at these positions, every eightieth logit
PLACES = [4, 20, 92, 107]
LOGITS = [
    [-0.3605, 3.3833, -3.7683, -1.6261, 0.7791],
    [2.5507, 0.4883, -0.6558, -3.1007, 1.1247],
    [2.7126, 1.3161, -2.1866, -3.2416, 0.6089],
    [1.2701, -0.6347, -1.5525, -0.9697, 1.6194],
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Its four parts as they are published, and the folder of the encoder."""
    root = tmp_path_factory.mktemp("salmonn")
    write_whisper(root / "whisper")
    write_decoder(root / "vicuna")
    write_beats(root / "BEATs.pt")
    write_salmonn(root / "salmonn.pth", make_salmonn_state())
    import_weights(
        root / "BEATs.pt", root / "encoder", dtype="float32", encoder=str(root / "whisper")
    )
    return root


@pytest.fixture(scope="module")
def model(files):
    said = import_weights(
        files / "salmonn.pth",
        files / "model",
        dtype="float32",
        encoder=str(files / "encoder"),
        base=str(files / "vicuna"),
    )
    assert "LoRA of rank 4 and alpha 12 merged" in said
    return Model.load(files / "model")


def test_the_encoders_folder_is_a_preset(files):
    config = read_encoder_preset(files / "encoder")
    assert dataclasses.replace(config.beats, **_sizes(ENCODERS["salmonn"].beats)) == (
        ENCODERS["salmonn"].beats
    )
    assert config.whisper.layers == 2 and config.beats.buckets == BEATS_CFG["num_buckets"]
    assert config.count_frames(3000) == 1496 and config.width == 16 + 24


def _sizes(beats):
    names = ("embedding", "width", "layers", "heads", "hidden", "position_kernel")
    return {name: getattr(beats, name) for name in (*names, "position_groups")}


def test_published_numbers(model):
    config = model.config
    assert config.slots_per_clip == HEARD
    assert config.projector == dataclasses.replace(PROJECTORS["salmonn"], width=WIDTH, heads=2)
    mel = np.zeros((1, 1, config.encoder.mel_frames, config.encoder.mel_bins), np.float32)
    frames = FRONT_ENDS["joined"].fill(make_wave(SAMPLES), mel[0, 0])
    clips = np.array([[frames]], np.int32)
    spoken = jax.jit(encode_speech, static_argnums=0)(config, model.params, mel, clips)
    np.testing.assert_allclose(spoken[0, ::22, ::8], SPOKEN, atol=5e-4)
    length = 20 + HEARD
    shape = BatchShape(
        rows=1, tokens=length, targets=length, clips=1, mel_frames=3000, mel_bins=mel.shape[-1]
    )
    batch = make_empty_batch(shape) | {"mel_basf": mel, "frames_ba": clips}
    tokens = np.arange(7, 27)
    batch["token_bt"][0] = np.concatenate([tokens[:5], np.zeros(HEARD, int), tokens[5:]])
    batch["slot_bt"][0, 5 : 5 + HEARD] = np.arange(HEARD)
    batch["group_bt"][:] = 1
    batch["position_bt"][0] = batch["predict_bm"][0] = np.arange(length)
    logits = jax.jit(compute_target_logits, static_argnums=0)(config, model.params, batch)
    np.testing.assert_allclose(logits[0, PLACES, :384:80], LOGITS, atol=2e-3)


def test_tokens_of_audio_have_rows_that_nothing_is_made_of(model):
    rows = model.config.decoder.vocab_size
    assert rows == len(model.tokenizer) > 384
    assert not np.asarray(model.params["decoder"]["embedding"])[384:].any()
    assert not np.asarray(model.params["decoder"]["head"])[:, 384:].any()
    assert model.tokenizer.template.render(
        [{"role": "user", "content": "How fast?"}], is_prompt=True
    ) == ("<s> USER: How fast?\nASSISTANT:")


def test_lora_is_merged_and_norms_are_the_files(model):
    name = "model.layers.1.self_attn.v_proj"
    low, high = (
        draw(f"llama_model.base_model.model.{name}.lora_{half}.default.weight", shape)
        for half, shape in (("A", (RANK, 32)), ("B", (32, RANK)))
    )
    wanted = make_decoder_state()[f"{name}.weight"] + ALPHA / RANK * high @ low
    found = np.asarray(model.params["decoder"]["blocks"]["v"]["kernel"])[1]
    np.testing.assert_allclose(found, wanted.T, atol=1e-5)
    norm = np.asarray(model.params["encoder"]["beats_norm"]["scale"])
    np.testing.assert_array_equal(norm, draw("ln_audio.weight", (24,)))


def refuse(files, tmp_path, message, source="salmonn.pth", **changes):
    given = {"encoder": str(files / "encoder"), "base": str(files / "vicuna"), **changes}
    with pytest.raises(ValueError, match=message):
        import_weights(files / source, tmp_path / "out", dtype="float32", **given)
    assert not list(tmp_path.glob("out*"))


def test_what_is_missing_is_named(files, tmp_path):
    refuse(files, tmp_path, "give the folder of its Vicuna as --base", base=None)
    refuse(files, tmp_path, "salmonn.pth needs it", encoder=None)
    refuse(files, tmp_path, "is not of Whisper and BEATs", encoder=str(files / "whisper"))
    refuse(files, tmp_path, "which .*BEATs.pt is not", source="BEATs.pt")
    refuse(
        files, tmp_path, "holds no Whisper", "BEATs.pt", encoder=str(files / "encoder"), base=None
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("video_Qformer.weight", "holds .'video_Qformer.weight'. .1 such."),
        ("speech_Qformer.bert.encoder.layer.0.output.dense.weight", "has not"),
        (
            "llama_model.base_model.model.model.layers.7.self_attn.q_proj.lora_A.default.weight",
            "changes model.layers.7.self_attn.q_proj",
        ),
    ],
)
def test_an_unknown_tensor_is_named(files, tmp_path, name, message):
    state = make_salmonn_state() | {name: np.ones((RANK, 32), np.float32)}
    write_salmonn(tmp_path / "other.pth", state)
    refuse(files, tmp_path, message, source=tmp_path / "other.pth")


def test_a_lacking_tensor_is_named(files, tmp_path):
    state = make_salmonn_state()
    del state["speech_llama_proj.bias"]
    write_pickle(tmp_path / "torn.pth", state)
    refuse(files, tmp_path, "missing .'linear.bias'.", source=tmp_path / "torn.pth")
    del state["ln_audio.bias"]
    write_pickle(tmp_path / "torn.pth", state)
    refuse(files, tmp_path, "and ln_audio.bias, .* are needed", source=tmp_path / "torn.pth")


def test_a_decoder_of_pytorchs_files(files, tmp_path):
    """Two files of tensors, and frequencies that are computed here."""
    folder, state = tmp_path / "vicuna", make_decoder_state()
    shutil.copytree(files / "vicuna", folder, ignore=shutil.ignore_patterns("*.safetensors"))
    state["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(4, np.float32)
    names = sorted(state)
    for number, part in enumerate((names[:9], names[9:])):
        steps = {name: step_tensor(str(i), state[name]) for i, name in enumerate(part)}
        storages = {str(i): state[name] for i, name in enumerate(part)}
        write_torch(folder / f"pytorch_model-{number}.bin", step_dict(steps), storages)
    import_weights(folder, tmp_path / "out", dtype="float32")
    found = TensorFolder(tmp_path / "out")
    assert found.keys() == sorted(make_decoder_state())
    for key in found.keys():  # noqa: SIM118 - a folder is no dict
        np.testing.assert_array_equal(found.read(key), state[key])
    assert (tmp_path / "out" / "tokenizer.json").is_file()


def test_a_whisper_is_no_salmonn():
    assert not is_salmonn({"model_state_dict": {}}) and not is_salmonn({"model": {"a": 1}})
