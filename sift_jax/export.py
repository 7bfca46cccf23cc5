"""python -m sift_jax.export --checkpoint=runs/stage2 --out=exports/stage2
[--format=sift|peft|merged|qwen2_audio|transformers]"""

from collections.abc import Sequence

from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug


def make_parser() -> Parser:
    """Which checkpoint, and in which form."""
    parser = Parser(
        "sift_jax.export",
        description="Writes a checkpoint as safetensors that other programs read.",
        examples=(
            "--checkpoint=runs/stage2 --out=exports/stage2",
            "--checkpoint=runs/stage2 --out=exports/merged --format=merged --dtype=bfloat16",
        ),
    )
    parser.add_argument("--checkpoint", required=True, help="a run's folder")
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument(
        "--format",
        default="sift",
        help="sift (ours, whole), transformers (whole, with its code), peft, merged or qwen2_audio",
    )
    parser.add_argument("--step", type=int, help="which checkpoint; the latest if not given")
    parser.add_argument(
        "--dtype", default="float32", help="of the files: float32, bfloat16 or float16"
    )
    parser.add_argument(
        "--max_file_gb", type=float, default=5.0, help="a larger model is spread over several files"
    )
    parser.add_argument(
        "--base", help="peft: the decoder's folder or hf:// name; not given, it is written to base/"
    )
    parser.add_argument(
        "--push",
        metavar="OWNER/NAME",
        help="upload the folder to this repository of the Hugging Face hub, which is made private "
        "if it is not there; HF_TOKEN holds the token",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Exports, reads it again, and says how far the logits are apart."""
    flags = make_parser().parse_args(arguments)

    def run() -> None:
        from sift_jax.exporting.export import export_model
        from sift_jax.exporting.formats import ExportConfig
        from sift_jax.exporting.push import check_push, push_export
        from sift_jax.pretrained import Model

        if flags.push:
            # before the work
            check_push(flags.push)

        config = ExportConfig(
            format=flags.format,
            dtype=flags.dtype,
            max_bytes=int(flags.max_file_gb * 1e9),
            base=flags.base,
        )
        model = Model.load(flags.checkpoint, flags.step)
        difference = export_model(
            model, flags.out, config, run_dir=flags.checkpoint, repo=flags.push
        )
        print(f"{flags.out} written and read again: logits differ by at most {difference:.2e}")
        if flags.push:
            print(f"pushed: {push_export(flags.out, flags.push)}")

    report_errors(run, is_debug=is_debug(flags))


if __name__ == "__main__":
    main()
