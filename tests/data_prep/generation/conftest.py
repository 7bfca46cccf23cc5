"""One small build with its instructions for all of these tests."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    from data_prep.build import parse_arguments
    from data_prep.pipeline.build_stages import build

    out = tmp_path_factory.mktemp("generation") / "data"
    flags = {
        "languages": "en,de",
        "train": 30,
        "dev": 2,
        "evaluation": 8,
        "evaluation_rows": 24,
        "workers": 1,
    }
    build(
        parse_arguments([f"--out={out}", *(f"--{name}={value}" for name, value in flags.items())]),
        ("corpus", "words", "measure", "metadata", "instructions"),
    )
    return out
