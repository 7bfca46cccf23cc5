"""Files of other programs become folders of ours: the same numbers, the same ids, and nothing of
them is run."""

import dataclasses
import json
import struct

import numpy as np
import pytest
from foreign_files import (
    step_dict,
    step_name,
    step_tensor,
    step_text,
    step_tuple,
    write_ctranslate2,
    write_gguf,
    write_openai,
    write_torch,
)
from safetensors.numpy import load_file
from tiny_model import make_config, make_params

from sift_jax.exporting.export import SIFT, export_model
from sift_jax.import_weights import main
from sift_jax.models.hf_config import read_decoder_preset, read_encoder_preset
from sift_jax.models.layers import RopeScaling, make_sinusoids
from sift_jax.pretrained import Model
from sift_jax.text.tokenizers import SpeechTokenizer
from sift_jax.weights.foreign.convert import import_weights
from sift_jax.weights.foreign.gguf_blocks import PACKINGS, unpack
from sift_jax.weights.foreign.torch_file import read_torch_file
from sift_jax.weights.load import load_part

BY_NAME = {packing.name: packing for packing in PACKINGS.values()}


def half(number):
    return struct.pack("<e", number)


# ---- blocks: the numbers are worked out by hand


def test_blocks_of_four_and_five_bits():
    nibbles = bytes([0x9C, 0x08] + [0x88] * 14)
    found = unpack(BY_NAME["Q4_0"], np.frombuffer(half(0.5) + nibbles, np.uint8))
    # .5 (12 − 8), .5 (8 − 8) … and from the sixteenth on the high halves: .5 (9 − 8), .5 (0 − 8)
    assert found[:3].tolist() == [2.0, 0.0, 0.0] and found[16:19].tolist() == [0.5, -4.0, 0.0]
    found = unpack(BY_NAME["Q4_1"], np.frombuffer(half(0.5) + half(-1) + nibbles, np.uint8))
    assert found[:3].tolist() == [5.0, 3.0, 3.0] and found[16:19].tolist() == [3.5, -1.0, 3.0]
    # the fifth bits of numbers 0, 17 and 31
    fifth = struct.pack("<I", 1 | 1 << 17 | 1 << 31)
    found = unpack(BY_NAME["Q5_0"], np.frombuffer(half(0.5) + fifth + nibbles, np.uint8))
    assert found[:2].tolist() == [6.0, -4.0] and found[[16, 17, 31]].tolist() == [-3.5, 0.0, 4.0]
    found = unpack(BY_NAME["Q5_1"], np.frombuffer(half(0.5) + half(-1) + fifth + nibbles, np.uint8))
    assert found[:2].tolist() == [13.0, 3.0] and found[[16, 17, 31]].tolist() == [3.5, 7.0, 11.0]


def test_blocks_of_eight_bits_and_of_none():
    found = unpack(
        BY_NAME["Q8_0"], np.frombuffer(half(0.25) + bytes([1, 0xFF, 0x80] + [0] * 29), np.uint8)
    )
    assert found[:4].tolist() == [0.25, -0.25, -32.0, 0.0] and len(found) == 32
    for name, raw in {"F16": half(1.5), "F32": struct.pack("<f", 1.5), "BF16": b"\xc0\x3f"}.items():
        assert unpack(BY_NAME[name], np.frombuffer(raw, np.uint8)).tolist() == [1.5], name


# scales 0 … 7: 1, 2, 3, 63, 5, 18, 7, 63; minima 0 … 7: 4, 0, 0, 0, 0, 0, 20, 63
#   byte 0: 1 | (5 >> 4) << 6 = 1      byte 1: 2 | (18 >> 4) << 6 = 66     byte 3: 63 | (63 >> 4) << 6 = 255
#   byte 4: 4                          byte 6: 0 | (20 >> 4) << 6 = 64     byte 7: 0 | (63 >> 4) << 6 = 192
#   byte 8: 5                          byte 9: 18 & 15 = 2                 byte 10: 7 | (20 & 15) << 4 = 71
SCALES = bytes([1, 66, 3, 255, 4, 0, 64, 192, 5, 2, 71, 255])


def test_blocks_of_256_with_scales_of_six_bits():
    # run r is the low (r even) or high halves of 32 bytes: each run's first number is r + 1, the
    # others are 0
    numbers = b"".join(bytes([r + 1 | r + 2 << 4] + [0] * 31) for r in range(0, 8, 2))
    found = unpack(
        BY_NAME["Q4_K"], np.frombuffer(half(0.5) + half(2) + SCALES + numbers, np.uint8)
    ).reshape(8, 32)
    assert found[:, 0].tolist() == [0.5 - 8, 2, 4.5, 126, 12.5, 54, 24.5 - 40, 252 - 126]
    assert found[:, 31].tolist() == [-8, 0, 0, 0, 0, 0, -40, -126]
    # of number 0 the fifth bits of runs 0 and 5, of number 31 that of run 7
    fifth = bytes([1 << 0 | 1 << 5] + [0] * 30 + [1 << 7])
    raw = half(0.5) + half(2) + SCALES + fifth + numbers
    found = unpack(BY_NAME["Q5_K"], np.frombuffer(raw, np.uint8)).reshape(8, 32)
    assert found[:, 0].tolist() == [8.5 - 8, 2, 4.5, 126, 12.5, 54 + 144, 24.5 - 40, 252 - 126]
    assert found[7, 31] == 0.5 * 63 * 16 - 126


def test_blocks_of_six_bits():
    low = bytearray(128)
    high = bytearray(64)
    low[0] = 0x21  # numbers 0 and 64: 1 and 2
    low[32] = 0x43  # numbers 32 and 96: 3 and 4
    low[64] = 0x0F  # number 128: 15
    high[0] = 0b11_10_01_00  # of numbers 0, 32, 64, 96
    high[32] = 0b11  # of number 128
    scales = bytes([2, 0, 0xFF, 0, 1, 0, 3, 0, 127] + [0] * 7)
    found = unpack(
        BY_NAME["Q6_K"], np.frombuffer(bytes(low) + bytes(high) + scales + half(0.5), np.uint8)
    )
    expected = [1 - 32, -0.5 * (19 - 32), 0.5 * (34 - 32), 1.5 * (52 - 32), 63.5 * (63 - 32)]
    assert found[[0, 32, 64, 96, 128]].tolist() == expected
    assert found[1] == -32 and found[16] == 0


# ---- GGUF

THEIRS = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


TEMPLATE = "{% for m in messages %}{{ m['content'] + eos_token }}{% endfor %}"


def make_decoder(kind, *, is_tied=True):
    config = make_config()
    decoder = dataclasses.replace(config.decoder, is_tied=is_tied, norm_eps=1e-5)
    if kind == "llama":
        decoder = dataclasses.replace(decoder, has_qkv_bias=False)
    return dataclasses.replace(config, decoder=decoder)


def name_gguf(key):
    for ours, theirs in THEIRS.items():
        key = key.replace(ours, theirs)
    return key.replace("model.layers.", "blk.")


def interleave(value, heads):
    """Rows 0 1 2 3 of a head of four: 0 2 1 3."""
    return value.reshape(heads, 2, -1, value.shape[-1]).swapaxes(1, 2).reshape(value.shape)


def describe(decoder, kind, tokenizer_json):
    """The keys of a GGUF of this decoder, with the tokenizer's words and two that only fill up."""
    vocabulary = tokenizer_json["model"]["vocab"]
    special = {token["content"] for token in tokenizer_json["added_tokens"]}
    tokens = sorted(vocabulary, key=vocabulary.get)
    fillers = [f"[PAD{i}]" for i in range(len(tokens), decoder.vocab_size)]
    kinds = [3 if token in special else 1 for token in tokens] + [5] * len(fillers)
    sizes = {
        "block_count": decoder.layers,
        "context_length": decoder.max_positions,
        "embedding_length": decoder.width,
        "feed_forward_length": decoder.hidden,
        "attention.head_count": decoder.heads,
        "attention.head_count_kv": decoder.kv_heads,
        "attention.layer_norm_rms_epsilon": decoder.norm_eps,
        "rope.freq_base": decoder.rope_theta,
        "rope.dimension_count": decoder.head_size,
    }
    words = {
        "model": "gpt2",
        "pre": "gpt-2",
        "tokens": tokens + fillers,
        "token_type": kinds,
        "merges": [" ".join(pair) for pair in tokenizer_json["model"]["merges"]],
        "eos_token_id": vocabulary["<|im_end|>"],
    }
    return {
        "general.architecture": kind,
        **{f"{kind}.{name}": value for name, value in sizes.items()},
        **{f"tokenizer.ggml.{name}": value for name, value in words.items()},
        "tokenizer.chat_template": TEMPLATE,
    }


@pytest.fixture(scope="module")
def words(corpus):
    return json.loads((corpus.tokenizer / "tokenizer.json").read_text())


def publish(folder, kind, tokenizer, **changes):
    """(the config, the tensors of a folder in the Hugging Face layout)."""
    config = make_decoder(kind, **changes)
    model = Model(config=config, params=make_params(config), tokenizer=tokenizer, step=0)
    export_model(model, folder, dataclasses.replace(SIFT, format="merged"))
    return config, load_file(folder / "model.safetensors")


def to_gguf(path, config, kind, tensors, words, packing="F32", more=None, facts=None):
    decoder = config.decoder
    heads = {"q_proj.weight": decoder.heads, "k_proj.weight": decoder.kv_heads}
    found = {}
    for key, value in tensors.items():
        count = next((n for ending, n in heads.items() if key.endswith(ending)), None)
        value = interleave(value, count) if count and kind == "llama" else value
        found[name_gguf(key)] = (value, packing if value.ndim == 2 else "F32")
    return write_gguf(
        path, {**describe(decoder, kind, words), **(facts or {})}, {**found, **(more or {})}
    )


@pytest.mark.parametrize("kind, is_tied", [("llama", True), ("qwen2", False)])
def test_a_gguf_becomes_the_folder_that_it_was_made_of(kind, is_tied, tokenizer, words, tmp_path):
    config, tensors = publish(tmp_path / "hf", kind, tokenizer, is_tied=is_tied)
    path = to_gguf(tmp_path / "model.gguf", config, kind, tensors, words)
    main_with(["--from", str(path), "--out", str(tmp_path / "out"), "--dtype", "float32"])
    again = load_file(tmp_path / "out" / "model.safetensors")
    assert again.keys() == tensors.keys()
    for key, value in tensors.items():
        np.testing.assert_array_equal(again[key], value, err_msg=key)
    assert read_decoder_preset(tmp_path / "out") == config.decoder, (
        "1e-05 is 1e-05, not float32's neighbour"
    )
    loaded = load_part("decoder", tmp_path / "out", config)
    assert loaded["embedding"].shape[0] == config.decoder.vocab_size
    own = SpeechTokenizer(tmp_path / "out")
    for text in ("How loud is it? It's 12 dB.", "  two  blanks", "<|im_end|>"):
        assert own.encode(text) == tokenizer.encode(text), text
    # words that only fill up are rows without a token
    assert own.first_free_id == tokenizer.first_free_id < config.decoder.vocab_size
    assert own.turn_end_id == tokenizer.turn_end_id and own.template.source == TEMPLATE


def main_with(arguments):
    import sys

    old, sys.argv = sys.argv, ["import_weights", *arguments]
    try:
        main()
    finally:
        sys.argv = old


def test_a_packed_gguf_is_near_and_a_head_that_was_one_is_one(tokenizer, words, tmp_path):
    config, tensors = publish(tmp_path / "hf", "qwen2", tokenizer)
    head = {"output.weight": (tensors["model.embed_tokens.weight"], "F32")}
    path = to_gguf(tmp_path / "m.gguf", config, "qwen2", tensors, words, packing="Q8_0", more=head)
    said = import_weights(path, tmp_path / "out", dtype="float16")
    assert "unpacked from F32, Q8_0" in said
    again = load_file(tmp_path / "out" / "model.safetensors")
    assert read_decoder_preset(tmp_path / "out").is_tied and "lm_head.weight" not in again
    # of the two tables the finer
    exact = tensors["model.embed_tokens.weight"].astype(np.float16)
    np.testing.assert_array_equal(again["model.embed_tokens.weight"], exact)
    for key, value in tensors.items():
        np.testing.assert_allclose(again[key], value, atol=0.01 * np.abs(value).max(), err_msg=key)


def test_llama_3s_stretch_is_found_in_its_frequencies(tokenizer, words, tmp_path):
    config, tensors = publish(tmp_path / "hf", "llama", tokenizer)
    scaling = RopeScaling(factor=8.0, low_frequency=1.0, high_frequency=4.0, positions=8192)
    half_size = config.decoder.head_size // 2
    inverse = np.float32(5e5) ** (-np.arange(half_size, dtype=np.float32) / half_size)
    slowed = inverse / np.asarray(scaling.stretch(inverse))
    decoder = dataclasses.replace(config.decoder, rope_theta=5e5, rope_scaling=scaling)
    config = dataclasses.replace(config, decoder=decoder)
    more = {"rope_freqs.weight": (slowed, "F32")}
    path = to_gguf(tmp_path / "m.gguf", config, "llama", tensors, words, more=more)
    import_weights(path, tmp_path / "out", dtype="float32")
    assert read_decoder_preset(tmp_path / "out") == decoder
    more = {"rope_freqs.weight": (slowed[::-1].copy(), "F32")}
    path = to_gguf(tmp_path / "other.gguf", config, "llama", tensors, words, more=more)
    with pytest.raises(ValueError, match="rope_freqs.weight is not Llama 3's stretch"):
        import_weights(path, tmp_path / "other", dtype="float32")


def test_what_a_gguf_may_not_be(tokenizer, words, tmp_path):
    config, tensors = publish(tmp_path / "hf", "llama", tokenizer)
    whole = to_gguf(tmp_path / "m.gguf", config, "llama", tensors, words).read_bytes()
    for name, raw, said in (
        ("cut", whole[:-4000], "and its tensors end at .*; download it again"),
        ("torn", whole[:300], "is a torn GGUF; download it again"),
        ("old", whole[:4] + b"\1" + whole[5:], "is a GGUF of version 1, and 2 and 3 are read"),
    ):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(ValueError, match=said):
            import_weights(tmp_path / name, tmp_path / "out", dtype="float32")
    strange = {"general.architecture": "rwkv"}
    path = to_gguf(tmp_path / "s.gguf", config, "llama", tensors, words, facts=strange)
    with pytest.raises(
        ValueError, match="holds a rwkv; decoders are read from GGUFs of llama and qwen2"
    ):
        import_weights(path, tmp_path / "out", dtype="float32")
    path = to_gguf(
        tmp_path / "p.gguf", config, "llama", tensors, words, facts={"tokenizer.ggml.pre": "viking"}
    )
    with pytest.raises(ValueError, match="splits text by 'viking'; .* --tokenizer=FOLDER"):
        import_weights(path, tmp_path / "out", dtype="float32")
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.part").exists()
    import_weights(path, tmp_path / "out", dtype="float32", tokenizer=str(tmp_path / "hf"))
    assert SpeechTokenizer(tmp_path / "out").encode("loud") == tokenizer.encode("loud")
    with pytest.raises(ValueError, match="out exists already; choose another --out"):
        import_weights(path, tmp_path / "out", dtype="float32")


def test_sentencepieces_merges_follow_from_its_scores(tokenizer, words, tmp_path):
    config, tensors = publish(tmp_path / "hf", "llama", tokenizer)
    pieces = [("<unk>", 2, 0.0), ("<s>", 3, 0.0), ("</s>", 3, 0.0)]
    pieces += [(f"<0x{i:02X}>", 6, 0.0) for i in range(256)]
    # ab is made before bc, and ▁ab of ▁ and ab
    made = [
        ("ab", -1.0),
        ("bc", -2.0),
        ("\u2581ab", -3.0),
        ("\u2581", -4.0),
        ("a", -5.0),
        ("b", -6.0),
        ("c", -7.0),
    ]
    pieces += [(token, 1, score) for token, score in made]
    pieces += [(f"[PAD{i}]", 5, 0.0) for i in range(len(pieces), config.decoder.vocab_size)]
    tokens, kinds, scores = (list(x) for x in zip(*pieces, strict=True))
    facts = {
        "model": "llama",
        "tokens": tokens,
        "token_type": kinds,
        "scores": scores,
        "eos_token_id": 2,
    }
    facts = {f"tokenizer.ggml.{name}": value for name, value in facts.items()}
    path = to_gguf(tmp_path / "m.gguf", config, "llama", tensors, words, facts=facts)
    import_weights(path, tmp_path / "out", dtype="float32")
    own = SpeechTokenizer(tmp_path / "out")
    # abc is ▁ab c, not ▁ a bc; é is its two bytes
    expected = [tokens.index(x) for x in ("\u2581ab", "c", "\u2581", "b", "<0xC3>", "<0xA9>")]
    assert own.encode("abc bé") == expected and own.decode(expected) == "abc bé"
    assert own.turn_end_id == 2


# ---- Whisper


def make_whisper(seed=0):
    """Hugging Face's names of a Whisper of one layer each, 64 wide."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float16).astype(np.float32)

    found = {
        "model.decoder.embed_tokens.weight": draw(70, 64),
        "model.decoder.embed_positions.weight": draw(16, 64),
    }
    found["model.encoder.embed_positions.weight"] = np.asarray(make_sinusoids(1500, 64)).astype(
        np.float16
    )
    found["model.encoder.embed_positions.weight"] = found[
        "model.encoder.embed_positions.weight"
    ].astype(np.float32)

    def linear(name, *shape, has_bias=True):
        found[f"{name}.weight"] = draw(*shape)
        if has_bias:
            found[f"{name}.bias"] = draw(shape[0])

    linear("model.encoder.conv1", 64, 80, 3)
    linear("model.encoder.conv2", 64, 64, 3)
    for part in ("encoder", "decoder"):
        layer = f"model.{part}.layers.0"
        for attention in ("self_attn", "encoder_attn")[: 1 if part == "encoder" else 2]:
            for x in "qkv":
                linear(f"{layer}.{attention}.{x}_proj", 64, 64, has_bias=x != "k")
            linear(f"{layer}.{attention}.out_proj", 64, 64)
            linear(f"{layer}.{attention}_layer_norm", 64)
        linear(f"{layer}.fc1", 256, 64)
        linear(f"{layer}.fc2", 64, 256)
        linear(f"{layer}.final_layer_norm", 64)
        linear(f"model.{part}.layer_norm", 64)
    return found


def to_ctranslate2(tensors, how):
    """CTranslate2's variables, whole numbers with scales where `how` says so."""
    found = {}

    def put(name, value):
        if name.endswith("/weight") and how == "int8":
            axis = (1, 2) if value.ndim == 3 else 1
            scale = 127 / np.abs(value).max(axis)
            found[name] = np.rint(value * scale.reshape(-1, *(1,) * (value.ndim - 1))).astype(
                np.int8
            )
            found[f"{name}_scale"] = scale.astype(np.float32)
        elif name.endswith("/weight") and how == "int16":
            scale = np.float32(2**10 / np.abs(value).max())
            found[name], found[f"{name}_scale"] = (
                np.rint(value * scale).astype(np.int16),
                np.array(scale),
            )
        else:
            found[name] = value.astype("<f2" if how == "float16" else "<f4")

    def linear(theirs, ours):
        for name in ("weight", "bias"):
            put(f"{theirs}/{name}", tensors[f"{ours}.{name}"])

    def norm(theirs, ours):
        put(f"{theirs}/gamma", tensors[f"{ours}.weight"])
        put(f"{theirs}/beta", tensors[f"{ours}.bias"])

    def fused(theirs, ours, parts):
        put(f"{theirs}/weight", np.concatenate([tensors[f"{ours}.{x}_proj.weight"] for x in parts]))
        zeros = np.zeros(64, np.float32)
        put(
            f"{theirs}/bias",
            np.concatenate([tensors.get(f"{ours}.{x}_proj.bias", zeros) for x in parts]),
        )

    linear("encoder/conv1", "model.encoder.conv1")
    linear("encoder/conv2", "model.encoder.conv2")
    put("decoder/embeddings/weight", tensors["model.decoder.embed_tokens.weight"])
    for part in ("encoder", "decoder"):
        put(f"{part}/position_encodings/encodings", tensors[f"model.{part}.embed_positions.weight"])
        norm(f"{part}/layer_norm", f"model.{part}.layer_norm")
        theirs, ours = f"{part}/layer_0", f"model.{part}.layers.0"
        norm(f"{theirs}/self_attention/layer_norm", f"{ours}.self_attn_layer_norm")
        fused(f"{theirs}/self_attention/linear_0", f"{ours}.self_attn", "qkv")
        linear(f"{theirs}/self_attention/linear_1", f"{ours}.self_attn.out_proj")
        norm(f"{theirs}/ffn/layer_norm", f"{ours}.final_layer_norm")
        linear(f"{theirs}/ffn/linear_0", f"{ours}.fc1")
        linear(f"{theirs}/ffn/linear_1", f"{ours}.fc2")
    theirs, ours = "decoder/layer_0/attention", "model.decoder.layers.0.encoder_attn"
    norm(f"{theirs}/layer_norm", f"{ours}_layer_norm")
    linear(f"{theirs}/linear_0", f"{ours}.q_proj")
    fused(f"{theirs}/linear_1", ours, "kv")
    linear(f"{theirs}/linear_2", f"{ours}.out_proj")
    return found


def assert_is_whisper(folder, tensors, tolerance):
    again = load_file(folder / "model.safetensors")
    assert again.keys() == tensors.keys()
    for key, value in tensors.items():
        bound = 0 if value.ndim == 1 or "positions" in key else tolerance * np.abs(value).max()
        np.testing.assert_allclose(again[key], value, rtol=0, atol=bound, err_msg=key)
    preset = read_encoder_preset(folder)
    assert (preset.width, preset.layers, preset.heads, preset.mel_bins, preset.window_seconds) == (
        64,
        1,
        1,
        80,
        30.0,
    )
    config = dataclasses.replace(make_config(), encoder=preset)
    assert load_part("encoder", folder, config)["conv1/kernel"].shape == (3, 80, 64)


@pytest.mark.parametrize(
    "how, tolerance", [("float32", 0), ("float16", 0), ("int8", 0.005), ("int16", 0.001)]
)
def test_ctranslate2s_whisper(how, tolerance, tmp_path):
    tensors = make_whisper()
    (tmp_path / "ct2").mkdir()
    aliases = [("decoder/projection/weight", "decoder/embeddings/weight")]
    path = write_ctranslate2(tmp_path / "ct2" / "model.bin", to_ctranslate2(tensors, how), aliases)
    (tmp_path / "ct2" / "tokenizer.json").write_text("{}")
    (tmp_path / "ct2" / "config.json").write_text('{"alignment_heads": [[0, 0]], "lang_ids": []}')
    (tmp_path / "ct2" / "generation_config.json").write_text('{"is_multilingual": true}')
    said = import_weights(tmp_path / "ct2", tmp_path / "out", dtype="float32")
    assert "a Whisper of 1 and 1 layers" in said and (tmp_path / "out" / "tokenizer.json").is_file()
    assert json.loads((tmp_path / "out" / "config.json").read_text())["alignment_heads"] == [[0, 0]]
    assert (tmp_path / "out" / "generation_config.json").read_text() == '{"is_multilingual": true}'
    assert_is_whisper(tmp_path / "out", tensors, tolerance)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="model.bin is torn; download it again"):
        import_weights(path, tmp_path / "torn", dtype="float32")


def test_what_is_no_whisper_of_ctranslate2s(tmp_path):
    path = write_ctranslate2(tmp_path / "model.bin", {}, name="TransformerSpec")
    with pytest.raises(
        ValueError, match="holds a TransformerSpec; of CTranslate2's models Whispers alone are read"
    ):
        import_weights(path, tmp_path / "out", dtype="float32")
    (tmp_path / "text").write_text("neither of them")
    with pytest.raises(
        ValueError, match="is neither a GGUF nor OpenAI's .pt nor a model.bin of CTranslate2"
    ):
        import_weights(tmp_path / "text", tmp_path / "out", dtype="float32")


OPENAI = (
    ("model.", ""),
    ("layers.0", "blocks.0"),
    ("embed_positions.weight", "positional_embedding"),
    ("embed_tokens", "token_embedding"),
    ("self_attn_layer_norm", "attn_ln"),
    ("final_layer_norm", "mlp_ln"),
    ("encoder_attn_layer_norm", "cross_attn_ln"),
    ("encoder.layer_norm", "encoder.ln_post"),
    ("decoder.layer_norm", "decoder.ln"),
    ("encoder_attn", "cross_attn"),
    ("self_attn", "attn"),
    ("q_proj", "query"),
    ("k_proj", "key"),
    ("v_proj", "value"),
    ("out_proj", "out"),
    ("fc1", "mlp.0"),
    ("fc2", "mlp.2"),
)


def name_openai(key):
    for ours, theirs in OPENAI:
        key = key.replace(ours, theirs)
    return key


def test_openais_whisper(tmp_path):
    tensors = make_whisper()
    held = {name_openai(key): value.astype("<f2") for key, value in tensors.items()}
    assert {
        "decoder.blocks.0.cross_attn.key.weight",
        "encoder.ln_post.bias",
        "encoder.blocks.0.mlp.0.bias",
    } < set(held)
    path = write_openai(tmp_path / "base.pt", held)
    import_weights(path, tmp_path / "out", dtype="float32")
    assert_is_whisper(tmp_path / "out", tensors, 0)


def test_a_pt_is_read_by_its_strides_and_runs_nothing(tmp_path):
    rows = np.arange(6, dtype="<f4").reshape(3, 2)
    path = write_torch(tmp_path / "x.pt", step_dict({"x": step_tensor("0", rows.T)}), {"0": rows})
    np.testing.assert_array_equal(read_torch_file(path)["x"], rows.T)
    # a program that would write a file, were it run
    written = tmp_path / "written"
    harm = step_name("os", "system") + step_tuple(step_text(f"touch {written}")) + b"R"
    for program, said in (
        (harm, "names os.system, and nothing but tensors is read here"),
        (step_dict({"x": harm}), "names os.system"),
        (
            step_text("os") + step_text("system") + b"\x93",
            r"holds more than tensors \(STACK_GLOBAL\)",
        ),
        (
            b"(" + step_text("x") + step_name("collections", "OrderedDict") + b"o",
            r"more than tensors \(OBJ\)",
        ),
        (step_name("torch", "FloatStorage") + b")R", "calls torch.FloatStorage"),
        (step_text("x") + b"}b", "nothing is unpickled"),
    ):
        path = write_torch(tmp_path / "harm.pt", program, {})
        with pytest.raises(ValueError, match=said):
            read_torch_file(path)
    assert not written.exists()
    # a view beyond its storage
    path = write_torch(tmp_path / "y.pt", step_dict({"x": step_tensor("0", rows)}), {"0": rows[:2]})
    with pytest.raises(ValueError, match="is torn, or no .pt of tensors"):
        read_torch_file(path)
