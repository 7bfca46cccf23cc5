"""Sizes by name. A module of your own may add to the three tables before the config is built.

make_model_config(ModelConfig(encoder="whisper-medium", decoder="qwen2.5-7b-instruct",
projector="linear", …))
make_model_config(ModelConfig(encoder="weights/whisper-medium", …))        a folder with a config.json
    -> SpeechLMConfig
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from sift_jax.field_ranges import DTYPES, CheckedConfig, Count, Items, OneOf, Positive, Text, Whole
from sift_jax.models.attention import KINDS, LANES, SPLASH_BLOCK
from sift_jax.models.cross_attention import CrossConfig
from sift_jax.models.decoder import DecoderConfig
from sift_jax.models.fast_conformer import FastConformerConfig
from sift_jax.models.hf_config import read_decoder_preset, read_encoder_preset
from sift_jax.models.layers import LoraConfig, RopeScaling
from sift_jax.models.projectors import ProjectorConfig
from sift_jax.models.scanned_stack import REMAT_POLICIES
from sift_jax.models.speech_lm import SpeechLMConfig
from sift_jax.models.whisper_encoder import FRAME_MASKS, EncoderConfig


def _whisper(width: int, layers: int, heads: int, mel_bins: int = 80) -> EncoderConfig:
    # 30 s of which nothing is masked: it was trained on exactly that, silence included
    return EncoderConfig(
        mel_bins=mel_bins,
        width=width,
        layers=layers,
        heads=heads,
        window_seconds=30.0,
        frame_mask="none",
    )


WHISPER_SIZES = {
    "whisper-tiny": _whisper(384, 4, 6),
    "whisper-base": _whisper(512, 6, 8),
    "whisper-small": _whisper(768, 12, 12),
    "whisper-medium": _whisper(1024, 24, 16),
}


def _fast_conformer(
    width: int, layers: int, heads: int = 8, mel_bins: int = 80
) -> FastConformerConfig:
    return FastConformerConfig(
        mel_bins=mel_bins,
        width=width,
        layers=layers,
        heads=heads,
        hidden=4 * width,
        kernel=9,
        channels=256,
        has_bias=True,
        is_scaled=True,
        # it takes any length; a passage that is read aloud, or nearly
        window_seconds=40.0,
        frame_mask="all",
    )


LARGE, LARGE_V3 = _whisper(1280, 32, 20), _whisper(1280, 32, 20, mel_bins=128)

ENCODERS: dict[str, EncoderConfig | FastConformerConfig] = {
    **WHISPER_SIZES,
    **{f"{name}.en": size for name, size in WHISPER_SIZES.items()},
    "whisper-large": LARGE,
    "whisper-large-v2": LARGE,
    "whisper-large-v3": LARGE_V3,
    "whisper-large-v3-turbo": LARGE_V3,
    "qwen2-audio-7b": dataclasses.replace(LARGE_V3, frame_mask="attention"),
    "qwen2-audio-7b-instruct": dataclasses.replace(LARGE_V3, frame_mask="attention"),
    "fastconformer-large": _fast_conformer(512, 17),
    "parakeet-ctc-0.6b": _fast_conformer(1024, 24),
    "parakeet-ctc-1.1b": _fast_conformer(1024, 42),
    # trained from nothing: short windows, and silence is masked
    "quickstart": dataclasses.replace(_whisper(128, 2, 4), window_seconds=6.0, frame_mask="all"),
    "quickstart-fastconformer": dataclasses.replace(
        _fast_conformer(128, 2, 4), channels=32, window_seconds=4.0
    ),
    "test": dataclasses.replace(_whisper(32, 2, 2), window_seconds=2.0, frame_mask="all"),
    "test-fastconformer": dataclasses.replace(
        _fast_conformer(32, 2, 2), channels=8, window_seconds=2.0
    ),
}


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

DECODERS: dict[str, DecoderConfig] = {
    **_list_qwen2(),
    "qwen2-audio-7b": QWEN2_AUDIO,
    "qwen2-audio-7b-instruct": QWEN2_AUDIO,
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


def _projector(kind: str, frames: int, **sizes: int) -> ProjectorConfig:
    none = {"width": 0, "queries": 0, "layers": 0, "heads": 0, "cross_every": 0}
    return ProjectorConfig(kind=kind, frames=frames, **{**none, **sizes})


PROJECTORS: dict[str, ProjectorConfig] = {
    "linear": _projector("linear", 1),
    "pooled": _projector("pooled", 2),
    "stacked": _projector("stacked", 5, width=2048),
    # windows of 17 frames are 0.34 s; two layers of BERT's size
    "qformer": _projector("qformer", 17, width=768, queries=1, layers=2, heads=12, cross_every=2),
    "conformer": _projector("conformer", 1, width=512, layers=2, heads=8),
    "quickstart-conformer": _projector("conformer", 1, width=128, layers=1, heads=4),
}

FUSIONS: dict[str, CrossConfig | None] = {
    "splice": None,
    "cross": CrossConfig(layers=2, heads=8, widening=1),
}

LORA_TARGETS = ("q", "k", "v", "o", "gate", "up", "down")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig(CheckedConfig):
    """What a gin file says of the model: presets by name (or folders with a config.json) and what
    joins them."""

    encoder: Text
    # what the encoder hears of the silence behind a clip, see EncoderConfig; None is what it was
    # trained with. "all" lets DataConfig.clip_seconds have short windows
    frame_mask: Annotated[str, OneOf(*FRAME_MASKS)] | None
    projector: Text
    # encoder frames a position, or a window of the Q-Former; None is the preset's
    projector_frames: Count | None
    decoder: Text
    # "splice": speech stands among the tokens; "cross": the tokens attend to it, see
    # cross_attention.py
    fusion: Annotated[str, OneOf(*FUSIONS)]
    # rows beyond the decoder's own, for tokens of audio and units; None: as many as the tokenizer
    # and the codec need
    extra_tokens: Whole | None
    lora_rank: Whole
    lora_alpha: Positive
    lora_targets: Annotated[
        tuple[Annotated[str, OneOf(*LORA_TARGETS)], ...], Items(is_distinct=True)
    ]
    dtype: Annotated[str, DTYPES]
    remat: Annotated[str, OneOf(*REMAT_POLICIES)]
    # by which kernel rows attend: see attention.py
    attention: Annotated[str, OneOf(*KINDS)]
    # positions that the TPU's kernel takes at once, at most: multiples of 128. It was 128, and changes
    # no number but by rounding
    attention_block: Count = dataclasses.field(metadata={"before": SPLASH_BLOCK})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lora_rank and not self.lora_targets:
            raise ValueError(
                f"ModelConfig.lora_rank is {self.lora_rank} and lora_targets is (); name "
                "some, or set LORA_RANK to 0"
            )
        if self.attention_block % LANES:
            raise ValueError(
                f"ModelConfig.attention_block is {self.attention_block}; give a multiple of {LANES}"
            )


def _find(table: Mapping[str, Any], read: Callable[[str], Any] | None, kind: str, name: str) -> Any:
    """The preset of a name as the hub writes it, whatever its case and owner, or of a folder."""
    if name in table:
        return table[name]
    if read is not None and (Path(name).is_dir() or name.endswith(".json")):
        return read(name)
    key = name.lower().rsplit("/", 1)[-1].removeprefix("meta-")
    if key in table:
        return table[key]
    names = sorted(n for n in table if not n.endswith(("-instruct", ".en")))
    folder = ", or give a folder with a config.json" if read is not None else ""
    raise ValueError(f"unknown {kind} preset {name!r}; choose one of {', '.join(names)}{folder}")


def make_model_config(config: ModelConfig, needed_rows: int = 0) -> SpeechLMConfig:
    """Resolves the presets and checks what joins them. Where extra_tokens is None, the vocabulary
    has `needed_rows` at least: SmolLM2's 49,152 are 49,155 with a tokenizer that has three tokens
    of audio."""
    encoder = _find(ENCODERS, read_encoder_preset, "encoder", config.encoder)
    if config.frame_mask is not None:
        encoder = dataclasses.replace(encoder, frame_mask=config.frame_mask)
    projector = _find(PROJECTORS, None, "projector", config.projector)
    if config.projector_frames is not None:
        projector = dataclasses.replace(projector, frames=config.projector_frames)
    decoder = _find(DECODERS, read_decoder_preset, "decoder", config.decoder)
    own, extra = decoder.vocab_size, config.extra_tokens
    rows = max(own, needed_rows) if extra is None else own + extra
    cross = FUSIONS[config.fusion]
    if cross:
        cross.head_size(decoder.width)
    return SpeechLMConfig(
        encoder=encoder,
        projector=projector,
        decoder=dataclasses.replace(decoder, vocab_size=rows),
        cross=cross,
        lora=LoraConfig(
            rank=config.lora_rank, alpha=config.lora_alpha, targets=tuple(config.lora_targets)
        ),
        dtype=config.dtype,
        remat=config.remat,
        attention=config.attention,
        attention_block=config.attention_block,
    )


def to_json(config: SpeechLMConfig) -> dict:
    """The config as plain data, kept beside every checkpoint."""
    return dataclasses.asdict(config)


def _restore(cls: type, data: Mapping[str, Any]) -> Any:
    wanted = {field.name for field in dataclasses.fields(cls)}
    if set(data) != wanted:
        strange = ", ".join(sorted(wanted ^ set(data)))
        raise ValueError(
            f"model.json is another version's: {cls.__name__} differs in {strange}; train again, "
            "or use that version"
        )
    return cls(**data)


def from_json(data: dict) -> SpeechLMConfig:
    decoder = dict(data["decoder"])
    if decoder.get("rope_scaling"):
        decoder["rope_scaling"] = _restore(RopeScaling, decoder["rope_scaling"])
    # what was written before there was a choice has Whisper's fields, and no fusion
    encoder = FastConformerConfig if "kernel" in data["encoder"] else EncoderConfig
    return SpeechLMConfig(
        encoder=_restore(encoder, data["encoder"]),
        projector=_restore(ProjectorConfig, data["projector"]),
        decoder=_restore(DecoderConfig, decoder),
        cross=_restore(CrossConfig, data["cross"]) if data.get("cross") else None,
        lora=_restore(LoraConfig, {**data["lora"], "targets": tuple(data["lora"]["targets"])}),
        dtype=data["dtype"],
        remat=data["remat"],
        attention=data.get("attention", "auto"),
        attention_block=data.get("attention_block", SPLASH_BLOCK),
    )
