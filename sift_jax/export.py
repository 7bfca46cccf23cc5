"""python -m sift_jax.export --checkpoint=runs/quickstart/stage2 --out=runs/quickstart/export [--step=N]"""

import argparse

from sift_jax.cli import report_errors


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes a checkpoint as safetensors that others read.")
    parser.add_argument("--checkpoint", required=True, help="a run's folder")
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--step", type=int, help="which checkpoint; the latest if not given")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    flags = parser.parse_args()

    def run() -> None:
        from sift_jax.decoding.answer import Model
        from sift_jax.weights.export import export_model

        difference = export_model(Model.load(flags.checkpoint, flags.step), flags.out)
        print(f"{flags.out} written and read again: logits differ by at most {difference:.2e}")

    report_errors(run, is_debug=flags.debug)


if __name__ == "__main__":
    main()
