"""python -m sift_jax.export --checkpoint=runs/stage2 --out=exports/stage2
[--format=sift|peft|merged|qwen2_audio]"""

import argparse

from sift_jax.exits import report_errors


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Writes a checkpoint as safetensors that others read."
    )
    parser.add_argument("--checkpoint", required=True, help="a run's folder")
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument(
        "--format", default="sift", help="sift (ours, whole), peft, merged or qwen2_audio"
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
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    flags = parser.parse_args()

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

    report_errors(run, is_debug=flags.debug)


if __name__ == "__main__":
    main()
