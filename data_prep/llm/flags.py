"""The flags of a command that asks an endpoint, checked."""

import argparse
import json
from typing import Any

from data_prep.llm.chat_client import Endpoint
from sift_jax.flags import add_fields, read_fields


def parse_body(text: str) -> dict[str, Any]:
    """What is laid over each request body."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a JSON object; give one as in '{{\"seed\": 1}}'"
        )
    return value


def add_endpoint_flags(parser: argparse.ArgumentParser, what: str) -> None:
    add = parser.add_argument
    add("--endpoint", help=f"address of an OpenAI-compatible server {what}, with /v1")
    add("--model", help="the name under which the server has it")
    add_fields(parser, Endpoint, {"key_variable": "environment variable with the key"})
    add(
        "--body",
        type=parse_body,
        default={},
        help="JSON merged into each request; null removes a key",
    )
    add(
        "--no_system_role",
        action="store_true",
        help="for models whose template has no system message",
    )
    patience = {
        "concurrency": "calls at once, of each worker",
        "seconds": "time limit of a call",
        "attempts": "attempts at a call",
        "retries": "limit of retries over each chunk of calls",
    }
    add_fields(parser, Endpoint, patience)


def make_endpoint(flags: argparse.Namespace) -> Endpoint | None:
    """The endpoint of the flags, or None where no address is given."""
    if not flags.endpoint:
        return None
    if not flags.model:
        raise ValueError("--endpoint needs --model=<the name under which the server has it>")
    return Endpoint(url=flags.endpoint, **read_endpoint_fields(flags))


def read_endpoint_fields(flags: argparse.Namespace) -> dict[str, Any]:
    """All of an endpoint but its address."""
    return {
        **read_fields(Endpoint, flags),
        "use_system_role": not flags.no_system_role,
        "extra": flags.body,
    }
