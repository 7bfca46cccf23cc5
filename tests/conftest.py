"""What several packages' tests share: one tiny corpus and one tiny trained run for the whole session."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest  # noqa: E402 - the platforms must be chosen before jax is imported
from tiny_corpus import Corpus, write_corpus  # noqa: E402


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "tiny")


@pytest.fixture(scope="session")
def tokenizer(corpus):
    from sift_jax.data.tokenizers import SpeechTokenizer

    return SpeechTokenizer(corpus.tokenizer)


@pytest.fixture(scope="session")
def trained_run(corpus, tmp_path_factory):
    """The folder of a run of six steps with checkpoints at 3 and 6."""
    from tiny_run import make_run

    from sift_jax.training.loop import train

    return train(**make_run(corpus, tmp_path_factory.mktemp("runs") / "tiny"))
