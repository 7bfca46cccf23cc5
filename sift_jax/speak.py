"""python -m sift_jax.speak --checkpoint=runs/quickstart/stage3 --text="Rain falls." --style="very
slowly, softly"
--out=x.wav

    [--language=en] [--samples=3] [--seed=0] [--codec=runs/codec] [--reference=voice.wav]
    [--temperature=0.8]
    --audio=q.wav [--text="Translate this."] --out=x.wav          a spoken question, answered by voice
    --items=items.jsonl --samples=3 --out=DIR                     many, into DIR/spoken.jsonl; killed, it resumes

Several samples become x-1.wav, x-2.wav, …. What an answer may take follows from its text; one that
had to be cut there is reported.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug


def make_parser() -> Parser:
    """What is said or answered, by whom, and in which voice."""
    parser = Parser(
        "sift_jax.speak",
        description="Has a model say a text, answer a recording by voice, or both for many items.",
        examples=(
            '--checkpoint=runs/quickstart/stage3 --text="Rain falls." --style="very slowly, softly" '
            "--out=x.wav",
            "--checkpoint=runs/stage3 --audio=question.wav --out=answer.wav",
            "--checkpoint=runs/stage3 --items=items.jsonl --samples=10 --out=spoken",
        ),
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        required=True,
        help="a run that was trained with a DataConfig.codec, or its export",
    )
    add("--text", help="what is to be said; with --audio, what is asked beside it")
    add("--style", default="", help='how, as in "very slowly, with a quite low pitch, softly"')
    add("--language", default="en", help="of the text: en, de, fr, it or es")
    add("--audio", help="a recording to be answered by voice")
    add(
        "--items",
        type=Path,
        help="a file of instructions, a JSON object a line; --out is a folder then",
    )
    add("--samples", type=int, default=1, help="answers to each text, recording or item")
    add("--seed", type=int, default=0, help="of the sampling, above temperature 0")
    add("--temperature", type=float, default=0.8, help="0 always gives the likeliest units")
    add("--top_p", type=float, default=0.95, help="above temperature 0: the share to draw from")
    add("--codec", help="the folder of its codec, if it is no longer where it was in training")
    add(
        "--reference",
        help="a recording of the voice to speak with, for codecs whose units have none",
    )
    add("--max_seconds", type=float, default=30.0, help="of an answer at a middling pace")
    add("--rows", type=int, default=8, help="with --items: answers that are made at once")
    add("--out", required=True, help=".wav or .flac; with --items a folder")
    return parser


def check_flags(flags: argparse.Namespace) -> None:
    """What can be said before anything is loaded."""
    if flags.items is not None and (flags.text or flags.style or flags.audio):
        raise ValueError("--items holds the instructions; leave --text, --style and --audio out")
    if flags.audio and flags.style:
        raise ValueError("--style is for a --text to be said; leave it out with --audio")
    if flags.items is None and flags.audio is None:
        from sift_jax.sift.speaking_styles import check_text, read_style

        check_text(flags.text or "")
        read_style(flags.style, flags.language)
    if flags.items is None and Path(flags.out).suffix not in (".wav", ".flac"):
        raise ValueError(f"--out={flags.out} is neither .wav nor .flac; name such a file")
    if flags.samples < 1:
        raise ValueError(f"--samples={flags.samples} is too few; give 1 or more")


def speak(flags: argparse.Namespace) -> None:
    check_flags(flags)
    if flags.items is not None:
        from sift_jax.decoding.speak_requests import say_items
        from sift_jax.pretrained import Model

        print(say_items(Model.load(flags.checkpoint), flags))
        return
    from sift_jax.speech_model import load

    out = Path(flags.out)
    spoken = load(flags.checkpoint, codec=flags.codec, rows=flags.rows).iterate_speech(
        flags.text or "",
        samples=flags.samples,
        style=flags.style,
        language=flags.language,
        audio=flags.audio,
        reference=flags.reference,
        temperature=flags.temperature,
        top_p=flags.top_p,
        max_seconds=flags.max_seconds,
        seed=flags.seed,
        warn=lambda text: print(text, file=sys.stderr),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    for number, speech in enumerate(spoken, 1):
        if number == 1 and speech.instruction:
            print(f"asked: {speech.instruction}", file=sys.stderr)
        path = out if flags.samples == 1 else out.with_stem(f"{out.stem}-{number}")
        speech.save(path)
        print(f"{path}: {speech.describe()}")


def main(arguments: Sequence[str] | None = None) -> None:
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: speak(flags), is_debug=is_debug(flags))


if __name__ == "__main__":
    main()
