"""What a run's folder says of the run, beside its checkpoints: whose it is, and that a later start
is of the same run.

run/model.json  run/data.json  run/units.json  run/tokenizer/      written at the start
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sift_jax.checkpoints.checkpoint_errors import CheckpointError
from sift_jax.models.presets import from_json, to_json
from sift_jax.models.speech_lm import SpeechLMConfig
from sift_jax.storage.whole_files import write_whole


def write_model_file(run_dir: Path, config: SpeechLMConfig, *, is_begun: bool) -> None:
    """model.json, or an error if the folder holds a run of another model that has begun."""
    path = run_dir / "model.json"
    data = json.loads(json.dumps(to_json(config)))
    if is_begun and path.is_file():
        # what is not in an older file is as it was then: read and written again, it has all fields
        found = json.loads(json.dumps(to_json(from_json(json.loads(path.read_text())))))
        for part, fields in data.items():
            for name, value in fields.items() if isinstance(fields, dict) else [("", fields)]:
                old = (
                    (found.get(part) or {}).get(name)
                    if isinstance(fields, dict)
                    else found.get(part)
                )
                # these change the arithmetic, not the parameters
                if old != value and part not in ("dtype", "remat", "attention", "attention_block"):
                    raise CheckpointError(
                        f"{run_dir} holds a run whose {part}.{name} is {old}, this config says "
                        f"{value}; choose another OUT_DIR or the config of that run"
                    )
    write_whole(path, json.dumps(data, indent=1))


def write_data_file(run_dir: Path, records: str, digest: str | None, *, is_begun: bool) -> None:
    """data.json, or an error if the run has begun on other records: its place in them would mean
    nothing."""
    path = run_dir / "data.json"
    if not is_begun or not path.is_file():
        write_whole(path, json.dumps({"records": records, "digest": digest}, indent=1))
    elif (old := json.loads(path.read_text())["digest"]) != digest:
        raise CheckpointError(
            f"{run_dir} was trained on other records than {records} now holds (their digest is "
            f"{_shorten(old)} there and {_shorten(digest)} here); delete it to train from scratch, or "
            "choose another OUT_DIR"
        )


def write_units_file(run_dir: Path, units: Mapping[str, Any] | None, *, is_begun: bool) -> None:
    """units.json of a run that speaks, or an error if the run has begun with the units of another
    codec."""
    path = run_dir / "units.json"
    old = json.loads(path.read_text()) if is_begun and path.is_file() else None
    said = [found and (found["codec"], found["codes"], found["begin"]) for found in (old, units)]
    # one that has begun before there were units, or goes on without answers that are speech, keeps
    # what it has
    if old is not None and units is not None and said[0] != said[1]:
        raise CheckpointError(
            f"{run_dir} was trained on the units of the codec {_shorten(old['codec'])}, and "
            f"DataConfig.codec is {_shorten(units['codec'])}; take the codec of that run, or "
            "choose another OUT_DIR"
        )
    if units is not None:
        write_whole(path, json.dumps(dict(units), indent=1))


def check_plan(run_dir: Path, saved: str | None, planned: str) -> None:
    """The same step of another plan is another batch: records would come twice, or not at all."""
    if saved != planned and (saved or "").partition("-")[0] != planned.partition("-")[0]:
        raise CheckpointError(
            f"{run_dir} was trained by the plan {saved} of an older version, whose batches this "
            "one does not draw; train on from its weights in another folder: the same command "
            f"with --gin.RunConfig.out_dir={run_dir}_2 --gin.Sources.run={run_dir} "
            "--gin.Sources.step=None"
        )
    if saved != planned:
        raise CheckpointError(
            f"{run_dir} was trained by the plan {saved}, and this config plans {planned}: its "
            "mixture, rates, seed, rows, sizes, tokenizer or records are others; take those of "
            "its config.gin, or choose another OUT_DIR"
        )


def write_tokenizer(
    run_dir: Path, save: Callable[[Path], None], source: str, *, is_begun: bool
) -> None:
    """tokenizer/ as `save` writes it, or an error if the run has begun with another: its ids would
    mean other words, or its prompts be worded otherwise."""
    kept, draft = run_dir / "tokenizer", run_dir / "tokenizer.part"
    save(draft)
    files = {path.name: path.read_text() for path in sorted(draft.iterdir())}
    shutil.rmtree(draft)
    for name, text in files.items():
        if is_begun and (kept / name).is_file() and (old := (kept / name).read_text()) != text:
            raise CheckpointError(
                f"{run_dir} holds a run whose tokenizer/{name} has the SHA-256 "
                f"{_shorten(_hash(old))}, that of {source} has {_shorten(_hash(text))}; choose "
                "another OUT_DIR or the tokenizer of that run"
            )
    kept.mkdir(exist_ok=True)
    for name, text in files.items():
        write_whole(kept / name, text)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _shorten(digest: str | None) -> str:
    return str(digest)[:12]


def read_model_file(run_dir: str | Path) -> SpeechLMConfig:
    if "://" in str(run_dir):
        raise CheckpointError(
            f"{run_dir} is in a bucket; copy the run to a disk first: gcloud storage cp "
            f"--recursive {run_dir} runs/"
        )
    path = Path(run_dir) / "model.json"
    if not path.is_file():
        raise CheckpointError(
            f"{run_dir} is not a run of sift_jax (no model.json); point to a folder that train wrote"
        )
    return from_json(json.loads(path.read_text()))
