"""Speech to units and back, from the command line.

    python -m sift_jax.units fit --audio=runs/quickstart/data/metadata.jsonl --out=runs/codec
    python -m sift_jax.units fit_hubert --encoder=weights/hubert-large --layer=18 --audio=…
    --out=runs/codec python -m sift_jax.units adopt_xcodec2 --weights=weights/xcodec2
    --out=runs/codec python -m sift_jax.units add_vocoder --codec=runs/codec --run=runs/vocoder
    [--step=…] [--out=runs/speaking] python -m sift_jax.units encode --codec=runs/codec
    --audio=x.wav [--audio=folder] --out=units.jsonl python -m sift_jax.units decode
    --codec=runs/codec --units=units.jsonl --out=folder

units.jsonl has a line a recording: {"audio": "x.wav", "codec": "<fingerprint>", "units": [17, 203,
…]}
"""

import argparse
from collections.abc import Sequence

from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug


def make_parser() -> Parser:
    """A parser for each way to make a codec, and for its use."""
    parser = Parser(
        "sift_jax.units",
        description="Makes a codec, and turns speech to its discrete units and back.",
        examples=(
            "fit --audio=runs/quickstart/data/metadata.jsonl --out=runs/codec",
            "encode --codec=runs/codec --audio=x.wav --out=units.jsonl",
            "decode --codec=runs/codec --units=units.jsonl --out=said",
        ),
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", help="each has --help, too"
    )
    fit = commands.add_parser("fit", help="make the embedded codec out of recordings")
    fit.add_argument("--tones", type=int, default=128, help="codes for pitch and loudness")
    fit.add_argument("--sounds", type=int, default=640, help="codes for what is said")
    fit.add_argument("--sound_ms", type=int, default=40, help="length of a sound, in tens")
    fit.add_argument("--slices", type=int, default=2, help="envelopes that a sound holds")
    fit.add_argument("--sounds_a_tone", type=int, default=3, help="sounds that follow each tone")
    hubert = commands.add_parser("fit_hubert", help="make a code book over a layer of HuBERT")
    hubert.add_argument(
        "--encoder", required=True, help="folder of the hub: config.json and *.safetensors"
    )
    hubert.add_argument(
        "--layer", type=int, required=True, help="whose output becomes units, from 1"
    )
    hubert.add_argument("--codes", type=int, default=2_000, help="units of the code book")
    hubert.add_argument(
        "--frames", type=int, default=200_000, help="to fit on, drawn evenly from all recordings"
    )
    hubert.add_argument("--deduplicate", action="store_true", help="a run of the same unit is one")
    hubert.add_argument(
        "--copy_encoder",
        action="store_true",
        help="keep the encoder's weights in the codec's folder",
    )
    for command, clips in ((fit, 1_500), (hubert, 0)):
        command.add_argument(
            "--clips", type=int, default=clips, help="recordings to fit on, drawn by --seed; 0: all"
        )
        command.add_argument("--seed", type=int, default=0, help="decides every random choice")
    adopt = commands.add_parser("adopt_xcodec2", help="make a codec out of a published X-codec2")
    adopt.add_argument(
        "--weights", required=True, help="folder of the hub: config.json and *.safetensors"
    )
    vocoder = commands.add_parser(
        "add_vocoder", help="let a codec speak by what train_vocoder has learnt"
    )
    vocoder.add_argument("--run", required=True, help="folder that train_vocoder wrote")
    vocoder.add_argument(
        "--step", type=int, help="of its checkpoints this one; without, the newest"
    )
    encode = commands.add_parser("encode", help="recordings to units")
    for command in (fit, hubert, encode):
        command.add_argument(
            "--audio",
            action="append",
            required=True,
            help="a recording, a folder of them, or the metadata.jsonl of a build; may be repeated",
        )
        command.add_argument("--max_seconds", type=float, default=7_200.0, help="of a recording")
    encode.add_argument("--split", help="of a build's recordings those of this split alone")
    decode = commands.add_parser("decode", help="units to recordings")
    decode.add_argument("--units", required=True, help="what encode wrote")
    decode.add_argument("--seed", type=int, default=0, help="of the noise in the voice")
    decode.add_argument(
        "--reference", help="a recording of the voice to speak with, where the codec takes one"
    )
    for command in (vocoder, encode, decode):
        command.add_argument("--codec", required=True, help="a codec's folder")
    vocoder.add_argument(
        "--out", help="folder for a copy of the codec; without, the vocoder is added to it"
    )
    for command in (fit, hubert, adopt, encode, decode):
        command.add_argument(
            "--out", required=True, help="folder, or for encode a .jsonl, to write"
        )
    return parser


def parse_flags(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    return make_parser().parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one of the commands."""
    flags = parse_flags(arguments)

    def run() -> None:
        from sift_jax.units import commands

        found = (
            commands.fit,
            commands.fit_hubert,
            commands.adopt_xcodec2,
            commands.add_vocoder,
            commands.encode,
            commands.decode,
        )
        print({command.__name__: command for command in found}[flags.command](flags))

    report_errors(run, is_debug=is_debug(flags))


if __name__ == "__main__":
    main()
