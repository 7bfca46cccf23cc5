"""An evaluation that takes seconds: the arguments of its run function, and a program that answers
on this machine's devices.

    python tiny_evaluation.py CORPUS RUN OUT data fsdp tensor
"""

import dataclasses
import sys
from pathlib import Path

from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.evaluation.evaluate import EvaluationConfig, evaluate
from sift_jax.evaluation.judges.config import JudgeConfig
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.evaluation.suites import SuiteConfig
from sift_jax.parallel.mesh import MeshConfig

# drawn, so that keys are seen; every rule that looks back
WARM = DecodingConfig(
    max_new_tokens=6,
    temperature=0.7,
    top_p=0.95,
    repetition_penalty=1.1,
    no_repeat_ngram=3,
    beams=1,
)
JUDGE = JudgeConfig(
    name="offline",
    url="",
    model="",
    key_variable="NO_KEY",
    concurrency=1,
    seconds=1.0,
    patience=0.0,
    tries=1,
    max_tokens=64,
    longest_text=500,
    use_system_role=True,
    extra={},
    planted=6,
    planted_threshold=0.1,
)


def make_suite(root: Path, **changes) -> SuiteConfig:
    suite = SuiteConfig(
        name="evalsift",
        root=str(root),
        subsets=(),
        split="",
        languages=("de", "en"),
        audio_dirs=(),
        limit=2,
        seed=0,
        cache_dir="",
        prompts="",
        constraints=(),
        protocol="official",
    )
    return dataclasses.replace(suite, **changes)


def make_evaluation(root: Path, run_dir: Path, out: Path, **changes) -> dict:
    """Keyword arguments of `evaluate`: EvalSIFT of the tiny corpus, asked of a tiny run."""
    run = EvaluationConfig(
        out_dir=str(out),
        checkpoint=str(run_dir),
        step=None,
        has_untrained=False,
        has_majority=True,
        rows=8,
        most_clips=0,
        long_audio="set_aside",
        seed=0,
        data_dir=str(root),
        generation_dir="",
        transcripts="",
        gain_split="EvalSIFT",
        train_dirs={},
    )
    return {
        "run": dataclasses.replace(run, **changes),
        "suites": (make_suite(root),),
        "decoding": WARM,
        "judge": JUDGE,
        "bootstrap": BootstrapConfig(samples=20, confidence=0.95, seed=0),
        "mesh": MeshConfig(data=-1, fsdp=1, tensor=1),
        "data": None,
    }


if __name__ == "__main__":
    root, run_dir, out = map(Path, sys.argv[1:4])
    data, fsdp, tensor = map(int, sys.argv[4:])
    arguments = make_evaluation(root, run_dir, out)
    evaluate(**{**arguments, "mesh": MeshConfig(data=data, fsdp=fsdp, tensor=tensor)})
