"""An export for transformers beside the model that it was made of: the same prompt, logits and
greedy tokens, by the code that the export brings along.

recordings, question ─make_prompt────────────────────────────► ids, logits, answers
                     └AutoProcessor ─► AutoModelForCausalLM ──► the same
"""

import dataclasses
import json

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from sift_jax.audio.whisper_mel import fill_log_mel
from sift_jax.decoding.sampling import GREEDY
from sift_jax.decoding.text_answers import TextGenerator, make_prompt
from sift_jax.exporting.export import SIFT, export_model
from sift_jax.models.decoder import GemmaStyle, LayerPattern
from sift_jax.models.layers import LoraConfig
from sift_jax.models.presets import DECODERS, ENCODERS, PROJECTORS
from sift_jax.models.projectors import ProjectorConfig
from sift_jax.models.speech_lm import SpeechLMConfig, compute_target_logits, init_params
from sift_jax.pretrained import Model
from sift_jax.text.chat import make_question
from sift_jax.text.tokenizers import SpeechTokenizer, train_tokenizer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from torch_models import assert_equal  # noqa: E402 - needs torch

pytestmark = pytest.mark.parity

QUESTION = "How fast does she speak?"
TEXTS = [QUESTION, "Rather slowly, I would say.", "Wie laut spricht er?\nSehr leise."]
NEW = dataclasses.replace(GREEDY, max_new_tokens=8)
# of the largest logit, in float32
BOUND = 1e-4


def make_projector(kind: str, frames: int) -> ProjectorConfig:
    width = 56 if kind == "stacked" else 0
    return dataclasses.replace(PROJECTORS[kind], kind=kind, frames=frames, width=width)


def make_config(projector=None, frame_mask="all", windows=1, **decoder) -> SpeechLMConfig:
    """Small, with every size different from the others."""
    sizes = {
        "vocab_size": 320,
        "width": 48,
        "heads": 4,
        "kv_heads": 2,
        "head_size": 12,
        "hidden": 80,
        "layers": 3,
        "is_tied": True,
        "has_qkv_bias": False,
        "rope_theta": 3e4,
        "norm_eps": 3e-5,
    }
    return SpeechLMConfig(
        encoder=dataclasses.replace(
            ENCODERS["test"],
            width=32,
            layers=3,
            heads=4,
            window_seconds=4.0,
            frame_mask=frame_mask,
        ),
        projector=projector or make_projector("stacked", 5),
        decoder=dataclasses.replace(DECODERS["test"], **{**sizes, **decoder}),
        cross=None,
        lora=LoraConfig(rank=4, alpha=6.0, targets=("q", "v", "down")),
        quantized=None,
        windows=windows,
        dtype="float32",
        remat="none",
        attention="plain",
        attention_block=512,
    )


def make_model(folder, config: SpeechLMConfig, template: str | None = None) -> Model:
    """A random model, every parameter away from where it starts, with a tokenizer of its own."""
    flat = flatten_dict(jax.jit(init_params, static_argnums=0)(config, jax.random.key(0)), sep="/")
    rng = np.random.default_rng(0)
    flat = {
        path: np.asarray(x) + 0.1 * rng.normal(size=x.shape).astype(np.float32)
        for path, x in flat.items()
    }
    tokenizer = train_tokenizer(TEXTS, config.decoder.vocab_size, folder / "trained")
    if template is not None:
        tokenizer.save(folder / "own")
        path = folder / "own" / "tokenizer_config.json"
        told = {**json.loads(path.read_text()), "chat_template": template}
        path.write_text(json.dumps(told))
        (folder / "own" / "chat_template.jinja").write_text(template)
        tokenizer = SpeechTokenizer(folder / "own")
    return Model(config=config, params=unflatten_dict(flat, sep="/"), tokenizer=tokenizer, step=7)


def make_wave(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * 16_000)) / 16_000
    tone = 0.3 * np.sin(2 * np.pi * 200 * t * (1 + t))
    return (tone + 0.01 * rng.normal(size=t.shape)).astype(np.float32)


def ask_ours(model: Model, waves: list[np.ndarray]):
    names = [f"{i}.wav" for i in range(len(waves))]
    read = dict(zip(names, waves, strict=True)).__getitem__
    return make_prompt(model, make_question(QUESTION, names), read)


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
    run = jax.jit(compute_target_logits, static_argnums=0)
    return np.asarray(run(model.config, model.params, batch))[0]


def export(model: Model, folder):
    """(their model, their processor)."""
    export_model(model, folder, dataclasses.replace(SIFT, format="transformers"))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        folder, trust_remote_code=True, dtype=torch.float32
    ).eval()
    processor = transformers.AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    assert type(theirs).__name__ == "SiftForCausalLM"
    assert type(processor).__name__ == "SiftProcessor"
    return theirs, processor


def ask_theirs(processor, conversations: list[list[np.ndarray]]):
    """A question about each list of recordings, as one batch."""
    messages = []
    for waves in conversations:
        content = [{"type": "audio", "audio": wave} for wave in waves]
        content.append({"type": "text", "text": QUESTION})
        messages.append([{"role": "user", "content": content}])
    return processor.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True
    )


def assert_answers_as(theirs, processor, model: Model, conversations) -> None:
    """The same prompts, logits and greedy tokens, in one batch that is padded on the left."""
    prompts = [ask_ours(model, waves) for waves in conversations]
    asked = ask_theirs(processor, conversations)
    with torch.no_grad():
        logits = theirs(**asked).logits.numpy()
    for row, prompt in enumerate(prompts):
        t = len(prompt.tokens)
        np.testing.assert_array_equal(asked["input_ids"][row, -t:].numpy(), prompt.tokens)
        assert asked["attention_mask"][row].sum() == t
        assert_equal(compute_prompt_logits(model, prompt), logits[row, -t:], BOUND)
    said = theirs.generate(**asked, max_new_tokens=8)[:, asked["input_ids"].shape[1] :]
    answers = TextGenerator(model, rows=len(prompts)).answer(prompts, NEW)
    assert answers == [
        model.tokenizer.decode(row).strip()
        for row in cut_answers(said.tolist(), model.tokenizer.stop_ids)
    ]
    assert any(answers), "the random model says nothing: this compares too little"


def cut_answers(rows: list[list[int]], stop_ids) -> list[list[int]]:
    ends = [next((i for i, x in enumerate(row) if x in stop_ids), len(row)) for row in rows]
    return [row[:end] for row, end in zip(rows, ends, strict=True)]


@pytest.fixture(scope="module", autouse=True)
def code_apart(tmp_path_factory):
    """transformers copies an export's code before it runs it; not into a home."""
    patch = pytest.MonkeyPatch()
    place = str(tmp_path_factory.mktemp("modules"))
    patch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", place)
    patch.syspath_prepend(place)
    yield
    patch.undo()


@pytest.mark.parametrize(
    "kind,frames,frame_mask",
    [
        ("stacked", 5, "all"),
        ("stacked", 5, "none"),
        ("linear", 1, "attention"),
        ("pooled", 3, "all"),
        ("pooled", 3, "none"),
    ],
)
def test_recordings_of_two_lengths_in_a_batch(tmp_path, kind, frames, frame_mask):
    model = make_model(tmp_path, make_config(make_projector(kind, frames), frame_mask))
    theirs, processor = export(model, tmp_path / "out")
    assert_answers_as(theirs, processor, model, [[make_wave(3.337)], [make_wave(1.2, 1)]])


# a template for texts, as most decoders bring one along: it knows no recordings
PLAIN = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] | trim + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def test_two_recordings_a_prompt_and_one_of_several_windows(tmp_path):
    """In a template for texts, beside a question about nothing."""
    model = make_model(tmp_path, make_config(windows=3), PLAIN)
    theirs, processor = export(model, tmp_path / "out")
    waves = [make_wave(s, i) for i, s in enumerate((9.3, 0.7, 2.05))]
    assert_answers_as(theirs, processor, model, [waves[:2], [], waves[2:]])
    # each row is repeated with its own recordings, and without a cache they are heard again
    asked = ask_theirs(processor, [waves[:2], waves[2:]])
    options = {"max_new_tokens": 6, "eos_token_id": None}
    said = theirs.generate(**asked, **options)
    uncached = theirs.generate(**asked, use_cache=False, **options)
    assert torch.equal(said, uncached)
    likeliest = {"do_sample": True, "top_k": 1, "num_return_sequences": 2}
    drawn = theirs.generate(**asked, **likeliest, **options)
    assert torch.equal(drawn, said.repeat_interleave(2, dim=0))


LOCAL = LayerPattern(every=2, window=9, rope_theta=2e2, is_odd_rotated=True)
DECODER_FIELDS = {
    "Qwen2ForCausalLM": {"has_qkv_bias": True, "is_tied": False},
    "Gemma3ForCausalLM": {
        "has_qk_norm": True,
        "head_size": 16,
        "pattern": LOCAL,
        "gemma": GemmaStyle(query_size=13),
    },
}


@pytest.mark.parametrize("name", DECODER_FIELDS)
def test_any_decoder(tmp_path, name):
    model = make_model(tmp_path, make_config(**DECODER_FIELDS[name]))
    theirs, processor = export(model, tmp_path / "out")
    assert type(theirs.decoder).__name__ == name
    assert_answers_as(theirs, processor, model, [[make_wave(3.337)]])


@pytest.mark.parametrize("name", DECODER_FIELDS)
def test_soft_tokens(tmp_path, name):
    """Means of the decoder's embeddings, which Gemma scales."""
    projector = dataclasses.replace(make_projector("stacked", 5), soft_tokens=True)
    model = make_model(tmp_path, make_config(projector, **DECODER_FIELDS[name]))
    theirs, processor = export(model, tmp_path / "out")
    assert_answers_as(theirs, processor, model, [[make_wave(3.337)]])


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refusals")
    return export(make_model(folder, make_config()), folder / "out")


def test_what_they_save_is_read_again(exported, tmp_path):
    theirs, processor = exported
    theirs.save_pretrained(tmp_path / "saved")
    processor.save_pretrained(tmp_path / "saved")
    again = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "saved", trust_remote_code=True
    ).eval()
    asked = ask_theirs(
        transformers.AutoProcessor.from_pretrained(tmp_path / "saved", trust_remote_code=True),
        [[make_wave(2.0)]],
    )
    with torch.no_grad():
        assert torch.equal(again(**asked).logits, theirs(**asked).logits)
        half = transformers.AutoModelForCausalLM.from_pretrained(
            tmp_path / "saved", trust_remote_code=True, dtype=torch.bfloat16
        ).eval()
        assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
        assert_equal(theirs(**asked).logits.numpy(), half(**asked).logits.float().numpy(), 0.1)


AUDIO = "<|AUDIO|>"
WAVE = make_wave(1.0)
REFUSED = [
    ({"audio": WAVE}, "recording 1 is at an unknown rate, .* give sampling_rate=16000"),
    ({"audio": WAVE, "sampling_rate": 8_000}, "recording 1 is at 8000, the model hears 16000"),
    ({"audio": make_wave(4.5), "sampling_rate": 16_000}, "has 4.5 s, the model hears 4 s at most"),
    ({"audio": [WAVE, WAVE], "sampling_rate": 16_000}, r"1 times <\|AUDIO\|>, .* 2 recordings"),
    ({}, r"1 times <\|AUDIO\|>, and there are 0 recordings"),
    ({"audio": np.stack([WAVE, WAVE]), "sampling_rate": 16_000}, "give floats in −1 … 1 of one"),
    ({"audio": WAVE[:0], "sampling_rate": 16_000}, r"float32 of shape \(0,\); give floats"),
    ({"audio": WAVE, "sampling_rate": 16_000, "images": [0]}, "leave images out"),
    ({"text": []}, "no text to answer"),
]


@pytest.mark.parametrize("given,message", REFUSED, ids=[message for _, message in REFUSED])
def test_the_processor_refuses(exported, given, message):
    with pytest.raises(ValueError, match=message):
        exported[1](**{"text": AUDIO, **given})


def test_the_model_refuses_recordings_without_their_places(exported):
    theirs, processor = exported
    asked = processor(text=AUDIO, audio=WAVE, sampling_rate=16_000)
    with pytest.raises(ValueError, match="row 0 has 9 audio tokens, .* take 10 positions; make"):
        theirs(**{**asked, "input_ids": asked["input_ids"][:, 1:], "attention_mask": None})
    with pytest.raises(ValueError, match="recordings come with input_ids"):
        theirs(input_ids=asked["input_ids"], input_features=asked["input_features"])
