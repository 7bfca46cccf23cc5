"""Exports in the hands of those they are for: transformers and PEFT give our logits and our greedy
tokens.

peft          base + adapter      ─PeftModel──────────────────────────► logits, tokens
merged        Llama, stretched    ─AutoModelForCausalLM───────────────► logits, tokens, in many files and in bfloat16
qwen2_audio   audio and messages  ─AutoProcessor, Qwen2Audio…─────────► ids of the prompt, logits, tokens; and back
"""

import dataclasses
import json

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors.numpy import load_file

from sift_jax.audio.whisper_mel import fill_log_mel
from sift_jax.decoding.sampling import GREEDY
from sift_jax.decoding.text_answers import TextGenerator, make_prompt
from sift_jax.exporting.export import SIFT, export_model
from sift_jax.models.decoder import GemmaStyle, LayerPattern
from sift_jax.models.layers import NO_LORA, LinearScaling, LoraConfig, RopeScaling
from sift_jax.models.presets import DECODERS, ENCODERS, PROJECTORS
from sift_jax.models.speech_lm import SpeechLMConfig, compute_target_logits, init_params
from sift_jax.pretrained import Model
from sift_jax.text.chat import make_question
from sift_jax.text.tokenizers import train_tokenizer
from sift_jax.weights.load import load_folder

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from torch_models import assert_equal  # noqa: E402 - needs torch

pytestmark = pytest.mark.parity

TEXTS = [
    "How fast does she speak?",
    "Rather slowly, I would say.",
    "Wie laut spricht er?\nSehr leise.",
]
STRETCH = RopeScaling(factor=4.0, low_frequency=1.0, high_frequency=4.0, positions=64)
LORA = LoraConfig(rank=4, alpha=6.0, targets=("q", "v", "down"))


def make_config(**decoder) -> SpeechLMConfig:
    """Small, with every size different from the others, and audio as Qwen2-Audio hears it."""
    sizes = {
        "vocab_size": 320,
        "width": 48,
        "heads": 4,
        "kv_heads": 2,
        "head_size": 12,
        "hidden": 80,
        "layers": 3,
    }
    return SpeechLMConfig(
        quantized=None,
        windows=1,
        encoder=dataclasses.replace(
            ENCODERS["test"],
            width=32,
            layers=3,
            heads=4,
            mel_bins=128,
            window_seconds=4.0,
            frame_mask="attention",
        ),
        projector=PROJECTORS["pooled"],
        decoder=dataclasses.replace(
            DECODERS["test"],
            **{**sizes, "rope_theta": 3e4, "norm_eps": 3e-5, "is_tied": True, **decoder},
        ),
        cross=None,
        lora=LORA,
        dtype="float32",
        remat="none",
        attention="plain",
        attention_block=512,
    )


def make_model(folder, config: SpeechLMConfig) -> Model:
    """A random model, every parameter away from where it starts, with a tokenizer of its own."""
    flat = flatten_dict(jax.jit(init_params, static_argnums=0)(config, jax.random.key(0)), sep="/")
    rng = np.random.default_rng(0)
    flat = {
        path: np.asarray(x) + 0.1 * rng.normal(size=x.shape).astype(np.float32)
        for path, x in flat.items()
    }
    tokenizer = train_tokenizer(TEXTS, config.decoder.vocab_size, folder / "trained")
    return Model(config=config, params=unflatten_dict(flat, sep="/"), tokenizer=tokenizer, step=7)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("qwen"), make_config())


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    changes = {
        "has_qkv_bias": False,
        "is_tied": False,
        "rope_scaling": STRETCH,
        "max_positions": 256,
    }
    return make_model(tmp_path_factory.mktemp("llama"), make_config(**changes))


def compute_our_logits(model: Model, ids: np.ndarray) -> np.ndarray:
    """Logits of plain text, (rows, t, vocabulary)."""
    rows, t = ids.shape
    place = np.broadcast_to(np.arange(t), ids.shape)
    encoder = model.config.encoder
    batch = {
        "token_bt": ids,
        "slot_bt": np.full(ids.shape, -1),
        "group_bt": np.ones(ids.shape, np.int32),
        "segment_bt": np.zeros(ids.shape, np.int32),
        "position_bt": place,
        "predict_bm": place,
        "mel_basf": np.zeros((rows, 1, encoder.mel_frames, encoder.mel_bins), np.float32),
        "frames_ba": np.zeros((rows, 1), np.int32),
    }
    return np.asarray(
        jax.jit(compute_target_logits, static_argnums=0)(model.config, model.params, batch)
    )


def assert_speaks_as(theirs, model: Model) -> None:
    """The same logits and the same greedy tokens for a question in text."""
    prompt = make_prompt(model, make_question(TEXTS[0], []), None)
    ids = np.asarray(prompt.tokens)[None]
    with torch.no_grad():
        assert_equal(
            compute_our_logits(model, ids),
            theirs(torch.from_numpy(ids).long()).logits.float().numpy(),
        )
    decoding = dataclasses.replace(GREEDY, max_new_tokens=8)
    said = theirs.generate(torch.from_numpy(ids).long(), max_new_tokens=8, do_sample=False)[
        0, ids.shape[1] :
    ]
    assert TextGenerator(model, rows=1).answer([prompt], decoding) == [
        model.tokenizer.decode(said.tolist()).strip()
    ]
    assert len(said) == 8, "the random model stops early: this compares too little"


@pytest.mark.parametrize("has_base", [True, False])
def test_peft_loads_the_adapter(qwen, tmp_path, has_base):
    peft = pytest.importorskip("peft")
    base = tmp_path / "base"
    plain = {
        path: x for path, x in flatten_dict(qwen.params, sep="/").items() if "/lora_" not in path
    }
    if has_base:
        # as published, and the run has drawn rows of its own for audio
        table = np.array(plain["decoder/embedding"])
        table[[qwen.tokenizer.ids[token] for token in ("<|AUDIO|>", "<|audio_bos|>")]] = 0.01
        plain["decoder/embedding"] = table
        before = dataclasses.replace(
            qwen,
            config=dataclasses.replace(qwen.config, lora=NO_LORA),
            params=unflatten_dict(plain, sep="/"),
        )
        export_model(before, base, dataclasses.replace(SIFT, format="merged"))
    config = dataclasses.replace(SIFT, format="peft", base=str(base) if has_base else None)
    export_model(qwen, tmp_path / "adapter", config)
    assert (tmp_path / "adapter" / "base").is_dir() != has_base
    base = base if has_base else tmp_path / "adapter" / "base"
    theirs = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    theirs = peft.PeftModel.from_pretrained(theirs, tmp_path / "adapter").eval()
    ids = np.array([list(qwen.tokenizer.ids.values())])
    with torch.no_grad():
        assert_equal(
            compute_our_logits(qwen, ids), theirs(torch.from_numpy(ids)).logits.float().numpy()
        )
    described = peft.PeftConfig.from_pretrained(tmp_path / "adapter")
    assert bool(described.trainable_token_indices) == has_base
    assert described.r == 4 and set(described.target_modules) == {"q_proj", "v_proj", "down_proj"}
    assert_speaks_as(theirs, qwen)
    assert_speaks_as(theirs.merge_and_unload(), qwen)


def test_a_merged_llama_in_many_files(llama, tmp_path):
    export_model(
        llama, tmp_path / "out", dataclasses.replace(SIFT, format="merged", max_bytes=60_000)
    )
    assert len(list((tmp_path / "out").glob("model-*-of-*.safetensors"))) > 3
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "out", dtype=torch.float32
    ).eval()
    assert (
        type(theirs).__name__ == "LlamaForCausalLM"
        and theirs.config.rope_parameters["rope_type"] == "llama3"
    )
    assert_speaks_as(theirs, llama)
    assert theirs.generation_config.eos_token_id == llama.tokenizer.ids["<|im_end|>"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    chat = [{"role": "user", "content": TEXTS[0]}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    assert list(ids) == list(make_prompt(llama, make_question(TEXTS[0], []), None).tokens)


LOCAL = LayerPattern(every=2, window=9, rope_theta=2e2, is_odd_rotated=True)
FAMILIES = {
    "Qwen3ForCausalLM": {"has_qk_norm": True, "head_size": 16},
    "MistralForCausalLM": {"pattern": dataclasses.replace(LOCAL, every=None, rope_theta=None)},
    "SmolLM3ForCausalLM": {
        "pattern": LayerPattern(every=2, window=None, rope_theta=None, is_odd_rotated=False)
    },
    "Gemma3ForCausalLM": {
        "has_qk_norm": True,
        "head_size": 16,
        "rope_scaling": LinearScaling(factor=8.0),
        "pattern": LOCAL,
        "gemma": GemmaStyle(query_size=13),
    },
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_merged_decoder_of_every_family(tmp_path, name):
    model = make_model(tmp_path, make_config(has_qkv_bias=False, **FAMILIES[name]))
    export_model(model, tmp_path / "out", dataclasses.replace(SIFT, format="merged"))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "out", dtype=torch.float32
    ).eval()
    assert type(theirs).__name__ == name
    ids = np.random.default_rng(1).integers(0, 320, (2, 29))
    with torch.no_grad():
        logits = theirs(torch.from_numpy(ids)).logits.numpy()
    assert_equal(compute_our_logits(model, ids), logits)


def test_a_merged_decoder_in_bfloat16(qwen, tmp_path):
    export_model(
        qwen, tmp_path / "out", dataclasses.replace(SIFT, format="merged", dtype="bfloat16")
    )
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto")
    assert theirs.dtype == torch.bfloat16
    ids = np.random.default_rng(1).integers(0, 320, (2, 29))
    with torch.no_grad():
        logits = theirs.float().eval()(torch.from_numpy(ids)).logits.numpy()
    # eight bits of mantissa in every weight
    assert_equal(compute_our_logits(qwen, ids), logits, 3e-2)


def make_wave(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * 16_000)) / 16_000
    return (0.3 * np.sin(2 * np.pi * 200 * t * (1 + t)) + 0.01 * rng.normal(size=t.shape)).astype(
        np.float32
    )


@pytest.fixture(scope="module", params=["tied", "untied"])
def audio_export(request, qwen, tmp_path_factory):
    folder = tmp_path_factory.mktemp("qwen2_audio")
    model = qwen if request.param == "tied" else make_model(folder, make_config(is_tied=False))
    export_model(model, folder / "out", dataclasses.replace(SIFT, format="qwen2_audio"))
    return model, folder / "out"


def ask_theirs(folder, waves: list[np.ndarray]):
    """(their model, what their processor makes of a question about the clips)."""
    theirs = transformers.Qwen2AudioForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32
    ).eval()
    processor = transformers.AutoProcessor.from_pretrained(folder)
    assert type(processor).__name__ == "Qwen2AudioProcessor"
    content = [{"type": "audio", "audio_url": f"{i}.wav"} for i in range(len(waves))]
    content.append({"type": "text", "text": TEXTS[0]})
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    return theirs, processor(text=text, audio=waves, sampling_rate=16_000, return_tensors="pt")


def ask_ours(model: Model, waves: list[np.ndarray]):
    names = [f"{i}.wav" for i in range(len(waves))]
    return make_prompt(
        model, make_question(TEXTS[0], names), dict(zip(names, waves, strict=True)).__getitem__
    )


@pytest.mark.parametrize("seconds", [(4.0,), (3.337,), (2.0, 1.5)], ids=str)
def test_qwen2_audio_hears_and_speaks_as_we_do(audio_export, seconds):
    model, folder = audio_export
    waves = [make_wave(s, i) for i, s in enumerate(seconds)]
    theirs, asked = ask_theirs(folder, waves)
    prompt = ask_ours(model, waves)
    is_audio = np.asarray(prompt.frame) >= 0
    np.testing.assert_array_equal(
        asked["input_ids"][0].numpy()[~is_audio], np.asarray(prompt.tokens)[~is_audio]
    )
    assert (asked["input_ids"][0].numpy()[is_audio] == model.tokenizer.ids["<|AUDIO|>"]).all()
    with torch.no_grad():
        logits = theirs(**asked).logits[0].numpy()
    assert_equal(compute_prompt_logits(model, prompt), logits)
    said = theirs.generate(**asked, max_new_tokens=8, do_sample=False)[
        0, asked["input_ids"].shape[1] :
    ]
    decoding = dataclasses.replace(GREEDY, max_new_tokens=8)
    assert TextGenerator(model, rows=1).answer([prompt], decoding) == [
        model.tokenizer.decode(said.tolist()).strip()
    ]


def compute_prompt_logits(model: Model, prompt) -> np.ndarray:
    """Logits at every place of one prompt, (t, vocabulary)."""
    t = len(prompt.tokens)
    ones, place = np.ones((1, t), np.int32), np.arange(t)[None]
    slots = np.where(prompt.clip >= 0, prompt.clip * model.config.slots_per_clip + prompt.frame, -1)
    encoder = model.config.encoder
    mel = np.zeros((1, max(1, len(prompt.clips)), encoder.mel_frames, encoder.mel_bins), np.float32)
    frames = np.zeros(mel.shape[:2], np.int32)
    for a, wave in enumerate(prompt.clips):
        frames[0, a] = fill_log_mel(wave, mel[0, a])
    batch = {
        "token_bt": prompt.tokens[None],
        "slot_bt": slots[None],
        "mel_basf": mel,
        "frames_ba": frames,
    }
    batch |= {"group_bt": ones, "segment_bt": 0 * ones, "position_bt": place, "predict_bm": place}
    return np.asarray(
        jax.jit(compute_target_logits, static_argnums=0)(model.config, model.params, batch)
    )[0]


def test_qwen2_audio_has_the_published_names(audio_export):
    """vLLM's loader hands these prefixes to its encoder, projector and Qwen2ForCausalLM."""
    model, folder = audio_export
    keys = set(load_file(folder / "model.safetensors"))
    wanted = {
        "audio_tower.conv1.weight",
        "audio_tower.embed_positions.weight",
        "audio_tower.layer_norm.weight",
        "audio_tower.layers.2.self_attn.out_proj.bias",
        "multi_modal_projector.linear.weight",
        "multi_modal_projector.linear.bias",
        "language_model.model.embed_tokens.weight",
        "language_model.model.layers.0.mlp.gate_proj.weight",
        "language_model.model.norm.weight",
        "language_model.lm_head.weight",
    }
    assert wanted <= keys
    prefixes = (
        "audio_tower.",
        "multi_modal_projector.linear.",
        "language_model.model.",
        "language_model.lm_head.",
    )
    assert all(key.startswith(prefixes) for key in keys)
    described = json.loads((folder / "config.json").read_text())
    assert described["architectures"] == ["Qwen2AudioForConditionalGeneration"]
    assert described["audio_token_index"] == model.tokenizer.ids["<|AUDIO|>"]


def test_qwen2_audio_of_others_is_read(audio_export, tmp_path):
    """Their save_pretrained, in whatever names that version writes, comes back as our model."""
    model, folder = audio_export
    theirs = transformers.Qwen2AudioForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32
    ).eval()
    theirs.save_pretrained(tmp_path)
    config, params = load_folder(tmp_path)
    assert config.projector.pool == 2 and config.encoder == model.config.encoder
    again = Model(config=config, params=params, tokenizer=model.tokenizer, step=None)
    prompt = ask_ours(model, [make_wave(3.0)])
    assert_equal(compute_prompt_logits(again, prompt), compute_prompt_logits(model, prompt))
