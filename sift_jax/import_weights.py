"""python -m sift_jax.import_weights --from=model.gguf --out=weights/NAME
[--dtype=float16|bfloat16|float32]

Weights of other programs as a folder of safetensors with its config.json and tokenizer, for
ModelConfig.decoder or encoder. Nothing of the files is run: they are read as numbers and names.

    model.gguf            llama.cpp's, of a llama or qwen2
    FOLDER or model.bin   CTranslate2's, of a Whisper (faster-whisper)
    FOLDER                with pytorch_model….bin: PyTorch's, of a decoder
    base.pt               OpenAI's, of a Whisper
    BEATs….pt             with --encoder=a Whisper's folder: the encoder of a SALMONN
    salmonn….pth          with that encoder and --base=Vicuna's folder: a whole SALMONN
    adapters/mine         PEFT's, of a LoRA: merged into the decoder that it names, or that --base does
"""

from collections.abc import Sequence

from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug


def make_parser() -> Parser:
    """Whose weights, and where they go."""
    parser = Parser(
        "sift_jax.import_weights",
        description="Converts a GGUF, a Whisper of CTranslate2 or one of OpenAI, a BEATs or a SALMONN "
        "to a folder; merges an adapter of PEFT into its base.",
        examples=(
            "--from=qwen2.5-0.5b-q8_0.gguf --out=weights/qwen2.5-0.5b",
            "--from=base.pt --out=weights/whisper-base --dtype=float32",
        ),
    )
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        help="the file, or the folder of CTranslate2, of PEFT or of a decoder in PyTorch's files",
    )
    parser.add_argument(
        "--base",
        help="the decoder under an adapter, instead of the one that it names, or a SALMONN's",
    )
    parser.add_argument(
        "--encoder", help="the Whisper beside a BEATs, or the folder of both for a SALMONN"
    )
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument(
        "--tokenizer", help="a folder whose tokenizer is taken instead of the file's"
    )
    parser.add_argument(
        "--dtype", default="float16", help="of the tensors: float16, bfloat16 or float32"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Converts, and says what there is."""
    flags = make_parser().parse_args(arguments)

    def run() -> None:
        from sift_jax.weights.foreign.convert import import_weights

        print(
            import_weights(
                flags.source,
                flags.out,
                dtype=flags.dtype,
                tokenizer=flags.tokenizer,
                base=flags.base,
                encoder=flags.encoder,
            )
        )

    report_errors(run, is_debug=is_debug(flags))


if __name__ == "__main__":
    main()
