"""Command line of the data preparation.

    python -m data_prep.build --corpus=embedded --out=runs/quickstart/data
        [--languages=en,de] [--train=600 --dev=30 --evaluation=60] [--evaluation_rows=60]
        [--wordings=6] [--skip_wordings=0] [--plain] [--rows_per_utterance=10] [--seed=0]

    python -m data_prep.build --corpus=mls --root=/corpora/mls --languages=de,fr --out=runs/mls
        (mls, common_voice, vctk, librispeech, voxpopuli, fleurs, peoples_speech, spgispeech,
        iemocap, msp_podcast) [--min_seconds=0.5 --max_seconds=30] [--phonemes=espeak]
        [--compression=opus] [--words=alignments/ [--tier=NAME] | --aligner=sphinx |
        --aligner=ctc|whisper --checkpoint=weights/whisper-base]
        [--experts=distortion_level=energy,speech_quality=dnsmos] [--edges=data_speech |
        --edges=runs/other/bins.json] [--claims=paper] [--genders=pitch | --genders=network
        --gender_model=DIR] [--locales=all --locale_utterances=300]
        [--shared_sentences=apart|drop|allow]

    python -m data_prep.build --corpus=manifest --manifest=mine.jsonl [--root=/audio] --languages=en
    --out=runs/mine
        [--fields=role.json] [--experts=emotion=DIR]

    python -m data_prep.build --corpus=vctk --root=gs://speech/vctk --out=runs/vctk
    --publish=gs://speech/built/vctk

The work runs on Apache Beam: [--workers=2] processes here, or [--beam_options="--runner=DaskRunner
…"] elsewhere, with the same bytes in the end.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.alignment.align import ALIGNERS
from data_prep.alignment.word_time_stage import Aligning
from data_prep.corpora.registry import (
    COMMON_VOICE,
    EMBEDDED,
    MANIFEST,
    NAMES,
    Reading,
    list_languages,
)
from data_prep.corpora.splits import SHARED_CHOICES
from data_prep.engine.beam_engine import add_flags, make_engine
from data_prep.engine.cloud_storage import is_url, publish
from data_prep.instructions.claims import CALIBRATED, CLAIMS, choose_edges
from data_prep.metadata.gender import CHOICES as GENDER_CHOICES
from data_prep.metadata.gender import OWN
from sift_jax.data.records.record_audio import COMPRESSIONS, FLAC
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.fields import FieldError, load_fields
from sift_jax.sift.labels import LANGUAGES, LOCALES

if TYPE_CHECKING:
    from data_prep.pipeline.build_config import BuildConfig

# Default for the embedded corpus, for recorded ones (None: all there are), and the least. A
# manifest's own dev and test are taken whole.
_SIZES: dict[str, tuple[int | None, int | None, int]] = {
    "train": (600, None, 1),
    "dev": (30, 500, 0),
    "evaluation": (60, 500, 0),
    "evaluation_rows": (60, 500, 2),
    "wordings": (None, None, 1),
    "skip_wordings": (None, None, 0),
    "rows_per_utterance": (None, None, 1),
    "seed": (None, None, 0),
}

# What others need of a build: records hold the audio.
_PUBLISHED = (
    "sift",
    "records",
    "metadata.jsonl",
    "bins.json",
    "report.json",
    "report.html",
    "README.md",
    "rejected.jsonl",
    "stages.json",
    "fields.json",
)


def parse_arguments(arguments: Sequence[str] | None = None) -> BuildConfig:
    """Flags to a checked configuration."""
    parser = make_parser()
    return read_config(parser, parser.parse_args(arguments))


def read_config(parser: Parser, given: argparse.Namespace) -> BuildConfig:
    """What the flags say, checked; a wrong one is the parser's error."""
    # what measures is loaded once the flags have been read
    from data_prep.metadata.experts import parse_experts
    from data_prep.metadata.metadata_table import Measuring
    from data_prep.pipeline.build_config import BuildConfig

    flags = {name: value for name, value in vars(given).items() if name != "debug"}
    corpus = flags["corpus"]
    flags["bucket"] = flags["root"] if is_url(flags["root"] or "") else None
    if flags["root"] is not None:
        flags["root"] = flags["out"] / "corpus" if flags["bucket"] else Path(flags["root"])
    spoken = list_languages(corpus)
    flags["languages"] = tuple(dict.fromkeys((flags["languages"] or ",".join(spoken)).split(",")))
    for language in flags["languages"]:
        if language not in spoken:
            parser.error(
                f"--languages: {language!r} is not spoken here; choose of {','.join(spoken)}"
            )
    for name in ("root", "manifest"):
        if flags[name] is not None and corpus == EMBEDDED:
            parser.error(
                f"--{name} is for corpora on disk; give --corpus=<one of {', '.join(NAMES[1:])}>"
            )
    if flags["manifest"] is not None and corpus != MANIFEST:
        parser.error(f"--manifest is for --corpus={MANIFEST}, not for {corpus}; leave it out")
    for name, (made, recorded, least) in _SIZES.items():
        if flags[name] is None:
            is_whole = corpus == MANIFEST and name in ("dev", "evaluation")
            flags[name] = made if corpus == EMBEDDED else None if is_whole else recorded
        # Without training a build only evaluates, with the edges of another.
        least = 0 if name == "train" and corpus != EMBEDDED else least
        if flags[name] is not None and flags[name] < least:
            parser.error(f"--{name}={flags[name]} is too small; give at least {least}")
    if flags["shared_sentences"] is not None and corpus == EMBEDDED:
        parser.error("the embedded corpus has its sentences apart; leave --shared_sentences out")
    flags["locales"] = tuple(dict.fromkeys(filter(None, (flags["locales"] or "").split(","))))
    if flags["locales"] and corpus not in (COMMON_VOICE, MANIFEST):
        parser.error(
            f"--locales is for --corpus={COMMON_VOICE} and {MANIFEST}, not for {corpus}; "
            "leave it out"
        )
    if flags["locales"] == ("all",):
        flags["locales"] = LOCALES
    if unknown := [name for name in flags["locales"] if name not in LOCALES]:
        parser.error(
            f"--locales: {unknown[0]!r} has no name here; choose all or of {','.join(LOCALES)}"
        )
    try:
        flags["fields"] = load_fields(flags["fields"])
    except FieldError as error:
        parser.error(f"--fields={error}")
    flags["columns"] = tuple((field.name, field.columns) for field in flags["fields"])
    reading = Reading(
        **{field.name: flags.pop(field.name) for field in dataclasses.fields(Reading)}
    )
    try:
        aligning = Aligning(
            **{field.name: flags.pop(field.name) for field in dataclasses.fields(Aligning)}
        )
        experts = parse_experts(flags.pop("experts"), [field.name for field in flags["fields"]])
        edges = choose_edges(flags["claims"], flags.pop("edges"))
        measuring = Measuring(
            experts=experts,
            edges=edges,
            genders=flags.pop("genders"),
            gender_model=flags.pop("gender_model"),
        )
        engine = make_engine(flags.pop("workers"), flags.pop("beam_options"))
    except ValueError as error:
        parser.error(str(error))
    if aligning.is_asked and corpus == EMBEDDED:
        parser.error("the embedded corpus has its word times; leave --words and --aligner out")
    if not 0 < reading.min_seconds < reading.max_seconds:
        parser.error(
            f"--min_seconds={reading.min_seconds:g} and --max_seconds={reading.max_seconds:g} "
            "leave nothing; give 0 < min < max"
        )
    return BuildConfig(
        **flags, reading=reading, aligning=aligning, measuring=measuring, engine=engine
    )


def make_parser() -> Parser:
    """Which corpus, how much of it, how it is measured and worded."""
    parser = Parser(
        "data_prep.build",
        description="Turns a corpus into metadata, instructions and records.",
        examples=(
            "--corpus=embedded --out=runs/quickstart/data --train=1000 --plain",
            "--corpus=mls --root=/corpora/mls --languages=de,fr --out=runs/mls",
            "--corpus=manifest --manifest=mine.jsonl --root=/audio --languages=en --out=runs/mine",
        ),
    )
    add = parser.add_argument
    add("--corpus", choices=NAMES, default=EMBEDDED, help="where the speech comes from")
    add(
        "--root",
        help="folder where a corpus is unpacked, or the address of one in a bucket (gs://, s3://, "
        "…), which is fetched to OUT/corpus first; for a manifest, where its paths start",
    )
    add("--manifest", type=Path, help="a .jsonl (NeMo's too) or .tsv with a line an utterance")
    add("--out", type=Path, required=True, help="folder for everything that is made")
    add(
        "--publish",
        help=(
            "address in a bucket to which the finished build is copied, but for its audio and parts"
        ),
    )
    add(
        "--languages",
        help="comma-separated; by default all that the corpus speaks, of " + ", ".join(LANGUAGES),
    )
    add(
        "--train",
        type=int,
        help="training utterances a language, at most; 600 embedded, else all there are",
    )
    add(
        "--dev",
        type=int,
        help="dev utterances a language, at most; 30 embedded, all that a manifest states, else 500",
    )
    add(
        "--evaluation",
        type=int,
        help=(
            "EvalSIFT utterances a language, at most; 60 embedded, all that a manifest states, "
            "else 500"
        ),
    )
    add(
        "--shared_sentences",
        choices=SHARED_CHOICES,
        help="of several splits: kept apart, so that one split alone has them; drop takes them "
        "out of dev and EvalSIFT where training has them; allow leaves them everywhere; by "
        "default apart, but for what a manifest states",
    )
    add(
        "--evaluation_rows",
        type=int,
        help="EvalSIFT rows a category and language; 60 embedded, else 500",
    )
    add(
        "--wordings", type=int, default=6, help="paraphrases of each question and answer, at most 6"
    )
    add(
        "--skip_wordings",
        type=int,
        default=0,
        help="leave out the first so many paraphrases: an EvalSIFT asked in words that training lacks; "
        "of a list that has no more, the last one stays",
    )
    add(
        "--plain",
        action="store_true",
        help="numbered labels as answers, audio first, little to be quoted: for very small models",
    )
    add(
        "--rows_per_utterance", type=int, default=10, help="training rows an utterance and category"
    )
    add(
        "--fields",
        type=Path,
        help=(
            "tables of free fields: their names in a manifest, classes and phrases; emotion is "
            "built in"
        ),
    )
    add("--min_seconds", type=float, default=0.5, help="recordings that are shorter are skipped")
    add(
        "--max_seconds",
        type=float,
        default=30.0,
        help="recordings that are longer are skipped, undecoded",
    )
    add(
        "--phonemes",
        choices=("own", "espeak"),
        default="own",
        help=(
            "those of the corpus, or espeak's reading of the transcript: without any, speaking "
            "rate is not measured"
        ),
    )
    add(
        "--words",
        type=Path,
        help="word times: a .ctm, .tsv, .TextGrid or .alignment.txt, or a folder of them",
    )
    add("--tier", help="the TextGrids' tier with the words, where it is not called so")
    add(
        "--aligner",
        choices=ALIGNERS,
        help="finds word times: sphinx for English, ctc and whisper with --checkpoint",
    )
    add(
        "--checkpoint",
        type=Path,
        help="folder of the model: of a Whisper, or for ctc of a wav2vec2-type one",
    )
    add(
        "--experts",
        default="",
        help="KEY=NAME,… where the default is not wanted: distortion_level=energy|squim, "
        "speech_quality=dnsmos|squim, average_pitch=praat|penn, noise_level=brouhaha, …; none "
        "leaves a key out; emotion=<folder of an audio classifier of transformers> hears what the "
        "corpus does not tell",
    )
    add(
        "--claims",
        choices=CLAIMS,
        default=CALIBRATED,
        help="calibrated: of noise, distance and quality only what is true of any recording; "
        "paper: SIFT-50M's words, every class a place within the corpus, with guesses of mood and "
        "suitability",
    )
    add(
        "--edges",
        help="of the classes: absolute (calibrated claims), corpus or data_speech (the paper's), "
        "or the bins.json of another build",
    )
    add(
        "--genders",
        choices=GENDER_CHOICES,
        default=OWN,
        help=(
            "the corpus's own, or where it has none by pitch or by --gender_model, as far as that "
            "is sure"
        ),
    )
    add(
        "--gender_model",
        type=Path,
        help="folder of an audio classifier of transformers, for --genders=network",
    )
    add(
        "--compression",
        choices=COMPRESSIONS,
        default=FLAC,
        help="of the audio in records: flac loses nothing, opus takes a fifth of the space",
    )
    add(
        "--locales",
        help=(
            "languages of which some clips are read only to ask which language is spoken: all, or "
            "of "
        )
        + ",".join(LOCALES),
    )
    add("--locale_utterances", type=int, default=300, help="clips of each of these, at most")
    add("--seed", type=int, default=0, help="decides every random choice")
    add_flags(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Builds, then says what was built and where it is."""
    parser = make_parser()
    flags = parser.parse_args(arguments)
    config = read_config(parser, flags)
    report_errors(lambda: _run(config), is_debug=is_debug(flags), can_resume=True)


def _run(config: BuildConfig) -> None:
    from data_prep.pipeline.build_stages import build
    from data_prep.pipeline.statistics import format_report

    build(config)
    if config.publish:
        count = publish(_PUBLISHED, config.publish, config.out, config.engine)
        print(f"published {count} files to {config.publish}")
    print(format_report(json.loads((config.out / "report.json").read_text(encoding="utf-8"))))
    print(
        f"\naudio {config.out}/audio   instructions {config.out}/sift   records "
        f"{config.out}/records   metadata {config.out}/metadata.jsonl   report "
        f"{config.out}/report.json   skipped {config.out}/rejected.jsonl   card "
        f"{config.out}/README.md   page {config.out}/report.html"
    )


if __name__ == "__main__":
    main()
