"""Command line that has a language model write the instructions of a measured corpus.

    python -m data_prep.instruct --metadata=data/mls/metadata.jsonl --out=data/mls/llm
        --endpoint=http://localhost:8000/v1 --model=mistralai/Mixtral-8x7B-Instruct-v0.1 --no_system_role
        [--languages=en,de] [--splits=train] [--sets=open_ended,unrelated] [--utterances=100]
        [--no_filter] [--pairs=10 --pairs_a_call=10 --tries=2 --reply_format=json_schema]
        [--judge_endpoint=… --judge_model=…] [--prompt_price=0.5 --completion_price=1.5]
        [--concurrency=16] [--shards=8 --workers=4 [--beam_options=…] | --shard=0/4] [--dry_run]

The key comes from the environment ($SIFT_LLM_KEY, or the variable that --key_variable names).
Started again with the same folder it resumes where it was. Several shards go through the engine,
side by side, each with its own calls at once; or one shard is done alone, by whatever starts this
program for each.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep.engine.beam_engine import add_flags, make_engine
from data_prep.instructions.llm.estimate import estimate, format_estimate
from data_prep.instructions.llm.instruction_sets import SETS
from data_prep.instructions.llm.prompts import FORMATS
from data_prep.instructions.llm.shards import write_shards
from data_prep.instructions.llm.write import (
    Plan,
    format_report,
    write_llm_instructions,
)
from data_prep.llm.cached_client import Prices
from data_prep.llm.client import Endpoint
from data_prep.llm.flags import parse_body
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.rows import LANGUAGES, SPLITS


def make_parser() -> Parser:
    """What is asked about which utterances, and of which servers."""
    parser = Parser(
        "data_prep.instruct",
        description="Has a language model write the instructions of a measured corpus.",
        examples=(
            "--metadata=data/mls/metadata.jsonl --out=data/mls/llm "
            "--endpoint=http://localhost:8000/v1 --model=Mixtral-8x7B-Instruct",
            "--metadata=data/mls/metadata.jsonl --out=data/mls/llm "
            "--endpoint=http://localhost:8000/v1 --model=Mixtral-8x7B-Instruct --dry_run",
        ),
    )
    parser.add_argument(
        "--metadata", type=Path, required=True, help="metadata.jsonl of a measured corpus"
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder for the journal of calls and all that is made",
    )
    parser.add_argument(
        "--endpoint", required=True, help="address of an OpenAI-compatible server, with /v1"
    )
    parser.add_argument("--model", required=True, help="the name under which the server has it")
    parser.add_argument(
        "--key_variable", default=Endpoint.key_variable, help="environment variable with the key"
    )
    parser.add_argument("--languages", default=",".join(LANGUAGES), help="comma-separated")
    parser.add_argument("--splits", default=",".join(SPLITS), help="comma-separated")
    parser.add_argument(
        "--sets", default=",".join(SETS), help="comma-separated, of " + ", ".join(SETS)
    )
    parser.add_argument("--utterances", type=int, help="at most so many of each split and language")
    parser.add_argument(
        "--pairs",
        type=int,
        default=Plan.pairs,
        help="questions and answers about an utterance, at most",
    )
    parser.add_argument(
        "--pairs_a_call",
        type=int,
        default=Plan.pairs_a_call,
        help=(
            "so many of them in one call; a model of less than some three billion parameters does "
            "well with 1"
        ),
    )
    parser.add_argument(
        "--tries",
        type=int,
        default=Plan.tries,
        help="attempts at a pair whose reply is unusable, each in other words",
    )
    parser.add_argument(
        "--reply_format",
        choices=FORMATS,
        default=Plan.reply_format,
        help="what the server is asked for: nothing, or that it is JSON "
        "(response_format), where it can hold a model to that",
    )
    parser.add_argument(
        "--corpus", default=Plan.corpus, help="name in data_source, before the language"
    )
    parser.add_argument(
        "--no_filter", action="store_true", help="rules only, no second look by a model"
    )
    parser.add_argument(
        "--judge_endpoint", help="another server for the second look; --endpoint if not given"
    )
    parser.add_argument("--judge_model", help="its model; --model if not given")
    parser.add_argument(
        "--judge_key_variable",
        help="environment variable with its key; $SIFT_LLM_JUDGE_KEY if the "
        "server is another, so that no key goes to a stranger",
    )
    parser.add_argument(
        "--body",
        type=parse_body,
        default={},
        help=(
            'JSON merged into each request; null removes a key: \'{"max_tokens": null, '
            '"max_completion_tokens": 2048}\''
        ),
    )
    parser.add_argument(
        "--no_system_role",
        action="store_true",
        help="for models whose template has no system message",
    )
    parser.add_argument(
        "--concurrency", type=int, default=Endpoint.concurrency, help="calls at once"
    )
    parser.add_argument(
        "--seconds", type=float, default=Endpoint.seconds, help="time limit of a call"
    )
    parser.add_argument(
        "--attempts", type=int, default=Endpoint.attempts, help="attempts at a call"
    )
    parser.add_argument(
        "--retries", type=int, default=Endpoint.retries, help="limit of retries over the whole run"
    )
    parser.add_argument("--prompt_price", type=float, default=0.0, help="of a million tokens sent")
    parser.add_argument(
        "--completion_price", type=float, default=0.0, help="of a million tokens received"
    )
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument(
        "--shard",
        type=parse_shard,
        default=(0, 1),
        help="do this part only, as in 0/4, 1/4, 2/4, 3/4",
    )
    parts.add_argument("--shards", type=int, help="do all, in so many parts, through the engine")
    add_flags(parser)
    parser.add_argument(
        "--dry_run",
        action="store_true",
        help="say what it takes in calls and tokens, and ask nothing",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="decides which utterances and pairs are drawn"
    )
    return parser


def parse_shard(text: str) -> tuple[int, int]:
    """(3, 16) from "3/16"."""
    shard, _, shards = text.partition("/")
    if not (shard.isdecimal() and shards.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a shard; give one as in 0/4")
    return int(shard), int(shards)


def make_endpoints(flags: argparse.Namespace) -> tuple[Endpoint, Endpoint | None]:
    """The endpoint that writes, and the one that filters where it is another."""
    shared: dict[str, Any] = {
        name: getattr(flags, name) for name in ("concurrency", "seconds", "attempts", "retries")
    }
    shared |= {"use_system_role": not flags.no_system_role, "extra": flags.body}
    writer = Endpoint(
        url=flags.endpoint, model=flags.model, key_variable=flags.key_variable, **shared
    )
    if not flags.judge_endpoint and not flags.judge_model:
        return writer, None
    url, model = flags.judge_endpoint or flags.endpoint, flags.judge_model or flags.model
    own_key = "SIFT_LLM_JUDGE_KEY" if url != flags.endpoint else flags.key_variable
    return writer, Endpoint(
        url=url, model=model, key_variable=flags.judge_key_variable or own_key, **shared
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the instructions and says what came of it."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags), can_resume=True)


def _run(flags: argparse.Namespace) -> None:
    names = {
        name: tuple(dict.fromkeys(filter(None, getattr(flags, name).split(","))))
        for name in ("languages", "splits", "sets")
    }
    endpoint, judge = make_endpoints(flags)
    shard, shards = flags.shard if flags.shards is None else (0, flags.shards)
    plan = Plan(
        **names,
        utterances=flags.utterances,
        pairs=flags.pairs,
        pairs_a_call=flags.pairs_a_call,
        tries=flags.tries,
        reply_format=flags.reply_format,
        corpus=flags.corpus,
        use_filter=not flags.no_filter,
        seed=flags.seed,
        shard=shard,
        shards=shards,
    )
    prices = Prices(prompt=flags.prompt_price, completion=flags.completion_price)
    if flags.dry_run:
        whole = plan if flags.shards is None else dataclasses.replace(plan, shards=1)
        print("\n".join(format_estimate(estimate(flags.metadata, whole, prices))))
        return
    if flags.shards is not None:
        report = write_shards(
            flags.metadata,
            flags.out,
            endpoint=endpoint,
            plan=plan,
            judge=judge,
            prices=prices,
            engine=make_engine(flags.workers, flags.beam_options),
        )
    else:
        report = write_llm_instructions(
            flags.metadata,
            flags.out,
            endpoint=endpoint,
            plan=plan,
            judge=judge,
            prices=prices,
            tell=lambda line: print(line, flush=True),
        )
    print("\n".join(format_report(report)))
    print(
        f"instructions {flags.out}/sift   skipped {flags.out}/rejected*.jsonl   report "
        f"{flags.out}/report.json"
    )


if __name__ == "__main__":
    main()
