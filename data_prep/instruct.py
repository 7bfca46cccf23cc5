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
from data_prep.llm.chat_client import Endpoint
from data_prep.llm.flags import parse_body, read_endpoint_fields
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, add_fields, is_debug, read_fields


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
    add_fields(parser, Endpoint, {"key_variable": "environment variable with the key"})
    asked = {
        "languages": "comma-separated",
        "splits": "comma-separated",
        "sets": "comma-separated, of " + ", ".join(SETS),
        "utterances": "at most so many of each split and language",
        "pairs": "questions and answers about an utterance, at most",
        "pairs_a_call": "so many of them in one call; a model of less than some three billion "
        "parameters does well with 1",
        "tries": "attempts at a pair whose reply is unusable, each in other words",
        "reply_format": "what the server is asked for: nothing, or that it is JSON "
        "(response_format), where it can hold a model to that",
        "corpus": "name in data_source, before the language",
    }
    add_fields(parser, Plan, asked, choices={"reply_format": FORMATS})
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
    patience = {
        "concurrency": "calls at once",
        "seconds": "time limit of a call",
        "attempts": "attempts at a call",
        "retries": "limit of retries over the whole run",
    }
    add_fields(parser, Endpoint, patience)
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
    add_fields(parser, Plan, {"seed": "decides which utterances and pairs are drawn"})
    return parser


def parse_shard(text: str) -> tuple[int, int]:
    """(3, 16) from "3/16"."""
    shard, _, shards = text.partition("/")
    if not (shard.isdecimal() and shards.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a shard; give one as in 0/4")
    return int(shard), int(shards)


def make_endpoints(flags: argparse.Namespace) -> tuple[Endpoint, Endpoint | None]:
    """The endpoint that writes, and the one that filters where it is another."""
    writer = Endpoint(url=flags.endpoint, **read_endpoint_fields(flags))
    if not flags.judge_endpoint and not flags.judge_model:
        return writer, None
    url, model = flags.judge_endpoint or flags.endpoint, flags.judge_model or flags.model
    own_key = "SIFT_LLM_JUDGE_KEY" if url != flags.endpoint else flags.key_variable
    key_variable = flags.judge_key_variable or own_key
    return writer, dataclasses.replace(writer, url=url, model=model, key_variable=key_variable)


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the instructions and says what came of it."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags), can_resume=True)


def _run(flags: argparse.Namespace) -> None:
    endpoint, judge = make_endpoints(flags)
    shard, shards = flags.shard if flags.shards is None else (0, flags.shards)
    how = {"use_filter": not flags.no_filter, "shard": shard, "shards": shards}
    plan = Plan(**{**read_fields(Plan, flags), **how})
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
