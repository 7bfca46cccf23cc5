"""What a vocoder's run leaves, and how it enters a codec's folder.

run/vocoder.json      the vocoder's shape, and the fingerprint of the units that it learns      written at the start
run/checkpoints/<step> ─► add_to_codec ─► the folder of that codec
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jax

from sift_jax.checkpoints.checkpoint import Checkpoints
from sift_jax.checkpoints.checkpoint_errors import CheckpointError
from sift_jax.codecs.codec_folder import CodecFolder, copy_folder
from sift_jax.codecs.vocoder.network import init_vocoder, vocoder_from_json
from sift_jax.codecs.vocoder.unit_vocoder import install_vocoder
from sift_jax.storage.whole_files import write_whole
from sift_jax.vocoder_training.discriminators import CriticsConfig, init_critics
from sift_jax.vocoder_training.step import Networks

_FILE = "vocoder.json"


def write_run_file(run_dir: Path, networks: Networks, fingerprint: str, *, is_begun: bool) -> None:
    """Says whose units the run learns, or raises where it has begun on others, or with another
    shape."""
    told = {
        "vocoder": dataclasses.asdict(networks.vocoder),
        "critics": dataclasses.asdict(networks.critics),
        "codec": fingerprint,
        "codes": networks.codes,
        "has_durations": networks.has_durations,
        "samples": networks.samples,
    }
    told = json.loads(json.dumps(told))
    path = run_dir / _FILE
    if is_begun and path.is_file():
        old = json.loads(path.read_text(encoding="utf-8"))
        if wrong := [name for name in told if old.get(name) != told[name]]:
            raise CheckpointError(
                f"{run_dir} holds a run whose {wrong[0]} is {old.get(wrong[0])}, this config says "
                f"{told[wrong[0]]}; choose another OUT_DIR or the config of that run"
            )
    write_whole(path, json.dumps(told, indent=1))


def read_run_file(run_dir: Path) -> dict:
    path = run_dir / _FILE
    if not path.is_file():
        raise CheckpointError(
            f"{run_dir} is not a run of a vocoder (no {_FILE}); give a folder that "
            "`python -m sift_jax.train_vocoder` wrote"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def add_to_codec(
    folder: CodecFolder, run_dir: Path, step: int | None, out: Path | None
) -> CodecFolder:
    """Lays what a run has learnt by a step, or by its newest checkpoint, into the codec or a copy
    of it in `out`."""
    told = read_run_file(run_dir)
    if told["codec"] != folder.fingerprint:
        raise ValueError(
            f"{run_dir} learnt the units of the codec {told['codec'][:12]}…, and {folder.path} is "
            f"{folder.fingerprint[:12]}…; add it to the codec that it was trained for"
        )
    if out is not None and out.resolve() == folder.path.resolve():
        raise ValueError(f"{out} is the codec itself; leave --out away to add the vocoder there")
    config, critics = vocoder_from_json(told["vocoder"]), CriticsConfig(**told["critics"])
    sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    like = jax.eval_shape(
        lambda: {
            "vocoder": init_vocoder(
                config, jax.random.key(0), codes=told["codes"], has_durations=told["has_durations"]
            ),
            "critics": init_critics(critics, jax.random.key(0), told["samples"]),
        }
    )
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), like)
    checkpoints = Checkpoints(run_dir, is_reader=True)
    _, params = checkpoints.restore_params(like, step)
    checkpoints.close()
    target = folder if out is None else copy_folder(folder, out)
    return install_vocoder(target, config, params["vocoder"], fingerprint=told["codec"])
