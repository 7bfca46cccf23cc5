"""python -m sift_jax.human_eval score|ab|mos|triple …: makes a page for raters.
python -m sift_jax.human_eval read --key=… ratings-*.json: reads back what they gave.

    python -m sift_jax.human_eval score --evaluation=runs/quickstart --out=study --count=40
    python -m sift_jax.human_eval ab --evaluation=runs/a --other=runs/b --out=study
    python -m sift_jax.human_eval mos --spoken=runs/quickstart/generation/spoken --out=study
    python -m sift_jax.human_eval triple --triples=data/triples.jsonl --audio=data/audio --out=study
    python -m sift_jax.human_eval read --key=study/key.json --out=study/results ratings-*.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug


def make_parser() -> Parser:
    """A parser for each kind of study, and for reading it."""
    parser = Parser(
        "sift_jax.human_eval",
        description="Human evaluation: makes a page for raters, and reads their files.",
        examples=(
            "score --evaluation=runs/quickstart --out=study --count=40",
            "ab --evaluation=runs/a --other=runs/b --out=study",
            "read --key=study/key.json --out=study/results ratings-1.json ratings-2.json",
        ),
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", help="each has --help, too"
    )
    score = commands.add_parser("score", help="answers of an evaluation, 0 to 10")
    score.add_argument("--evaluation", type=Path, required=True, help="the folder of an evaluation")
    score.add_argument("--systems", default="model", help="whose answers: model,majority")
    pair = commands.add_parser("ab", help="answers of two evaluations, side by side")
    pair.add_argument("--evaluation", type=Path, required=True, help="the folder of an evaluation")
    pair.add_argument("--other", type=Path, required=True, help="the folder of another")
    for made in (score, pair):
        made.add_argument("--subset", default="", help="only items whose part begins so")
    spoken = commands.add_parser("mos", help="spoken recordings, 1 to 5")
    spoken.add_argument(
        "--spoken", type=Path, action="append", required=True, help="a spoken folder; give several"
    )
    triple = commands.add_parser("triple", help="written questions and answers, yes or no")
    triple.add_argument(
        "--triples", type=Path, required=True, help="triples.jsonl of data_prep.synthesis"
    )
    triple.add_argument("--audio", type=Path, required=True, help="the folder of its recordings")
    for made in (score, pair, spoken, triple):
        made.add_argument("--out", type=Path, required=True, help="a folder for page and key")
        made.add_argument("--count", type=int, default=40, help="tasks; 0 takes all")
        made.add_argument("--seed", type=int, default=0, help="draws the tasks and their order")
        made.add_argument("--title", default="Listening test", help="the page's title")
    read = commands.add_parser("read", help="what the raters gave")
    read.add_argument("--key", type=Path, required=True, help="key.json of the study")
    read.add_argument("--out", type=Path, required=True, help="a folder for the results")
    read.add_argument("files", type=Path, nargs="+", help="the files that raters sent back")
    return parser


def run(flags: argparse.Namespace) -> None:
    """Makes or reads a study."""
    from sift_jax.human_eval import tasks
    from sift_jax.human_eval.page import write_study
    from sift_jax.human_eval.read_ratings import read_study
    from sift_jax.human_eval.report import write_results

    if flags.command == "read":
        results = write_results(read_study(flags.key, flags.files), flags.out)
        print(f"{results['raters']} raters, {results['tasks']} tasks: {flags.out}/report.html")
        return
    if flags.command == "score":
        systems = flags.systems.split(",")
        found = tasks.read_score_tasks(flags.evaluation, systems, flags.subset)
    elif flags.command == "ab":
        found = tasks.read_ab_tasks(flags.evaluation, flags.other, flags.subset, seed=flags.seed)
    elif flags.command == "mos":
        found = tasks.read_mos_tasks(flags.spoken)
    else:
        found = tasks.read_triple_tasks(flags.triples, flags.audio)
    drawn = tasks.draw_tasks(found, count=flags.count, seed=flags.seed)
    write_study(drawn, flags.out, title=flags.title, seed=flags.seed)
    print(
        f"{len(drawn)} of {len(found)} tasks: send {flags.out}/page.html to the raters, and keep "
        f"{flags.out}/key.json"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one of the commands."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: run(flags), is_debug=is_debug(flags))


if __name__ == "__main__":
    main()
