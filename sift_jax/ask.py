"""python -m sift_jax.ask [--checkpoint=runs/quickstart/stage2] --audio=x.wav [--audio=y.wav] "How
fast is she?"

With --chat, questions come from standard input, one a line, and each is answered in view of those
before it; `/audio PATH` adds a recording to the next question.
"""

import sys
from collections.abc import Iterator, Sequence

from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.shipped.places import NOTE, SMALL, is_small


def make_parser() -> Parser:
    """What is asked, of whom, and how the answer is drawn."""
    parser = Parser(
        "sift_jax.ask",
        description="Asks a model about recordings.",
        examples=(
            '--audio=sample:slow "How fast does the person talk?"',
            '--checkpoint=runs/quickstart/stage2 --audio=x.wav "How fast does she speak?"',
            "--checkpoint=runs/quickstart/stage2 --audio=x.wav --chat",
        ),
    )
    parser.add_argument(
        "--checkpoint",
        default=SMALL,
        help="a run's folder, or an export's; small is the model that comes with sift_jax",
    )
    parser.add_argument(
        "--audio",
        action="append",
        default=[],
        help="a recording, or sample:NAME of those that come with sift_jax; give several to "
        "compare them",
    )
    parser.add_argument(
        "--codec",
        help="of a model that speaks or hears units: its codec's folder, where it has moved since "
        "training",
    )
    parser.add_argument(
        "--chat",
        action="store_true",
        help="read questions from standard input, keeping the history",
    )
    parser.add_argument(
        "--temperature", type=float, default=0.0, help="0 always gives the likeliest words"
    )
    parser.add_argument(
        "--top_p", type=float, default=0.95, help="above temperature 0: the share to draw from"
    )
    parser.add_argument(
        "--repetition_penalty", type=float, default=1.0, help="1 is none; the paper's is 1.1"
    )
    parser.add_argument(
        "--no_repeat_ngram", type=int, default=0, help="no run of so many tokens twice; 0: no rule"
    )
    parser.add_argument(
        "--beams", type=int, default=1, help="answers searched side by side, at temperature 0"
    )
    parser.add_argument(
        "--max_new_tokens", type=int, default=64, help="tokens of an answer, at most"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sampling, above temperature 0")
    parser.add_argument("question", nargs="?", help="with --chat it is the first one")
    return parser


def read_lines() -> Iterator[str]:
    """Standard input, with a prompt on standard error where a person types."""
    while True:
        if sys.stdin.isatty():
            print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            if sys.stdin.isatty():
                # behind Ctrl-D the shell begins a line of its own
                print(file=sys.stderr)
            return
        yield line


def print_pieces(pieces: Iterator[str]) -> None:
    """An answer on a line, as it is written."""
    answer = ""
    for piece in pieces:
        answer += piece
        print(piece, end="", flush=True)
    print(flush=True)
    if "[speech, " in answer:
        print("note: the answer is speech; hear it with python -m sift_jax.speak", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> None:
    flags = make_parser().parse_args(arguments)

    def run() -> None:
        if not flags.chat and not (flags.question or "").strip():
            raise ValueError(
                'no question to answer; put one behind the options, as in "How fast?", or use '
                "--chat"
            )
        if is_small(flags.checkpoint):
            print(f"note: {NOTE}", file=sys.stderr)
        from sift_jax.decoding.chat import run_chat
        from sift_jax.speech_model import load

        conversation = load(flags.checkpoint, codec=flags.codec).chat(
            seed=flags.seed,
            max_new_tokens=flags.max_new_tokens,
            temperature=flags.temperature,
            top_p=flags.top_p,
            repetition_penalty=flags.repetition_penalty,
            no_repeat_ngram=flags.no_repeat_ngram,
            beams=flags.beams,
        )
        for path in flags.audio:
            conversation.hear(path)
        if not flags.audio and not flags.chat:
            print(
                "note: no recording was given, so nothing was heard; give one with --audio=FILE",
                file=sys.stderr,
            )
        if flags.question:
            print_pieces(conversation.stream(flags.question))
        if flags.chat:
            run_chat(conversation, read_lines(), print_pieces)

    report_errors(run, is_debug=is_debug(flags))


if __name__ == "__main__":
    main()
