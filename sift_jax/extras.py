"""The optional parts: which packages each extra brings, and the install line where one is missing.

setup.py reads EXTRAS from here, so that what an error says and what `pip install` does are one table.
"""

from __future__ import annotations

import importlib
import importlib.util
import shlex
from types import ModuleType

# the engine of the data preparation; it wants protobuf below 7, pillow below 13 and pyarrow below
# 26
_BEAM = ("apache-beam>=2.77,<3",)
# espeak-ng inside a wheel; GPL, so it stays out of the core and speaks only the embedded
# demonstration corpus
_DEMO = ("espeakng-loader>=0.2.4,<0.3",)
# one of Beam's distributed runners
_DASK = ("dask>=2026.7", "distributed>=2026.7")
# error rates, BLEU and chrF, ROUGE; suites that come as Parquet
_EVAL = (
    "jiwer>=4,<5",
    "sacrebleu>=2.5,<3",
    "rouge-score>=0.1.2",
    "whisper-normalizer>=0.1.12",
    "pyarrow>=18",
)
# the HTTP side of the server; BSD
_SERVE = ("starlette>=1.0,<2", "uvicorn>=0.40,<1")
# OpenAI's own client, which the server is tested with
_CLIENT = ("openai>=3,<4",)
_TEST = ("pytest>=8", "pytest-xdist>=3.6", "ruff>=0.9", "mypy>=2.4", "psutil>=6")

EXTRAS: dict[str, tuple[str, ...]] = {
    "data": _BEAM,
    # its name before; both stay
    "beam": _BEAM,
    "eval": _EVAL,
    "demo": (*_BEAM, *_DEMO, *_EVAL),
    # English word alignment out of the box; BSD, its wheel carries the model
    "align": ("pocketsphinx>=5.1,<6",),
    # transcripts by a Whisper on this machine; MIT
    "asr": ("faster-whisper>=1.1,<2",),
    # opinion scores of speech quality; MIT, its wheel carries the weights
    "quality": ("speechmos>=0.0.1.1", "onnxruntime>=1.20"),
    # Praat's measures
    "praat": ("praat-parselmouth>=0.4.5",),
    # audio classifiers, SQUIM, penn, VITS voices
    "torch": ("torch>=2.6", "torchaudio>=2.6"),
    "serve": _SERVE,
    "wandb": ("wandb>=0.19",),
    "tpu": ("jax[tpu]",),
    # the TPU's compiler, which needs no TPU: the release that jax 0.10.2's own extra names
    "tpu_compile": ("libtpu==0.0.42.*",),
    # XLA:GPU, which needs no GPU: the plugin of jaxlib 0.10.2, ptxas, and cuDNN for attention
    "gpu_compile": (
        "jax-cuda12-plugin==0.10.2",
        "jax-cuda12-pjrt==0.10.2",
        "nvidia-cuda-nvcc-cu12>=12.8,<13",
        "nvidia-cudnn-cu12>=9.10,<10",
    ),
    "cuda": ("jax[cuda12]",),
    # runs in Google's buckets; Orbax deletes by the second
    "gcs": ("gcsfs>=2026.1", "google-cloud-storage>=3"),
    "dask": (*_BEAM, *_DASK),
    "test": (*_TEST, *_DEMO, *_BEAM, *_DASK, *_EVAL, *_SERVE, *_CLIENT),
}


class MissingExtraError(ValueError):
    """A package of an extra is not installed; the message says how to install it."""


def say_install(extra: str) -> str:
    """A line that works wherever pip does: pip install 'pocketsphinx>=5.1,<6'."""
    return shlex.join(["pip", "install", *EXTRAS[extra]])


def is_installed(module: str) -> bool:
    """Without importing it; of a package inside another one, whether the outer one is there."""
    return importlib.util.find_spec(module.partition(".")[0]) is not None


def import_extra(module: str, extra: str) -> ModuleType:
    """The module, or an error with the install line of its extra."""
    if not is_installed(module):
        raise MissingExtraError(
            f"{module.partition('.')[0]} is not installed; {say_install(extra)}"
        )
    return importlib.import_module(module)
