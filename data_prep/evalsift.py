"""All of EvalSIFT in one command: closed and open questions, what is to be spoken, and one report.

    python -m data_prep.evalsift --build=runs/quickstart/data --checkpoint=runs/quickstart/stage2 \\
        --speaker=runs/quickstart/stage3 --out=runs/evalsift [--limit=100] [--samples=10] [--codec=runs/codec]
        [any flag of sift_jax.evaluate: --judge=endpoint …, --gin_file=…, --gin.NAME=value]

    items ─► speak, ten times each ─► (the recordings through the codec) ─► score ─┐
    closed and open questions, asked of the checkpoint ────────────────────────────┴─► out/report.html, out/results.json

Each step is a command of its own, shown before it runs; killed, the same command resumes from
there.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from data_prep.corpora.splits import EVALUATION
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug

Command = list[str]


def make_parser() -> Parser:
    """Which models, by which build; unknown flags are those of sift_jax.evaluate."""
    parser = Parser(
        "data_prep.evalsift",
        description="Runs all of EvalSIFT: closed and open questions, what is to be spoken, and "
        "one report. It takes the flags of sift_jax.evaluate, too.",
        examples=(
            "--build=runs/quickstart/data --checkpoint=runs/quickstart/stage2 "
            "--speaker=runs/quickstart/stage3 --out=runs/evalsift --limit=100",
        ),
        takes_others=True,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--build",
        type=Path,
        required=True,
        help="folder that python -m data_prep.build has written, or that has the "
        "recordings and metadata of the released EvalSIFT",
    )
    add("--checkpoint", required=True, help="the model that answers in text")
    add(
        "--speaker",
        required=True,
        help="the model that speaks; the same as --checkpoint if it does both",
    )
    add(
        "--out",
        type=Path,
        required=True,
        help="folder of the report; what is spoken goes to generation/ in it",
    )
    add(
        "--limit",
        type=int,
        help="questions of each part and language, and instructions to speak of each language",
    )
    add("--languages", help="comma-separated; by default all that there are")
    add("--samples", type=int, default=10, help="how often each instruction is spoken")
    add("--rows", type=int, default=8, help="spoken at once")
    add(
        "--codec",
        help=(
            "the speaker's codec: the true recordings go through it, too, as the limit of its units"
        ),
    )
    add(
        "--reference",
        help="a recording of the voice to speak with, for codecs whose units have none",
    )
    add("--experts", default="", help="as the build was given")
    add(
        "--asr",
        help="who tells whether the words can be understood, as data_prep.generation score has it",
    )
    add("--workers", type=int, help="processes that measure")
    add("--seed", type=int, default=0, help="decides every random choice")
    return parser


def parse_flags(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser()
    flags, flags.others = parser.parse_known_args(arguments)
    if flags.samples < 1 or (flags.limit is not None and flags.limit < 1):
        parser.error("--samples and --limit are 1 or more")
    return flags


def plan(flags: argparse.Namespace) -> list[Command]:
    """The commands, in their order."""
    folder = flags.out / "generation"
    items, spoken, ceiling, figures = (
        folder / name for name in ("items.jsonl", "spoken", "ceiling", "figures")
    )
    build, seed = f"--build={flags.build}", f"--seed={flags.seed}"
    commands = [
        [
            "data_prep.generation",
            "items",
            build,
            f"--out={items}",
            seed,
            f"--split={EVALUATION}",
            *_give("limit", flags.limit),
            *_give("languages", flags.languages),
        ],
        [
            "sift_jax.speak",
            f"--checkpoint={flags.speaker}",
            f"--items={items}",
            f"--out={spoken}",
            seed,
            f"--samples={flags.samples}",
            f"--rows={flags.rows}",
            *_give("codec", flags.codec),
            *_give("reference", flags.reference),
        ],
    ]
    if flags.codec:
        commands.append(
            [
                "data_prep.generation",
                "resynthesize",
                build,
                f"--items={items}",
                f"--codec={flags.codec}",
                f"--out={ceiling}",
                seed,
            ]
        )
    commands.append(
        [
            "data_prep.generation",
            "score",
            build,
            f"--spoken={spoken}",
            f"--out={figures}",
            seed,
            *_give("ceiling", ceiling if flags.codec else None),
            *_give("experts", flags.experts),
            *_give("asr", flags.asr),
            *_give("workers", flags.workers),
        ]
    )
    return [*commands, plan_questions(flags, figures)]


def plan_questions(flags: argparse.Namespace, figures: Path) -> Command:
    """The evaluation of the answers in text, which writes the report; a gin file of the user's says
    all but these."""
    is_own = any(flag.startswith("--gin_file") for flag in flags.others)
    knobs = {
        "ROOT": flags.build,
        "CHECKPOINT": flags.checkpoint,
        "OUT_DIR": flags.out,
        "DATA_DIR": flags.build,
        "GENERATION_DIR": figures,
    }
    if flags.limit is not None:
        knobs["LIMIT"] = flags.limit
    if flags.languages:
        knobs["LANGUAGES"] = repr(tuple(flags.languages.split(",")))
    return [
        "sift_jax.evaluate",
        *([] if is_own else ["--suite=evalsift"]),
        *flags.others,
        *(f"--gin.{name}={value}" for name, value in knobs.items()),
    ]


def _give(name: str, value: object) -> list[str]:
    return [f"--{name}={value}"] if value not in (None, "") else []


def main(arguments: Sequence[str] | None = None) -> None:
    flags = parse_flags(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags), can_resume=True)


def _run(flags: argparse.Namespace) -> None:
    for command in plan(flags):
        print(f"\n$ python -m {shlex.join(command)}", flush=True)
        code = subprocess.run([sys.executable, "-m", *command]).returncode
        if code:
            sys.exit(code)


if __name__ == "__main__":
    main()
