"""python -m sift_jax.import_weights --from=model.gguf --out=weights/NAME
[--dtype=float16|bfloat16|float32]

Weights of other programs as a folder of safetensors with its config.json and tokenizer, for
ModelConfig.decoder or encoder. Nothing of the files is run: they are read as numbers and names.

    model.gguf            llama.cpp's, of a llama or qwen2
    FOLDER or model.bin   CTranslate2's, of a Whisper (faster-whisper)
    base.pt               OpenAI's, of a Whisper
"""

import argparse

from sift_jax.exits import report_errors


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Converts a GGUF, CTranslate2's Whisper or OpenAI's to a folder."
    )
    parser.add_argument(
        "--from", dest="source", required=True, help="the file, or CTranslate2's folder"
    )
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument(
        "--tokenizer", help="a folder whose tokenizer is taken instead of the file's"
    )
    parser.add_argument(
        "--dtype", default="float16", help="of the tensors: float16, bfloat16 or float32"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    flags = parser.parse_args()

    def run() -> None:
        from sift_jax.weights.foreign.convert import import_weights

        print(import_weights(flags.source, flags.out, dtype=flags.dtype, tokenizer=flags.tokenizer))

    report_errors(run, is_debug=flags.debug)


if __name__ == "__main__":
    main()
