"""Command line of the evaluation of controllable generation.

python -m data_prep.generation items --build=runs/quickstart/data --out=items.jsonl [--limit=200]
[--languages=en] python -m sift_jax.speak --checkpoint=… --items=items.jsonl --samples=10
--out=spoken python -m data_prep.generation resynthesize --items=items.jsonl --codec=runs/codec
--build=… --out=ceiling python -m data_prep.generation score --spoken=spoken --ceiling=ceiling
--build=… --out=figures

… items --untold …              the same texts, in instructions that ask for nothing ─ speak ─► score --floor=DIR
… items --sweep …               a sentence in each class of rate, volume, pitch and intonation ─ speak ─► page
… resynthesize without --codec  the recordings as they are ─► score --recordings=DIR
python -m data_prep.generation page --spoken=swept --build=… --out=figures/page.html
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.corpora.splits import EVALUATION, SPLITS
from data_prep.engine.beam_engine import add_flags, make_engine
from data_prep.llm.chat_client import Endpoint
from data_prep.recognition.recognisers import (
    ENDPOINT,
    FASTER_WHISPER,
    POCKETSPHINX,
    SPHINX_LANGUAGE,
    Recognising,
)
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.fields import read_build_fields
from sift_jax.sift.labels import GENDERS, LANGUAGES

if TYPE_CHECKING:
    from data_prep.generation.measure_speech import Hearing

# pocketsphinx with a language model of the build's sentences
KNOWING = f"{POCKETSPHINX}:build"


def make_parser() -> Parser:
    """A parser for each of the commands."""
    parser = Parser(
        "data_prep.generation",
        description="Evaluates controllable generation: how well a speaker follows instructions.",
        examples=(
            "items --build=runs/quickstart/data --out=items.jsonl --limit=30",
            "resynthesize --items=items.jsonl --codec=runs/quickstart/codec "
            "--build=runs/quickstart/data --out=ceiling",
            "score --spoken=spoken --ceiling=ceiling --build=runs/quickstart/data --out=figures",
            "page --spoken=swept --build=runs/quickstart/data --out=page.html",
        ),
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", help="each has --help, too"
    )
    items = commands.add_parser("items", help="what is to be spoken, from a build's instructions")
    items.add_argument(
        "--split", default=EVALUATION, choices=SPLITS, help="whose instructions are spoken"
    )
    items.add_argument(
        "--sift",
        type=Path,
        help="instructions from elsewhere about the build's recordings, such as "
        "the released ones: what they ask for is read from their words alone",
    )
    items.add_argument(
        "--limit", type=int, help="requests a language, drawn by --seed; with --sweep sentences, 1"
    )
    items.add_argument(
        "--untold", action="store_true", help="instructions that ask for no manner: the floor"
    )
    items.add_argument(
        "--sweep", action="store_true", help="a sentence in every class of every way of speaking"
    )
    items.add_argument(
        "--keys",
        help="with --sweep: comma-separated; by default what the build's instructions ask for",
    )
    items.add_argument(
        "--gender", default=GENDERS[0], help="with --sweep: on whose scale the pitch is swept"
    )
    again = commands.add_parser(
        "resynthesize", help="the ceiling: the true audio through the codec"
    )
    again.add_argument("--items", type=Path, required=True, help="what `items` wrote")
    again.add_argument(
        "--codec", type=Path, help="a codec's folder; without it the recordings stay as they are"
    )
    score = commands.add_parser("score", help="measure, bin, and compare with what was asked")
    score.add_argument("--recordings", type=Path, help="folder of `resynthesize` without --codec")
    score.add_argument("--ceiling", type=Path, help="folder of `resynthesize`")
    score.add_argument("--floor", type=Path, help="folder of what was spoken of `items --untold`")
    score.add_argument(
        "--resamples", type=int, default=1_000, help="for the intervals; 0 makes none"
    )
    score.add_argument("--confidence", type=float, default=0.95, help="of the intervals")
    page = commands.add_parser(
        "page", help="a page to listen to, of what was spoken of `items --sweep`"
    )
    for command in (items, score):
        command.add_argument("--languages", help="comma-separated; by default all that there are")
    for command in (items, again, score):
        command.add_argument("--seed", type=int, default=0, help="decides every random choice")
    for command in (score, page):
        command.add_argument(
            "--spoken", type=Path, required=True, help="folder with spoken.jsonl and its recordings"
        )
        _add_hearing(command)
        add_flags(command)
    for command in (items, again, score, page):
        command.add_argument(
            "--build",
            type=Path,
            required=True,
            help=(
                "folder that python -m data_prep.build has written: its metadata, its bins, its "
                "audio"
            ),
        )
        command.add_argument(
            "--out", type=Path, required=True, help="file (items, page) or folder to write"
        )
    return parser


def parse_flags(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    return make_parser().parse_args(arguments)


def _add_hearing(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--experts", default="", help="as the build was given, so that the same experts measure"
    )
    command.add_argument(
        "--gender_model",
        type=Path,
        help=(
            "folder of an audio classifier; without it pitch tells women from men, where it is sure"
        ),
    )
    command.add_argument(
        "--asr",
        help="who tells whether the words can be understood: pocketsphinx (English), "
        "pocketsphinx:build, which knows the build's sentences beforehand, endpoint or "
        "faster_whisper",
    )
    command.add_argument(
        "--endpoint", help="address of an OpenAI-compatible server, for --asr=endpoint"
    )
    command.add_argument(
        "--asr_model", help="the recogniser's name on that server, or a Whisper's folder"
    )
    command.add_argument(
        "--asr_key_variable", default="SIFT_ASR_KEY", help="environment variable with its key"
    )


def make_hearing(flags: argparse.Namespace) -> Hearing:
    # what measures is loaded once the flags have been read
    from data_prep.generation.measure_speech import Hearing
    from data_prep.metadata.experts import make_panel, parse_experts
    from data_prep.metadata.fields import check_listeners

    fields = read_build_fields(flags.build)
    experts = parse_experts(flags.experts, [field.name for field in fields])
    hearing = Hearing(
        experts=experts,
        gender_model=flags.gender_model,
        asr=make_recognising(flags) if flags.asr else None,
    )
    if {key for key, _ in experts} & {field.name for field in fields}:
        check_listeners(make_panel(experts, flags.gender_model).listeners, fields)
    return hearing


def make_recognising(flags: argparse.Namespace) -> Recognising:
    kind, _, known = flags.asr.partition(":")
    if known and flags.asr != KNOWING:
        raise ValueError(
            f"--asr={flags.asr}: no such recogniser; the one that knows something is {KNOWING}"
        )
    if kind == ENDPOINT:
        if flags.endpoint is None:
            raise ValueError("--asr=endpoint needs --endpoint=<address with /v1> and --asr_model")
        return Recognising(
            recogniser=kind,
            endpoint=Endpoint(
                url=flags.endpoint, model=flags.asr_model or "", key_variable=flags.asr_key_variable
            ),
        )
    asr = Recognising(recogniser=kind, model=flags.asr_model if kind == FASTER_WHISPER else None)
    if not known:
        return asr
    from data_prep.recognition.bigram_lm import write_build_model

    folder = (flags.out if flags.command == "score" else flags.out.parent) / "parts"
    return dataclasses.replace(
        asr, sentences=str(write_build_model(flags.build, folder, SPHINX_LANGUAGE))
    )


def _parse_languages(text: str | None) -> list[str] | None:
    if text is None:
        return None
    languages = list(dict.fromkeys(text.split(",")))
    if strange := [language for language in languages if language not in LANGUAGES]:
        raise ValueError(f"--languages: {strange[0]!r} is none of {', '.join(LANGUAGES)}")
    return languages


def write_items(flags: argparse.Namespace) -> str:
    from data_prep.generation import requests

    if flags.limit is not None and flags.limit < 1:
        raise ValueError(f"--limit={flags.limit} leaves nothing; give at least 1")
    languages = _parse_languages(flags.languages) or requests.list_spoken(
        flags.build, flags.split, flags.sift
    )
    left: Mapping[str, int] = {}
    if flags.sweep:
        keys = None if flags.keys is None else flags.keys.split(",")
        found = requests.sweep(
            flags.build, flags.split, languages, keys, flags.limit or 1, flags.gender
        )
    else:
        found, left = requests.collect(flags.build, flags.split, languages, flags.sift)
        found = requests.draw(found, flags.limit, flags.seed)
    if not found:
        raise ValueError(
            f"no request of {flags.split} is left ({_say(left)}); give another --sift or --split"
        )
    requests.write_items(flags.out, requests.forget(found) if flags.untold else found)
    return f"{flags.out}: {len(found)} requests in {', '.join(languages)}{_say(left, '; skipped ')}"


def resynthesize(flags: argparse.Namespace) -> str:
    from data_prep.generation import requests
    from data_prep.generation.resynthesize import resynthesize

    found = requests.read_items(flags.items)
    count, left = resynthesize(found, flags.codec, flags.build, flags.out, seed=flags.seed)
    return f"{flags.out}: {count} recordings for {len(found)} requests{_say(left, '; skipped ')}"


def score(flags: argparse.Namespace) -> str:
    from data_prep.generation.page import write_report
    from data_prep.generation.score import Scoring, score
    from sift_jax.evaluation.scores.bootstrap import BootstrapConfig

    languages = _parse_languages(flags.languages)
    results = score(
        Scoring(
            build=flags.build,
            out=flags.out,
            spoken=flags.spoken,
            recordings=flags.recordings,
            ceiling=flags.ceiling,
            floor=flags.floor,
            languages=None if languages is None else tuple(languages),
            hearing=make_hearing(flags),
            bootstrap=BootstrapConfig(
                samples=flags.resamples, confidence=flags.confidence, seed=flags.seed
            ),
            engine=make_engine(flags.workers, flags.beam_options),
        )
    )
    return write_report(results, flags.out)


def page(flags: argparse.Namespace) -> str:
    from data_prep.generation.style_grid import write_page

    return write_page(
        flags.spoken,
        flags.build,
        flags.out,
        make_hearing(flags),
        make_engine(flags.workers, flags.beam_options),
    )


def _say(left: Mapping[str, int], opening: str = "") -> str:
    return (
        opening + ", ".join(f"{reason}: {count}" for reason, count in left.items()) if left else ""
    )


def main(arguments: Sequence[str] | None = None) -> None:
    flags = parse_flags(arguments)
    commands = {"items": write_items, "resynthesize": resynthesize, "score": score, "page": page}
    report_errors(
        lambda: print(commands[flags.command](flags)), is_debug=is_debug(flags), can_resume=True
    )


if __name__ == "__main__":
    main()
