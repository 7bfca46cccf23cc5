"""Which tensors of a folder are the encoder, the projector and the decoder, by the model_type of
its config.json.

parakeet_ctc  encoder.subsampling.linear.weight     ─► encoder    subsampling.linear.weight
qwen2_audio   audio_tower.conv1.weight              ─► encoder    conv1.weight
              multi_modal_projector.linear.weight   ─► projector  linear.weight
              language_model.model.norm.weight      ─► decoder    model.norm.weight
sift_joined_encoder  ours: Whisper and BEATs
sift_speech_lm  our exports for transformers: a prefix a part
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sift_jax.models.hf_config import DECODERS, JOINED_ENCODER, REMOTE_CODE, read_config

# (prefix, part, what the part's table has instead); the first that fits; None: known, and of no use
# here
LAYOUTS: dict[str, tuple[tuple[str, str | None, str], ...]] = {
    "whisper": (
        ("model.encoder.", "encoder", ""),
        ("model.decoder.", "whisper_decoder", ""),
        ("encoder.", "encoder", ""),
        ("decoder.", "whisper_decoder", ""),
        ("proj_out.", None, ""),
    ),
    **dict.fromkeys(
        DECODERS, (("model.", "decoder", "model."), ("lm_head.", "decoder", "lm_head."))
    ),
    # its images are of no use here
    "gemma3": (
        ("language_model.model.", "decoder", "model."),
        ("language_model.lm_head.", "decoder", "lm_head."),
        ("vision_tower.", None, ""),
        ("multi_modal_projector.", None, ""),
        # as transformers 5 has them in memory
        ("model.language_model.", "decoder", "model."),
        ("model.vision_tower.", None, ""),
        ("model.multi_modal_projector.", None, ""),
        ("lm_head.", "decoder", "lm_head."),
    ),
    "qwen2_audio": (
        ("audio_tower.", "encoder", ""),
        ("multi_modal_projector.", "projector", ""),
        ("language_model.model.", "decoder", "model."),
        ("language_model.lm_head.", "decoder", "lm_head."),
        # as transformers 5 has them in memory
        ("model.audio_tower.", "encoder", ""),
        ("model.multi_modal_projector.", "projector", ""),
        ("model.language_model.", "decoder", "model."),
        ("lm_head.", "decoder", "lm_head."),
    ),
    REMOTE_CODE: tuple((f"{part}.", part, "") for part in ("encoder", "projector", "decoder")),
    **dict.fromkeys(
        ("parakeet_ctc", "parakeet_rnnt", "parakeet_tdt"),
        (
            ("encoder.", "encoder", ""),
            ("ctc_head.", None, ""),
            ("encoder_projector.", None, ""),
            ("decoder.", None, ""),
            ("joint.", None, ""),
        ),
    ),
    "parakeet_encoder": (("", "encoder", ""),),
    JOINED_ENCODER: (("", "encoder", ""),),
    "sift_projector": (("", "projector", ""),),
    "sift_cross": (("", "cross", ""),),
}
# buffers that old checkpoints hold and that are computed here
COMPUTED = (".rotary_emb.inv_freq", ".masked_bias", ".num_batches_tracked")


def read_layout(folder: Path, part: str) -> str:
    """The model_type of a folder, which must hold `part`."""
    kind = read_config(folder)[0].get("model_type")
    able = sorted(name for name, rows in LAYOUTS.items() if any(row[1] == part for row in rows))
    if kind not in able:
        raise ValueError(
            f"{folder} holds a {kind} model; the {part} is read from {', '.join(able)}"
        )
    return kind


def sort_keys(kind: str, keys: Iterable[str]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """({part: {key of its table: key in the folder}}, keys that the layout does not know)."""
    parts: dict[str, dict[str, str]] = {}
    unknown: list[str] = []
    for key in keys:
        for prefix, part, instead in LAYOUTS[kind]:
            if key.startswith(prefix):
                if part and not key.endswith(COMPUTED):
                    parts.setdefault(part, {})[instead + key.removeprefix(prefix)] = key
                break
        else:
            unknown.append(key)
    return parts, unknown
