"""Weights out: a format is written to a draft folder, read again, compared, described, and only
then given its name.

out.part/ ─ write ─► read again ─► logits as the checkpoint's? ─► README.md export.json ─► out/
                                               └─ no: an error, and nothing is left
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import jax
import numpy as np

from sift_jax.batch import BatchShape, make_empty_batch
from sift_jax.exporting.formats import FORMATS, ExportConfig
from sift_jax.exporting.lineage import read_history
from sift_jax.exporting.merge_lora import merge_lora, round_params
from sift_jax.exporting.model_card import Findings, make_card
from sift_jax.models.presets import to_json
from sift_jax.models.speech_lm import Params, SpeechLMConfig, compute_target_logits
from sift_jax.pretrained import Model
from sift_jax.text.unit_tokens import UNITS_FILE, place_units
from sift_jax.weights.load import check_vocabulary, is_export

DTYPES = ("float32", "bfloat16", "float16")
SIFT = ExportConfig(format="sift", dtype="float32", max_bytes=5 * 10**9, base=None)
MARK = "export.json"
# parts of the largest logit: what the order of float32 sums explains, and what weights of eight
# bits of mantissa do
EXACT, ROUNDED = 1e-3, 0.2


def _probe_logits(config: SpeechLMConfig, params: Params) -> np.ndarray:
    """Logits of one fixed random row with a clip, for comparing two copies of a model."""
    rng = np.random.default_rng(0)
    shape = BatchShape(
        rows=1,
        tokens=48,
        targets=47,
        clips=1,
        mel_frames=config.encoder.mel_frames,
        mel_bins=config.encoder.mel_bins,
    )
    batch = make_empty_batch(shape)
    batch["token_bt"][:] = rng.integers(0, config.decoder.vocab_size, batch["token_bt"].shape)
    if config.slots_per_clip:
        batch["slot_bt"][0, 4:12] = np.arange(8) % config.slots_per_clip
    batch["group_bt"][:] = 1
    batch["position_bt"][:] = np.arange(shape.tokens)
    batch["predict_bm"][:] = np.arange(shape.targets)
    batch["mel_basf"][:] = rng.normal(size=batch["mel_basf"].shape)
    # not all of it, so that a mask of silence matters
    batch["frames_ba"][:] = shape.mel_frames * 2 // 3
    exact = dataclasses.replace(config, dtype="float32")
    return np.asarray(jax.jit(compute_target_logits, static_argnums=0)(exact, params, batch))


def _differ(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, as a part of the largest logit."""
    return float(np.abs(found - expected).max()) / max(float(np.abs(expected).max()), 1.0)


def _compare(model: Model, folder: Path, config: ExportConfig) -> tuple[float, float]:
    """(largest difference from the checkpoint's logits, largest logit); more than the dtype
    explains is an error."""
    again, params = FORMATS[config.format].read(model, folder, config)
    expected, found = _probe_logits(model.config, model.params), _probe_logits(again, params)
    is_good = _differ(found, expected) <= (EXACT if config.dtype == "float32" else ROUNDED)
    if config.dtype != "float32":
        # rounded as the files are, the checkpoint must give the same to the last bits; adapters are
        # rounded unmerged
        source = (
            (model.config, model.params)
            if config.format == "peft"
            else merge_lora(model.config, model.params)
        )
        # what the format lacks was taken from the model as it is
        pairs = ((again, params), source)
        is_good &= (
            _differ(*(_probe_logits(c, round_params(p, config.dtype)) for c, p in pairs)) <= EXACT
        )
    difference, largest = float(np.abs(found - expected).max()), float(np.abs(expected).max())
    if not is_good:
        hint = (
            f"is {config.base} the decoder that the run started from?"
            if config.base
            else "report it"
        )
        raise ValueError(
            f"what was written does not give the checkpoint's logits (off by {difference:.3g} of "
            f"{largest:.3g}), so it was deleted; {hint}"
        )
    return difference, largest


def _check(model: Model, out: Path, config: ExportConfig) -> None:
    if config.format not in FORMATS:
        raise ValueError(
            f"unknown export format {config.format!r}; choose one of {', '.join(FORMATS)}"
        )
    if config.dtype not in DTYPES:
        raise ValueError(f"unknown dtype {config.dtype!r}; choose one of {', '.join(DTYPES)}")
    if config.base and config.format != "peft":
        raise ValueError(
            "--base is the decoder under a PEFT adapter; leave it out with "
            f"--format={config.format}"
        )
    if (
        out.exists()
        and (not out.is_dir() or any(out.iterdir()))
        and not ((out / MARK).is_file() or is_export(out))
    ):
        raise ValueError(f"{out} exists and is not an export; choose another --out")
    check_vocabulary(
        len(model.tokenizer), model.config.decoder.vocab_size, "this model's tokenizer"
    )


def export_model(
    model: Model,
    out_dir: str | Path,
    config: ExportConfig = SIFT,
    *,
    run_dir: str | Path | None = None,
    repo: str | None = None,
) -> float:
    """Writes the folder, reads it again, and returns the largest difference of logits; replaces an
    earlier export. The card names `repo` as its place on the hub."""
    out = Path(out_dir)
    _check(model, out, config)
    history = read_history(run_dir) if run_dir else []
    draft = out.with_name(out.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        FORMATS[config.format].write(model, draft, config)
        difference, largest = _compare(model, draft, config)
        findings = Findings(
            params=sum(int(np.prod(x.shape)) for x in jax.tree.leaves(model.params)),
            step=model.step,
            dtype=config.dtype,
            base=config.base,
            difference=difference,
            largest=largest,
        )
        card = make_card(config.format, model.config, history, findings, repo=repo)
        (draft / "README.md").write_text(card)
        about = {
            **dataclasses.asdict(config),
            **dataclasses.asdict(findings),
            "model": to_json(model.config),
        }
        if model.codec is not None:
            units = model.codec.to_json(place_units(model.tokenizer))
            (draft / UNITS_FILE).write_text(json.dumps(units, indent=1) + "\n")
        (draft / MARK).write_text(json.dumps(about, indent=1) + "\n")
        if out.exists():
            shutil.rmtree(out)
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return difference
