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
from sift_jax.models.beats_encoder import BeatsConfig
from sift_jax.models.cross_attention import CrossConfig
from sift_jax.models.decoder import DecoderConfig, GemmaStyle, LayerPattern
from sift_jax.models.decoder_sizes import DECODERS
from sift_jax.models.fast_conformer import FastConformerConfig
from sift_jax.models.hf_config import read_decoder_preset, read_encoder_preset
from sift_jax.models.joined_encoder import JoinedConfig
from sift_jax.models.layers import LinearScaling, LoraConfig, RopeScaling
from sift_jax.models.no_encoder import NoEncoder
from sift_jax.models.projectors import ProjectorConfig
from sift_jax.models.quantization import KINDS as QUANTIZED
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

# BEATs_iter3+, as its published file says
BEATS_ITER3 = BeatsConfig(
    mel_bins=128,
    patch=16,
    embedding=512,
    width=768,
    layers=12,
    heads=12,
    hidden=3072,
    position_kernel=128,
    position_groups=16,
    buckets=320,
    max_distance=800,
)
TEST_BEATS = dataclasses.replace(
    BEATS_ITER3,
    embedding=12,
    width=24,
    layers=3,
    heads=3,
    hidden=40,
    position_kernel=8,
    position_groups=4,
    buckets=20,
    max_distance=40,
)
TEST_WHISPER = dataclasses.replace(_whisper(32, 2, 2), window_seconds=2.0)

ENCODERS: dict[str, EncoderConfig | FastConformerConfig | JoinedConfig] = {
    **WHISPER_SIZES,
    **{f"{name}.en": size for name, size in WHISPER_SIZES.items()},
    "whisper-large": LARGE,
    "whisper-large-v2": LARGE,
    "whisper-large-v3": LARGE_V3,
    "whisper-large-v3-turbo": LARGE_V3,
    # distilled decoders, on the encoders of their teachers
    "distil-small.en": WHISPER_SIZES["whisper-small"],
    "distil-medium.en": WHISPER_SIZES["whisper-medium"],
    "distil-large-v2": LARGE,
    "distil-large-v3": LARGE_V3,
    "distil-large-v3.5": LARGE_V3,
    "qwen2-audio-7b": dataclasses.replace(LARGE_V3, frame_mask="attention"),
    "qwen2-audio-7b-instruct": dataclasses.replace(LARGE_V3, frame_mask="attention"),
    "fastconformer-large": _fast_conformer(512, 17),
    "parakeet-ctc-0.6b": _fast_conformer(1024, 24),
    "parakeet-ctc-1.1b": _fast_conformer(1024, 42),
    "salmonn": JoinedConfig(whisper=LARGE, beats=BEATS_ITER3, frame_mask="none"),
    # trained from nothing: short windows, and silence is masked
    "quickstart": dataclasses.replace(_whisper(128, 2, 4), window_seconds=6.0, frame_mask="all"),
    "quickstart-fastconformer": dataclasses.replace(
        _fast_conformer(128, 2, 4), channels=32, window_seconds=4.0
    ),
    "test": dataclasses.replace(TEST_WHISPER, frame_mask="all"),
    "test-salmonn": JoinedConfig(whisper=TEST_WHISPER, beats=TEST_BEATS, frame_mask="none"),
    "test-fastconformer": dataclasses.replace(
        _fast_conformer(32, 2, 2), channels=8, window_seconds=2.0
    ),
}


def _projector(kind: str, frames: int, **sizes: int) -> ProjectorConfig:
    none = {"width": 0, "queries": 0, "layers": 0, "heads": 0, "cross_every": 0}
    given: dict[str, Any] = {**none, "has_norm": True, "soft_tokens": False, **sizes}
    return ProjectorConfig(kind=kind, frames=frames, **given)


# windows of 17 frames are 0.34 s; two layers of BERT's size
QFORMER = _projector("qformer", 17, width=768, queries=1, layers=2, heads=12, cross_every=2)

PROJECTORS: dict[str, ProjectorConfig] = {
    "linear": _projector("linear", 1),
    "pooled": _projector("pooled", 2),
    "stacked": _projector("stacked", 5, width=2048),
    "qformer": QFORMER,
    # as it is published: both layers look at the speech, which its encoder has normed
    "salmonn": dataclasses.replace(QFORMER, cross_every=1, has_norm=False),
    "conformer": _projector("conformer", 1, width=512, layers=2, heads=8),
    "quickstart-conformer": _projector("conformer", 1, width=128, layers=1, heads=4),
}

FUSIONS: dict[str, CrossConfig | None] = {
    "splice": None,
    "cross": CrossConfig(layers=2, heads=8, widening=1, is_placed=False),
    "cross_placed": CrossConfig(layers=2, heads=8, widening=1, is_placed=True),
}

LORA_TARGETS = ("q", "k", "v", "o", "gate", "up", "down")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig(CheckedConfig):
    """What a gin file says of the model: presets by name (or folders with a config.json) and what
    joins them."""

    # None: recordings come as units of DataConfig.codec, see no_encoder.py; there is then no
    # projector, whatever the fields below say
    encoder: Text | None
    # what the encoder hears of the silence behind a clip, see EncoderConfig; None is what it was
    # trained with. "all" lets DataConfig.clip_seconds have short windows
    frame_mask: Annotated[str, OneOf(*FRAME_MASKS)] | None
    projector: Text
    # encoder frames a position, or a window of the Q-Former; None is the preset's
    projector_frames: Count | None
    # speech comes to the decoder as means of its own embeddings, see soft_tokens.py
    soft_tokens: bool = dataclasses.field(metadata={"before": False})
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
    # the frozen decoder's projections in int8, a scale for each output channel; None: as they are
    quantized: Annotated[str, OneOf(*QUANTIZED)] | None = dataclasses.field(
        metadata={"before": None}
    )
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
    names = sorted(n for n in table if not n.endswith(("-instruct", ".en", "-it")))
    folder = ", or give a folder with a config.json" if read is not None else ""
    raise ValueError(f"unknown {kind} preset {name!r}; choose one of {', '.join(names)}{folder}")


def make_model_config(config: ModelConfig, needed_rows: int = 0) -> SpeechLMConfig:
    """Resolves the presets and checks what joins them. Where extra_tokens is None, the vocabulary
    has `needed_rows` at least: SmolLM2's 49,152 are 49,155 with a tokenizer that has three tokens
    of audio."""
    encoder: Any = NoEncoder()
    if config.encoder is not None:
        encoder = _find(ENCODERS, read_encoder_preset, "encoder", config.encoder)
    elif config.fusion != "splice":
        raise ValueError(
            f"ModelConfig.fusion is {config.fusion!r} and there is no encoder whose frames tokens "
            "could attend to; set it to 'splice', or name an encoder"
        )
    if config.frame_mask is not None and config.encoder is not None:
        encoder = dataclasses.replace(encoder, frame_mask=config.frame_mask)
    projector = _find(PROJECTORS, None, "projector", config.projector)
    if config.projector_frames is not None:
        projector = dataclasses.replace(projector, frames=config.projector_frames)
    if config.soft_tokens and config.fusion != "splice":
        raise ValueError(
            f"ModelConfig.soft_tokens puts speech among the tokens, and fusion is "
            f"{config.fusion!r}; set SOFT_TOKENS = False, or FUSION = 'splice'"
        )
    projector = dataclasses.replace(projector, soft_tokens=config.soft_tokens)
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
        quantized=config.quantized,
        windows=1,
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


def _restore_decoder(data: Mapping[str, Any]) -> DecoderConfig:
    # what was written before there was a choice is a Qwen2 or a Llama
    decoder = {"has_qk_norm": False, "pattern": None, "gemma": None, **data}
    if scaling := decoder.get("rope_scaling"):
        kind = RopeScaling if "positions" in scaling else LinearScaling
        decoder["rope_scaling"] = _restore(kind, scaling)
    if decoder["pattern"]:
        decoder["pattern"] = _restore(LayerPattern, decoder["pattern"])
    if decoder["gemma"]:
        decoder["gemma"] = _restore(GemmaStyle, decoder["gemma"])
    return _restore(DecoderConfig, decoder)


def restore_encoder(data: Mapping[str, Any]) -> Any:
    """What was written before there was a choice has Whisper's fields."""
    if not data:
        return NoEncoder()
    if "beats" in data:
        parts = {
            "whisper": _restore(EncoderConfig, data["whisper"]),
            "beats": _restore(BeatsConfig, data["beats"]),
        }
        return _restore(JoinedConfig, {**data, **parts})
    return _restore(FastConformerConfig if "kernel" in data else EncoderConfig, data)


def from_json(data: dict) -> SpeechLMConfig:
    # what was written before there was a choice has no fusion, a norm, and no soft tokens
    return SpeechLMConfig(
        encoder=restore_encoder(data["encoder"]),
        projector=_restore(
            ProjectorConfig, {"has_norm": True, "soft_tokens": False, **data["projector"]}
        ),
        decoder=_restore_decoder(data["decoder"]),
        cross=_restore(CrossConfig, {"is_placed": False, **data["cross"]})
        if data.get("cross")
        else None,
        lora=_restore(LoraConfig, {**data["lora"], "targets": tuple(data["lora"]["targets"])}),
        quantized=data.get("quantized"),
        windows=data.get("windows", 1),
        dtype=data["dtype"],
        remat=data["remat"],
        attention=data.get("attention", "auto"),
        attention_block=data.get("attention_block", SPLASH_BLOCK),
    )
