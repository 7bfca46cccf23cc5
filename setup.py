"""Package metadata and dependency ranges; requirements.lock pins one tested set of them with
hashes."""

import runpy
from pathlib import Path

from setuptools import find_packages, setup

TRAIN = [
    "jax>=0.10,<0.13",
    "flax>=0.12,<0.13",
    "optax>=0.2.8,<0.3",
    "orbax-checkpoint>=0.12,<0.13",
    "numpy>=2.1",
    "scipy>=1.13",
    "gin-config>=0.5,<0.6",
    "safetensors>=0.5",
    "tokenizers>=0.22",
    "transformers>=5,<6",
    # chat templates
    "jinja2>=3.1.6",
    "librosa>=0.11,<0.12",
    "soundfile>=0.13",
    "soxr>=0.5",
    "tqdm>=4.66",
    # seqio with tensorflow 2.21 imports only below this sentencepiece (protobuf)
    "tensorflow>=2.21,<2.22",
    "sentencepiece<0.2.2",
    "seqio>=0.0.20,<0.1",
    "tensorflow-datasets>=4.9.10,<5",
    "array-record>=0.8",
    # tensorflow-datasets imports it without asking for it on Python 3.11
    "importlib_resources>=6",
    # the door to buckets
    "fsspec>=2024.6",
    "tensorboard>=2.19",
]
EXTRAS = runpy.run_path(str(Path(__file__).with_name("sift_jax") / "extras.py"))["EXTRAS"]

setup(
    name="sift_jax",
    version="0.1.0",
    description=(
        "Speech instruction tuning in JAX: data, training, evaluation and export of speech "
        "language models"
    ),
    long_description=Path(__file__).with_name("README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    entry_points={"console_scripts": ["sift-jax = sift_jax.__main__:main"]},
    packages=[*find_packages(include=["sift_jax*", "data_prep*"]), "sift_jax.configs"],
    # `--gin_file=configs/stage2.gin` is found outside a checkout too
    package_dir={"sift_jax.configs": "configs"},
    package_data={
        "sift_jax": ["py.typed"],
        "sift_jax.configs": [
            "*.gin",
            "*/*.gin",
            "*/*/*.gin",
            "*/*/*/*.gin",
            "sweeps/tables/*.json",
        ],
        "sift_jax.shipped": [
            "small/*.json",
            "small/*/*.json",
            "small/*/*.safetensors",
            "small/tokenizer/*.jinja",
            "small/samples/*.flac",
        ],
        "sift_jax.sift": ["field_tables/*.json"],
        "sift_jax.evaluation": ["report/*.json", "suites/*.json"],
        "sift_jax.human_eval": ["*.css", "*.html", "*.js"],
        "sift_jax.pages": ["*.css", "templates/*.html"],
        "sift_jax.previews": ["*.css"],
        "sift_jax.serving": ["demo/*.css", "demo/*.html", "demo/*.js"],
        "data_prep": [
            "py.typed",
            "describe/*.css",
            "embedded/sentences/*.tsv",
            "generation/*.css",
            "instructions/forms.json",
            "instructions/llm/*.json",
            "instructions/templates/*.json",
            "instructions/templates/paper/*.json",
            "metadata/*.json",
            "self_answer/*.json",
            "synthesis/passages/*.json",
            "synthesis/question_writers/*.json",
            "tasks/templates/*.json",
        ],
    },
    install_requires=TRAIN,
    extras_require={name: list(packages) for name, packages in EXTRAS.items()},
)
