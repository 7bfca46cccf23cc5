"""Command line of the data preparation.

    python -m data_prep.build --corpus=embedded --out=runs/quickstart/data
        [--languages=en,de] [--train=600 --dev=30 --evaluation=60] [--evaluation_rows=60]
        [--wordings=6] [--plain] [--rows_per_utterance=10] [--seed=0] [--workers=2]
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from data_prep.corpora.embedded.espeak import EspeakError
from data_prep.corpora.embedded.voices import LANGUAGES
from data_prep.pipeline import BuildConfig, BuildError, build
from data_prep.statistics import format_report
from sift_jax.audio.files import AudioError

CORPORA = ("embedded",)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        self.exit(2, f"{message}; see python -m data_prep.build --help\n")


def parse_arguments(arguments: Sequence[str] | None = None) -> BuildConfig:
    """Flags to a checked configuration."""
    parser = _Parser(prog="data_prep.build", description="Makes a corpus, measures it, writes its instructions.")
    parser.add_argument("--corpus", choices=CORPORA, default="embedded", help="where the speech comes from")
    parser.add_argument("--out", type=Path, required=True, help="folder for everything that is made")
    parser.add_argument("--languages", default=",".join(LANGUAGES), help="comma-separated, of " + ", ".join(LANGUAGES))
    parser.add_argument("--train", type=int, default=600, help="training utterances a language")
    parser.add_argument("--dev", type=int, default=30, help="dev utterances a language")
    parser.add_argument("--evaluation", type=int, default=60, help="EvalSIFT utterances a language")
    parser.add_argument("--evaluation_rows", type=int, default=60, help="EvalSIFT rows a category and language")
    parser.add_argument("--wordings", type=int, default=6, help="wordings of each question and answer, at most 6")
    parser.add_argument("--plain", action="store_true",
                        help="numbered labels as answers, audio first, little to be quoted: for very small models")
    parser.add_argument("--rows_per_utterance", type=int, default=10, help="training rows an utterance and category")
    parser.add_argument("--seed", type=int, default=0, help="decides every random choice")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    flags = vars(parser.parse_args(arguments))
    flags["languages"] = tuple(dict.fromkeys(flags["languages"].split(",")))
    for language in flags["languages"]:
        if language not in LANGUAGES:
            parser.error(f"--languages: {language!r} is not spoken here; choose of {','.join(LANGUAGES)}")
    leasts = {"train": 1, "dev": 0, "evaluation": 0, "evaluation_rows": 1, "wordings": 1,
              "rows_per_utterance": 1, "seed": 0, "workers": 1}
    for name, least in leasts.items():
        if flags[name] < least:
            parser.error(f"--{name}={flags[name]} is too small; give at least {least}")
    return BuildConfig(**flags)


def main(arguments: Sequence[str] | None = None) -> None:
    """Builds, then says what was built and where it is."""
    config = parse_arguments(arguments)
    try:
        build(config)
    except (AudioError, BuildError, EspeakError, OSError) as error:
        sys.exit(f"data_prep.build: {error}")
    print(format_report(json.loads((config.out / "report.json").read_text(encoding="utf-8"))))
    print(f"\naudio {config.out}/audio   instructions {config.out}/sift   records {config.out}/records   "
          f"metadata {config.out}/metadata.jsonl   report {config.out}/report.json")


if __name__ == "__main__":
    main()
