"""What several packages' tests share: one tiny corpus and one tiny trained run for the whole
session."""

import os
import sys
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# the networks here are tiny: compiling them well takes longer than running them does; and threads
# that wait for a core may add up in another order, which a comparison bit for bit would see
FLAGS = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_multi_thread_eigen=false"
)
os.environ.setdefault("XLA_FLAGS", FLAGS)
# what one test or program has compiled, the others and the next run of the tests need not
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / "runs" / ".compiled")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")

import pytest  # noqa: E402 - the platforms must be chosen before jax is imported
from tiny_corpus import Corpus, write_corpus  # noqa: E402

# every compiled program takes some of the 65,530 pieces of memory that Linux gives a process;
# without one XLA crashes
MOST_MAPS = 25_000


@pytest.fixture(scope="module", autouse=True)
def drop_old_programs():
    """What hundreds of tests have compiled is let go before a module begins."""
    maps = Path("/proc/self/maps")
    if "jax" in sys.modules and maps.is_file() and maps.read_bytes().count(b"\n") > MOST_MAPS:
        sys.modules["jax"].clear_caches()


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "tiny")


@pytest.fixture(scope="session")
def tokenizer(corpus):
    from sift_jax.text.tokenizers import SpeechTokenizer

    return SpeechTokenizer(corpus.tokenizer)


@pytest.fixture(scope="session")
def trained_run(corpus, tmp_path_factory):
    """The folder of a run of six steps with checkpoints at 3 and 6."""
    from tiny_run import make_run

    from sift_jax.training.loop import train

    return train(**make_run(corpus, tmp_path_factory.mktemp("runs") / "tiny"))


@pytest.fixture(scope="session")
def codec_folder(corpus, tmp_path_factory) -> Path:
    """The smallest embedded codec, fitted to the tiny corpus: 125 units."""
    from sift_jax.audio.files import read_audio
    from sift_jax.codecs.embedded.embedded_codec import EmbeddedOptions
    from sift_jax.codecs.embedded.fit import fit_embedded

    options = EmbeddedOptions(tones=8, sounds=16, sound_steps=4, slices=2, sounds_a_tone=4)
    out = tmp_path_factory.mktemp("codec") / "codec"
    fit_embedded(
        [read_audio(path) for path in sorted(corpus.audio.glob("*.flac"))], out, options, seed=0
    )
    return out


@pytest.fixture(scope="session")
def spoken_records(corpus, codec_folder, tmp_path_factory) -> Path:
    """The tiny corpus's records with that codec's units beside them."""
    import shutil

    from data_prep.units import main

    records = tmp_path_factory.mktemp("spoken") / "records"
    shutil.copytree(corpus.records, records)
    main([f"--records={records}", f"--codec={codec_folder}"])
    return records


@pytest.fixture(scope="session")
def speaking_run(corpus, codec_folder, spoken_records, tmp_path_factory) -> Path:
    """The folder of a run of three steps over answers that are speech."""
    import dataclasses

    from tiny_model import MODEL
    from tiny_run import SPOKEN, make_run

    from sift_jax.training.loop import train

    data = {"records": str(spoken_records), "codec": str(codec_folder), **SPOKEN}
    model = dataclasses.replace(MODEL, extra_tokens=127)
    out = tmp_path_factory.mktemp("runs") / "speaking"
    return train(**make_run(corpus, out, model=model, data=data, steps=3, checkpoint_every=3))
