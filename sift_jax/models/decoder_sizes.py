"""Decoders by name, at their published sizes; docs/guides/models.md says where each was read.

    DECODERS["qwen3-8b"] ─► DecoderConfig(width=4096, layers=36, heads=32, kv_heads=8, …)

A name is that on the hub, in lower case and without its owner.
"""

from __future__ import annotations

import dataclasses
from functools import partial

from sift_jax.models.decoder import DecoderConfig, GemmaStyle, LayerPattern
from sift_jax.models.layers import LinearScaling, RopeScaling

# width, layers, heads, kv heads, hidden
Sizes = tuple[int, int, int, int, int]


def _qwen2(
    width: int, layers: int, heads: int, kv_heads: int, hidden: int, vocab_size: int, is_tied: bool
) -> DecoderConfig:
    return DecoderConfig(
        vocab_size=vocab_size,
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_size=width // heads,
        hidden=hidden,
        rope_theta=1e6,
        rope_scaling=None,
        max_positions=32_768,
        norm_eps=1e-6,
        has_qkv_bias=True,
        has_qk_norm=False,
        pattern=None,
        gemma=None,
        is_tied=is_tied,
    )


def _llama(
    sizes: Sizes, *, vocab_size: int, is_tied: bool, theta: float, positions: int
) -> DecoderConfig:
    like_qwen2 = _qwen2(*sizes, vocab_size, is_tied)
    return dataclasses.replace(
        like_qwen2, has_qkv_bias=False, norm_eps=1e-5, rope_theta=theta, max_positions=positions
    )


def _smollm2(*sizes: *Sizes, theta: float) -> DecoderConfig:
    return _llama(sizes, vocab_size=49_152, is_tied=True, theta=theta, positions=8192)


def _llama3(*sizes: *Sizes, stretch: float | None = None, is_tied: bool = False) -> DecoderConfig:
    plain = _llama(sizes, vocab_size=128_256, is_tied=is_tied, theta=5e5, positions=8192)
    if stretch is None:
        return plain
    scaling = RopeScaling(factor=stretch, low_frequency=1.0, high_frequency=4.0, positions=8192)
    return dataclasses.replace(plain, rope_scaling=scaling, max_positions=131_072)


# all layers see 4,096 positions
MISTRAL_WINDOW = LayerPattern(every=None, window=4096, rope_theta=None, is_odd_rotated=True)


def _mistral(
    *sizes: *Sizes,
    vocab_size: int,
    theta: float,
    positions: int,
    pattern: LayerPattern | None = None,
) -> DecoderConfig:
    plain = _llama(sizes, vocab_size=vocab_size, is_tied=False, theta=theta, positions=positions)
    return dataclasses.replace(plain, head_size=128, pattern=pattern)


# Nemo's and Small's sizes are those of the config.json that models made of them keep. Read for Small
# (2501): unsloth/Mistral-Small-24B-Instruct-2501-GGUF and ReadyArt/Forgotten-Safeword-24B name the
# Instruct, allura-org/Mistral-Small-24b-Sertraline-0304 the Base. For Nemo (2407):
# riple-saanvi-lab/Saanvi-C0-12B and yuyouyu/Mistral-Nemo-BD-RP name the Instruct,
# migtissera/Tess-3-Mistral-Nemo-12B the Base. All agree, but for Nemo's positions: older copies have
# 1,024,000, newer ones 131,072.
def _list_mistral() -> dict[str, DecoderConfig]:
    seven = partial(_mistral, 4096, 32, 32, 8, 14_336, vocab_size=32_000, positions=32_768)
    first, second = seven(theta=1e4, pattern=MISTRAL_WINDOW), seven(theta=1e6)
    third = dataclasses.replace(second, vocab_size=32_768)
    nemo = _mistral(5120, 40, 32, 8, 14_336, vocab_size=131_072, theta=1e6, positions=131_072)
    small = _mistral(5120, 40, 32, 8, 32_768, vocab_size=131_072, theta=1e8, positions=32_768)
    return {
        "mistral-7b-v0.1": first,
        "mistral-7b-instruct-v0.1": first,
        "mistral-7b-v0.2": second,
        "mistral-7b-instruct-v0.2": second,
        "mistral-7b-v0.3": third,
        "mistral-7b-instruct-v0.3": third,
        "mistral-nemo-base-2407": nemo,
        "mistral-nemo-instruct-2407": nemo,
        "mistral-small-24b-base-2501": small,
        "mistral-small-24b-instruct-2501": small,
    }


SMOLLM3 = dataclasses.replace(
    _llama(
        (2048, 36, 16, 4, 11_008), vocab_size=128_256, is_tied=True, theta=5e6, positions=65_536
    ),
    norm_eps=1e-6,
    # the fourth of every four layers knows no positions
    pattern=LayerPattern(every=4, window=None, rope_theta=None, is_odd_rotated=False),
)


def _qwen3(*sizes: *Sizes, is_tied: bool) -> DecoderConfig:
    return dataclasses.replace(
        _qwen2(*sizes, 151_936, is_tied),
        head_size=128,
        has_qkv_bias=False,
        has_qk_norm=True,
        max_positions=40_960,
    )


QWEN3_SIZES = {
    "0.6b": _qwen3(1024, 28, 16, 8, 3072, is_tied=True),
    "1.7b": _qwen3(2048, 28, 16, 8, 6144, is_tied=True),
    "4b": _qwen3(2560, 36, 32, 8, 9728, is_tied=True),
    "8b": _qwen3(4096, 36, 32, 8, 12_288, is_tied=False),
    "14b": _qwen3(5120, 40, 40, 8, 17_408, is_tied=False),
    "32b": _qwen3(5120, 64, 64, 8, 25_600, is_tied=False),
}


def _list_qwen3() -> dict[str, DecoderConfig]:
    """Those that are tuned, which have no ending, those that are not, and the 4B of July 2025."""
    found = {f"qwen3-{size}": tuned for size, tuned in QWEN3_SIZES.items()}
    for size, tuned in QWEN3_SIZES.items():
        if size != "32b":
            found[f"qwen3-{size}-base"] = dataclasses.replace(tuned, max_positions=32_768)
    july = dataclasses.replace(QWEN3_SIZES["4b"], rope_theta=5e6, max_positions=262_144)
    return found | {f"qwen3-4b-{kind}-2507": july for kind in ("instruct", "thinking")}


def _gemma3(
    *sizes: *Sizes,
    head_size: int = 256,
    window: int = 1024,
    query_size: int = 256,
    is_small: bool = False,
) -> DecoderConfig:
    """The two small ones are text alone, and not stretched."""
    return dataclasses.replace(
        _qwen2(*sizes, 262_144 if is_small else 262_208, True),
        head_size=head_size,
        rope_scaling=None if is_small else LinearScaling(factor=8.0),
        max_positions=32_768 if is_small else 131_072,
        has_qkv_bias=False,
        has_qk_norm=True,
        pattern=LayerPattern(every=6, window=window, rope_theta=1e4, is_odd_rotated=True),
        gemma=GemmaStyle(query_size=query_size),
    )


# The 270M's sizes are those of the config.json that models made of it keep, as
# Codingstark/gemma3-270m-leetcode and mariocde/functiongemma-270m-onnx.
GEMMA3_SIZES = {
    "270m": _gemma3(640, 18, 4, 1, 2048, window=512, is_small=True),
    "1b": _gemma3(1152, 26, 4, 1, 6912, window=512, is_small=True),
    "4b": _gemma3(2560, 34, 8, 4, 10_240),
    "12b": _gemma3(3840, 48, 16, 8, 15_360),
    "27b": _gemma3(5376, 62, 32, 16, 21_504, head_size=128, query_size=168),
}


def _list_gemma3() -> dict[str, DecoderConfig]:
    return {
        f"gemma-3-{size}{ending}": config
        for size, config in GEMMA3_SIZES.items()
        # the smallest as it was pretrained has no ending
        for ending in ("-it", "" if size == "270m" else "-pt")
    }


# width, layers, heads, kv heads, hidden, vocabulary, tied
QWEN2_SIZES = {
    "0.5b": _qwen2(896, 24, 14, 2, 4864, 151_936, True),
    "1.5b": _qwen2(1536, 28, 12, 2, 8960, 151_936, True),
    "3b": _qwen2(2048, 36, 16, 2, 11_008, 151_936, True),
    "7b": _qwen2(3584, 28, 28, 4, 18_944, 152_064, False),
    "14b": _qwen2(5120, 48, 40, 8, 13_824, 152_064, False),
    "32b": _qwen2(5120, 64, 40, 8, 27_648, 152_064, False),
    "72b": _qwen2(8192, 80, 64, 8, 29_568, 152_064, False),
}


def _list_qwen2() -> dict[str, DecoderConfig]:
    """Base models of 14B and more have another epsilon than those tuned on instructions, and most
    longer contexts."""
    found: dict[str, DecoderConfig] = {}
    for family, sizes in (
        ("qwen2", ("0.5b", "1.5b", "7b", "72b")),
        ("qwen2.5", tuple(QWEN2_SIZES)),
    ):
        for size in sizes:
            tuned = QWEN2_SIZES[size]
            is_long = family == "qwen2" or size not in ("0.5b", "3b")
            base = dataclasses.replace(
                tuned,
                norm_eps=1e-5 if size in ("14b", "32b", "72b") else 1e-6,
                max_positions=131_072 if is_long else 32_768,
            )
            found |= {f"{family}-{size}": base, f"{family}-{size}-instruct": tuned}
    return found


def _with_instruct(table: dict[str, DecoderConfig]) -> dict[str, DecoderConfig]:
    return {name + ending: size for name, size in table.items() for ending in ("", "-instruct")}


QWEN2_AUDIO = dataclasses.replace(
    _qwen2(4096, 32, 32, 32, 11_008, 156_032, False),
    rope_theta=1e4,
    norm_eps=1e-5,
    max_positions=8192,
)
TINYLLAMA = _llama(
    (2048, 22, 32, 4, 5632), vocab_size=32_000, is_tied=False, theta=1e4, positions=2048
)

# Llama 2's geometry
VICUNA = _llama(
    (4096, 32, 32, 32, 11_008), vocab_size=32_000, is_tied=False, theta=1e4, positions=4096
)

DECODERS: dict[str, DecoderConfig] = {
    **_list_qwen2(),
    **_list_qwen3(),
    **_list_mistral(),
    **_list_gemma3(),
    "smollm3-3b": SMOLLM3,
    "smollm3-3b-base": SMOLLM3,
    "qwen2-audio-7b": QWEN2_AUDIO,
    "qwen2-audio-7b-instruct": QWEN2_AUDIO,
    "vicuna-7b-v1.5": VICUNA,
    "tinyllama-1.1b": TINYLLAMA,
    "tinyllama-1.1b-chat-v1.0": TINYLLAMA,
    **_with_instruct(
        {
            "smollm2-135m": _smollm2(576, 30, 9, 3, 1536, theta=1e5),
            "smollm2-360m": _smollm2(960, 32, 15, 5, 2560, theta=1e5),
            "smollm2-1.7b": _smollm2(2048, 24, 32, 32, 8192, theta=1.3e5),
            "llama-3-8b": _llama3(4096, 32, 32, 8, 14_336),
            "llama-3-70b": _llama3(8192, 80, 64, 8, 28_672),
            "llama-3.1-8b": _llama3(4096, 32, 32, 8, 14_336, stretch=8.0),
            "llama-3.1-70b": _llama3(8192, 80, 64, 8, 28_672, stretch=8.0),
            "llama-3.3-70b": _llama3(8192, 80, 64, 8, 28_672, stretch=8.0),
            "llama-3.2-1b": _llama3(2048, 16, 32, 8, 8192, stretch=32.0, is_tied=True),
            "llama-3.2-3b": _llama3(3072, 28, 24, 8, 8192, stretch=32.0, is_tied=True),
        }
    ),
    "quickstart": dataclasses.replace(_qwen2(192, 2, 6, 3, 512, 4096, True), rope_theta=1e4),
    # the same size in Llama's geometry: no biases, a head of its own
    "quickstart-llama": _llama(
        (192, 2, 6, 3, 512), vocab_size=4096, is_tied=False, theta=1e4, positions=32_768
    ),
    "test": dataclasses.replace(_qwen2(32, 2, 4, 2, 64, 384, True), rope_theta=1e4),
}
