"""python -m sift_jax.ask --checkpoint=runs/quickstart/stage2 --audio=x.wav [--audio=y.wav] "How fast is she?" """

import argparse

from sift_jax.cli import report_errors


def main() -> None:
    parser = argparse.ArgumentParser(description="Asks a model about recordings.")
    parser.add_argument("--checkpoint", required=True, help="a run's folder, or an export's")
    parser.add_argument("--audio", action="append", default=[], help="a recording; give several to compare them")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 always gives the likeliest words")
    parser.add_argument("--max_new_tokens", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0, help="of the sampling, above temperature 0")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("question")
    flags = parser.parse_args()

    def run() -> None:
        from sift_jax.audio.files import read_audio
        from sift_jax.data.chat import make_question
        from sift_jax.decoding.answer import Model, answer_all, make_prompt
        from sift_jax.decoding.sampling import DecodingConfig

        model = Model.load(flags.checkpoint)
        window = model.config.encoder.window_seconds
        prompt = make_prompt(
            model, make_question(flags.question, flags.audio), lambda path: read_audio(path, max_seconds=window)
        )
        decoding = DecodingConfig(
            max_new_tokens=flags.max_new_tokens, temperature=flags.temperature, top_p=0.95, repetition_penalty=1.0,
            no_repeat_ngram=0,
        )
        print(answer_all(model, [prompt], decoding, rows=1, seed=flags.seed)[0])

    report_errors(run, is_debug=flags.debug)


if __name__ == "__main__":
    main()
