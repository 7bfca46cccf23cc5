"""python -m sift_jax.serve [--checkpoint=runs/quickstart/export] [--checkpoint=…] [--port=8000]

An OpenAI-compatible server: chat completions with audio parts, whole or streamed, and speech from
models that speak.
"""

from __future__ import annotations

from collections.abc import Sequence

from sift_jax.exits import report_errors
from sift_jax.extras import import_extra
from sift_jax.flags import Parser, is_debug
from sift_jax.shipped.places import SMALL


def make_parser() -> Parser:
    """What is served, to whom, and how much of it."""
    parser = Parser(
        "sift_jax.serve",
        description="Serves models to OpenAI's clients.",
        examples=(
            "",
            "--checkpoint=runs/quickstart/export",
            "--checkpoint=runs/quickstart/export --slots=16 --queue=64 --port=8000",
        ),
    )
    parser.add_argument(
        "--checkpoint",
        action="append",
        help="a run's folder, or an export's; give several to serve them side by side (default: "
        "small, the model that comes with sift_jax)",
    )
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        help="what requests call it; by default the last two parts of its folder",
    )
    parser.add_argument("--codec", help="the codec's folder, where it has moved since training")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at")
    parser.add_argument(
        "--allow_host",
        action="append",
        default=[],
        help="a name, beside those of this machine, under which it may be asked, such as a "
        "proxy's; others are answered with 421",
    )
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one and tells it")
    parser.add_argument("--slots", type=int, default=16, help="answers that are written at once")
    parser.add_argument(
        "--queue", type=int, default=64, help="requests that may wait; more are answered with 429"
    )
    parser.add_argument(
        "--max_length", type=int, default=4096, help="positions of prompt and answer, at most"
    )
    parser.add_argument(
        "--max_new_tokens",
        type=int,
        default=256,
        help="tokens of an answer where the request says nothing",
    )
    parser.add_argument(
        "--max_body_mb",
        type=float,
        default=32.0,
        help="of a request; larger ones are answered with 413",
    )
    parser.add_argument(
        "--body_seconds", type=float, default=60.0, help="in which a request must have come"
    )
    parser.add_argument(
        "--send_seconds",
        type=float,
        default=60.0,
        help="in which a client must take a piece of its answer",
    )
    parser.add_argument(
        "--cache_mb",
        type=float,
        default=512.0,
        help="for prefixes of recordings, and as much again for what was heard",
    )
    parser.add_argument(
        "--drain_seconds",
        type=float,
        default=30.0,
        help="for running answers, once the server is asked to stop",
    )
    parser.add_argument(
        "--no_warm_up",
        action="store_true",
        help="compile when a request needs it, and not before the first one",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the sampling of requests that give none"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    flags = make_parser().parse_args(arguments)

    def run() -> None:
        for module in ("uvicorn", "starlette"):
            import_extra(module, "serve")
        from sift_jax.serving.limits import Limits
        from sift_jax.serving.run_server import Listening
        from sift_jax.serving.run_server import run as run_server

        run_server(
            flags.checkpoint or [SMALL],
            flags.name,
            Limits(
                slots=flags.slots,
                queue=flags.queue,
                positions=flags.max_length,
                new_tokens=flags.max_new_tokens,
                body_bytes=int(flags.max_body_mb * 2**20),
                body_seconds=flags.body_seconds,
                send_seconds=flags.send_seconds,
                kept_bytes=int(flags.cache_mb * 2**20),
            ),
            Listening(
                host=flags.host,
                port=flags.port,
                drain_seconds=flags.drain_seconds,
                allowed_hosts=tuple(flags.allow_host),
            ),
            codec=flags.codec,
            seed=flags.seed,
            is_warm=not flags.no_warm_up,
        )

    report_errors(run, is_debug=is_debug(flags))


if __name__ == "__main__":
    main()
