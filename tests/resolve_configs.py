"""Every gin file under configs/ that is a run by itself, and its resolved text: tests/golden/<its
name>.gin.

A file is a run if it, or what it includes, binds a run function's argument and says where to write.
"""

import re
from collections.abc import Callable
from pathlib import Path

from sift_jax.cli import build_arguments, describe_config
from sift_jax.evaluation.evaluate import evaluate
from sift_jax.evaluation.judging import judge_again
from sift_jax.rewarding.loop import reinforce
from sift_jax.rewarding.make_pairs import make_pairs
from sift_jax.sweeps.run import sweep
from sift_jax.training.loop import train
from sift_jax.vocoder_training.run import train_vocoder

ROOT = Path(__file__).parent.parent
CONFIGS, GOLDEN = ROOT / "configs", ROOT / "tests" / "golden"
RUNS: dict[str, Callable] = {
    "sift_jax.training.loop.train": train,
    "sift_jax.vocoder_training.run.train_vocoder": train_vocoder,
    "sift_jax.evaluation.evaluate.evaluate": evaluate,
    "sift_jax.evaluation.judging.judge_again": judge_again,
    "sift_jax.sweeps.run.sweep": sweep,
    "sift_jax.rewarding.loop.reinforce": reinforce,
    "sift_jax.rewarding.make_pairs.make_pairs": make_pairs,
}


def read_includes(path: Path) -> list[Path]:
    return [
        ROOT / name
        for name in re.findall(r"^include ['\"](.+)['\"]", path.read_text(), re.MULTILINE)
    ]


def find(pattern: str, path: Path) -> str | None:
    """The first match's group in a file or what it includes."""
    found = re.search(pattern, path.read_text(), re.MULTILINE)
    return (
        found.group(1)
        if found
        else next((x for inner in read_includes(path) if (x := find(pattern, inner))), None)
    )


def find_run(path: Path) -> str | None:
    """The run function that a file and what it includes bind."""
    return find(rf"^({'|'.join(map(re.escape, RUNS))})\.run\s*=", path)


def list_runs() -> list[str]:
    """Paths below configs/ without the ending. What others include is a run, too, where it has a
    folder to write to."""
    files = sorted(CONFIGS.rglob("*.gin"))
    included = {target for path in files for target in read_includes(path)}
    runs = [
        path
        for path in files
        if find_run(path) and (path not in included or find(r"^(OUT_DIR)\s*=", path))
    ]
    return [str(path.relative_to(CONFIGS).with_suffix("")) for path in runs]


def resolve(name: str) -> tuple[dict, str]:
    """(the run's arguments, the resolved text)."""
    path = CONFIGS / f"{name}.gin"
    arguments = build_arguments(RUNS[find_run(path)], [str(path)], [])
    return arguments, describe_config()


def golden_path(name: str) -> Path:
    return GOLDEN / f"{name.replace('/', '_')}.gin"
