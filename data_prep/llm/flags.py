"""The flags of a command that asks an endpoint, checked."""

import argparse
import json
from typing import Any

from data_prep.llm.client import Endpoint


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
    add("--key_variable", default=Endpoint.key_variable, help="environment variable with the key")
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
    add(
        "--concurrency",
        type=int,
        default=Endpoint.concurrency,
        help="calls at once, of each worker",
    )
    add("--seconds", type=float, default=Endpoint.seconds, help="time limit of a call")
    add("--attempts", type=int, default=Endpoint.attempts, help="attempts at a call")
    add(
        "--retries",
        type=int,
        default=Endpoint.retries,
        help="limit of retries over each chunk of calls",
    )


def make_endpoint(flags: argparse.Namespace) -> Endpoint | None:
    """The endpoint of the flags, or None where no address is given."""
    if not flags.endpoint:
        return None
    if not flags.model:
        raise ValueError("--endpoint needs --model=<the name under which the server has it>")
    shared: dict[str, Any] = {
        name: getattr(flags, name)
        for name in ("concurrency", "seconds", "attempts", "retries", "key_variable")
    }
    return Endpoint(
        url=flags.endpoint,
        model=flags.model,
        use_system_role=not flags.no_system_role,
        extra=flags.body,
        **shared,
    )
