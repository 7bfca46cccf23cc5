"""Our networks and files against the PyTorch classes of transformers, with random weights of small
sizes, at fp32.

torch model ─save_pretrained─► safetensors ─weights.load─► our params ─► the same hidden states and logits
our model ─weights.export─► folder ─AutoModelForCausalLM, AutoTokenizer─► the same logits, greedy tokens and prompts
"""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from sift_jax.decoding.generate import Prompt, lay_out_prompts, prepare, speak
from sift_jax.decoding.sampling import GREEDY
from sift_jax.exporting.export import export_model
from sift_jax.models.attention import AttentionMask
from sift_jax.models.decoder import compute_logits, embed_tokens
from sift_jax.models.layers import NO_LORA, LoraConfig
from sift_jax.models.presets import DECODERS, ENCODERS, PROJECTORS, read_decoder_preset
from sift_jax.models.speech_lm import SpeechLMConfig, init_params, make_decoder
from sift_jax.models.whisper_encoder import WhisperEncoder
from sift_jax.pretrained import Model
from sift_jax.text.chat import render_chat
from sift_jax.text.tokenizers import train_tokenizer
from sift_jax.weights.load import load_decoder, load_part

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from torch_models import assert_equal, shake  # noqa: E402 - needs torch

pytestmark = pytest.mark.parity

TEXTS = [
    "How fast does she speak?",
    "Rather slowly, I would say.",
    "Wie laut spricht er?\nSehr leise.",
]


def make_config(*, is_tied: bool = True) -> SpeechLMConfig:
    """Small, but with every size different from the others and no default where a default could
    hide an error."""
    decoder = dataclasses.replace(
        DECODERS["test"],
        vocab_size=320,
        width=48,
        heads=4,
        kv_heads=2,
        head_size=12,
        hidden=80,
        layers=3,
        rope_theta=3e4,
        norm_eps=3e-5,
        is_tied=is_tied,
    )
    encoder = dataclasses.replace(
        ENCODERS["test"], width=32, layers=3, heads=4, window_seconds=3.0, frame_mask="none"
    )
    return SpeechLMConfig(
        quantized=None,
        windows=1,
        encoder=encoder,
        projector=PROJECTORS["pooled"],
        decoder=decoder,
        cross=None,
        lora=NO_LORA,
        dtype="float32",
        remat="none",
        attention="plain",
        attention_block=512,
    )


def make_torch_decoder(config: SpeechLMConfig, seed: int = 0):
    c = config.decoder
    torch.manual_seed(seed)
    theirs = transformers.Qwen2ForCausalLM(
        transformers.Qwen2Config(
            vocab_size=c.vocab_size,
            hidden_size=c.width,
            intermediate_size=c.hidden,
            num_hidden_layers=c.layers,
            num_attention_heads=c.heads,
            num_key_value_heads=c.kv_heads,
            rms_norm_eps=c.norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": c.rope_theta},
            tie_word_embeddings=c.is_tied,
        )
    )
    return shake(theirs)


def compute_our_logits(config: SpeechLMConfig, params: dict, ids: np.ndarray) -> np.ndarray:
    rows, t = ids.shape
    position = jnp.broadcast_to(jnp.arange(t), (rows, t))
    mask = jnp.broadcast_to(jnp.tril(jnp.ones((t, t), bool)), (rows, t, t))
    x = embed_tokens(config.decoder, params, ids, jnp.float32)
    hidden = make_decoder(config).apply({"params": params}, x, position, AttentionMask.of(mask))
    return np.asarray(compute_logits(params, hidden))


def compute_their_logits(model, ids: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(ids)).logits.float().numpy()


@pytest.mark.parametrize("is_tied", [True, False])
def test_qwen2_logits(tmp_path, is_tied):
    config = make_config(is_tied=is_tied)
    theirs = make_torch_decoder(config)
    theirs.save_pretrained(tmp_path)
    params = unflatten_dict(load_decoder(tmp_path, config), sep="/")
    ids = np.random.default_rng(0).integers(0, config.decoder.vocab_size, (2, 33))
    assert_equal(compute_our_logits(config, params, ids), compute_their_logits(theirs, ids))


def test_the_text_of_a_gemma_that_sees(tmp_path):
    """Of a whole Gemma 3 the decoder is read, under its published names; its images are not."""
    text = {
        "vocab_size": 320,
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "sliding_window": 9,
        "layer_types": ["sliding_attention", "full_attention"],
    }
    sight = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "image_size": 28}
    whole = transformers.Gemma3Config(
        text_config=text,
        vision_config={**sight, "num_attention_heads": 2, "patch_size": 14},
        mm_tokens_per_image=1,
        image_token_index=319,
    )
    torch.manual_seed(0)
    theirs = shake(transformers.Gemma3ForConditionalGeneration(whole))
    theirs.save_pretrained(tmp_path)
    from safetensors.numpy import load_file

    keys = list(load_file(tmp_path / "model.safetensors"))
    assert any(key.startswith("language_model.model.layers.") for key in keys)
    config = make_config()
    config = dataclasses.replace(config, decoder=read_decoder_preset(tmp_path))
    params = unflatten_dict(load_decoder(tmp_path, config), sep="/")
    ids = np.random.default_rng(0).integers(0, 319, (2, 33))
    assert_equal(compute_our_logits(config, params, ids), compute_their_logits(theirs, ids))


def test_bfloat16_files_are_read_without_loss(tmp_path):
    config = make_config(is_tied=False)
    theirs = make_torch_decoder(config).to(torch.bfloat16)
    theirs.save_pretrained(tmp_path)
    ours = load_decoder(tmp_path, config)
    wanted = theirs.state_dict()["model.layers.2.self_attn.k_proj.weight"].float().numpy()
    np.testing.assert_array_equal(ours["blocks/k/kernel"][2].astype(np.float32), wanted.T)


def test_files_in_shards_are_joined(tmp_path):
    config = make_config()
    theirs = make_torch_decoder(config)
    theirs.save_pretrained(tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    params = unflatten_dict(load_decoder(tmp_path, config), sep="/")
    ids = np.arange(20)[None]
    assert_equal(compute_our_logits(config, params, ids), compute_their_logits(theirs, ids))


def make_whisper_config(config: SpeechLMConfig):
    c = config.encoder
    return transformers.WhisperConfig(
        d_model=c.width,
        encoder_layers=c.layers,
        encoder_attention_heads=c.heads,
        encoder_ffn_dim=4 * c.width,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=16,
        vocab_size=50,
        num_mel_bins=c.mel_bins,
        max_source_positions=c.mel_frames // 2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )


def encode_with_ours(config: SpeechLMConfig, flat: dict, mel_bsf: np.ndarray) -> np.ndarray:
    encoder = WhisperEncoder(config=config.encoder, dtype=jnp.dtype("float32"), remat="none")
    frames = jnp.full((len(mel_bsf),), config.encoder.mel_frames)
    return np.asarray(encoder.apply({"params": unflatten_dict(flat, sep="/")}, mel_bsf, frames))


def make_mel(config: SpeechLMConfig) -> np.ndarray:
    shape = (2, config.encoder.mel_frames, config.encoder.mel_bins)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_whisper_hidden_states(tmp_path):
    config = make_config()
    torch.manual_seed(0)
    theirs = shake(transformers.WhisperForConditionalGeneration(make_whisper_config(config)))
    theirs.save_pretrained(tmp_path)
    mel = make_mel(config)
    ours = encode_with_ours(config, load_part("encoder", tmp_path, config), mel)
    with torch.no_grad():
        wanted = theirs.model.encoder(
            torch.from_numpy(mel.transpose(0, 2, 1).copy())
        ).last_hidden_state.numpy()
    assert_equal(ours, wanted)


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def exported(request, tmp_path_factory):
    """A model whose adapters speak, and the folder of its export."""
    out = tmp_path_factory.mktemp("export")
    lora = LoraConfig(rank=4, alpha=8.0, targets=("q", "v", "down"))
    config = dataclasses.replace(make_config(is_tied=request.param), lora=lora)
    flat = flatten_dict(init_params(config, jax.random.key(0)), sep="/")
    rng = np.random.default_rng(0)
    flat = {
        path: np.asarray(x) + 0.1 * rng.normal(size=x.shape).astype(np.float32)
        for path, x in flat.items()
    }
    tokenizer = train_tokenizer(TEXTS, config.decoder.vocab_size, out / "trained")
    model = Model(config=config, params=unflatten_dict(flat, sep="/"), tokenizer=tokenizer, step=7)
    export_model(model, out / "export")
    return model, out / "export"


def test_exported_decoder_gives_the_same_logits(exported):
    model, folder = exported
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        folder / "decoder", dtype=torch.float32
    ).eval()
    ids = np.random.default_rng(1).integers(0, model.config.decoder.vocab_size, (2, 29))
    assert_equal(
        compute_our_logits(model.config, model.params["decoder"], ids),
        compute_their_logits(theirs, ids),
    )


def test_exported_decoder_speaks_the_same_tokens(exported):
    model, folder = exported
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        folder / "decoder", dtype=torch.float32
    ).eval()
    ids = np.random.default_rng(2).integers(6, model.config.decoder.vocab_size, (3, 17))
    new, stop_id = 12, theirs.generation_config.eos_token_id
    batch = lay_out_prompts([Prompt.of_text(row) for row in ids], model.config, tokens=ids.shape[1])
    decoding = dataclasses.replace(GREEDY, max_new_tokens=new)
    prepared = prepare(model.config, model.params, rows=len(ids))
    ours = speak(
        model.config, prepared, batch, jax.random.key(0), decoding=decoding, stop_ids=(stop_id,)
    )
    said = theirs.generate(
        torch.from_numpy(ids), attention_mask=torch.ones(ids.shape), max_new_tokens=new
    )
    said = said[:, ids.shape[1] :].numpy()
    is_live = np.cumsum(ours == stop_id, axis=1) == 0
    assert is_live.sum() > new, "the random model stops at once: this compares too little"
    ours, is_live = ours[:, : said.shape[1]], is_live[:, : said.shape[1]]
    np.testing.assert_array_equal(ours[is_live], said[is_live])


def test_exported_encoder_fits_whisper(exported):
    model, folder = exported
    described = json.loads((folder / "encoder" / "config.json").read_text())
    encoder = transformers.models.whisper.modeling_whisper.WhisperEncoder(
        transformers.WhisperConfig(**described)
    )
    from safetensors.torch import load_file

    tensors = load_file(folder / "encoder" / "model.safetensors")
    tensors = {key.removeprefix("model.encoder."): value for key, value in tensors.items()}
    missing, unknown = encoder.load_state_dict(tensors, strict=False)
    assert (missing, unknown) == (["embed_positions.weight"], [])
    mel = make_mel(model.config)
    ours = encode_with_ours(model.config, flatten_dict(model.params["encoder"], sep="/"), mel)
    with torch.no_grad():
        wanted = encoder.eval()(
            torch.from_numpy(mel.transpose(0, 2, 1).copy())
        ).last_hidden_state.numpy()
    assert_equal(ours, wanted)


def test_exported_chat_template_renders_as_we_do(exported):
    model, folder = exported
    theirs = transformers.AutoTokenizer.from_pretrained(folder / "decoder")
    chats = [
        [("user", TEXTS[0])],
        [("user", TEXTS[0]), ("assistant", TEXTS[1])],
        [
            ("system", "Be brief."),
            ("user", TEXTS[2]),
            ("assistant", "ça va … 12 345?"),
            ("user", "  And now?  "),
        ],
    ]
    for chat in chats:
        has_reply = chat[-1][0] == "assistant"
        ours = render_chat(
            [{"role": role, "content": [{"text": text}]} for role, text in chat],
            model.tokenizer,
            has_reply=has_reply,
        )
        plain = [{"role": role, "content": text} for role, text in chat]
        ids = theirs.apply_chat_template(
            plain, add_generation_prompt=not has_reply, return_dict=False
        )
        assert list(ids) == ours.tokens


def test_exported_chat_template_marks_audio(exported):
    model, folder = exported
    theirs = transformers.AutoTokenizer.from_pretrained(folder / "decoder")
    ours = [
        {
            "role": "user",
            "content": [{"text": "Compare: "}, {"audio_path": "a.wav"}, {"audio_path": "b.wav"}],
        }
    ]
    chat = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Compare: "},
                {"type": "audio"},
                {"type": "audio"},
            ],
        }
    ]
    ids = theirs.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    assert list(ids) == render_chat(ours, model.tokenizer, has_reply=False).tokens
    assert (theirs.eos_token, theirs.pad_token) == ("<|im_end|>", "<|endoftext|>")
