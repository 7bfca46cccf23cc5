"""Command line that has a decoder answer instructions about a measured corpus by itself.

    python -m data_prep.self_answer --metadata=data/mls/metadata.jsonl --model=weights/Qwen2.5-7B-Instruct
        --out=data/mls/self [--instructions=mine.json] [--answers=3] [--languages=en,de] [--splits=train,dev]
        [--utterances=100] [--rows=64] [--dtype=bfloat16] [--max_new_tokens=128 --temperature=0.7 --top_p=0.9]

The decoder is a folder of weights, or that of a run or an export with LoRA off. Started again with
the same folder it resumes where it was.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from data_prep.self_answer.write import Plan, format_report, read_instructions, write_self_answers
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, add_fields, is_debug, read_fields
from sift_jax.text.chat_template import TEMPLATES


def make_parser() -> Parser:
    """What is asked about which utterances, and of which decoder."""
    parser = Parser(
        "data_prep.self_answer",
        description="Has a decoder answer instructions about a measured corpus, read as text.",
        examples=(
            "--metadata=data/mls/metadata.jsonl --model=weights/Qwen2.5-7B-Instruct "
            "--out=data/mls/self --dtype=bfloat16",
            "--metadata=runs/quickstart/data/metadata.jsonl --model=runs/quickstart/stage2 "
            "--out=runs/self --utterances=20",
        ),
    )
    parser.add_argument(
        "--metadata", type=Path, required=True, help="metadata.jsonl of a measured corpus"
    )
    parser.add_argument(
        "--model",
        required=True,
        help="a run's folder, an export's, or a decoder's (here or hf://owner/name)",
    )
    parser.add_argument("--step", type=int, help="of a run: the checkpoint, if not the latest")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the journal of answers and the rows"
    )
    parser.add_argument(
        "--instructions",
        type=Path,
        help='a JSON file of your own, {"en": ["Describe the voice.", …]}, instead of ours',
    )
    asked = {
        "answers": "instructions an utterance, at most",
        "languages": "comma-separated",
        "splits": "comma-separated",
        "utterances": "at most so many of each split and language",
        "corpus": "name in data_source, before the language",
    }
    add_fields(parser, Plan, asked)
    parser.add_argument("--rows", type=int, default=16, help="prompts that are answered together")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32", help="of the arithmetic"
    )
    parser.add_argument(
        "--chat_template",
        choices=tuple(TEMPLATES),
        help="for a decoder's folder that has none, or instead of its own",
    )
    parser.add_argument("--max_new_tokens", type=int, default=128, help="of an answer, at most")
    parser.add_argument("--temperature", type=float, default=0.7, help="0 takes the likeliest")
    parser.add_argument("--top_p", type=float, default=0.9, help="mass of the tokens drawn from")
    add_fields(parser, Plan, {"seed": "decides what is asked, and drawn"})
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the rows and says what came of it."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags), can_resume=True)


def _run(flags: argparse.Namespace) -> None:
    plan = Plan(**read_fields(Plan, flags))
    if flags.rows < 1:
        raise ValueError(f"--rows is {flags.rows}; give 1 or more")
    instructions = read_instructions(flags.instructions)
    # late: jax takes seconds, and what is wrong above is told before
    from data_prep.self_answer.decoder import load_text_decoder
    from sift_jax.decoding.sampling import DecodingConfig

    decoding = DecodingConfig(
        **read_fields(DecodingConfig, flags), repetition_penalty=1.0, no_repeat_ngram=0, beams=1
    )
    answerer = load_text_decoder(
        flags.model,
        decoding,
        step=flags.step,
        dtype=flags.dtype,
        chat_template=flags.chat_template,
        rows=flags.rows,
        seed=flags.seed,
    )
    report = write_self_answers(
        flags.metadata,
        flags.out,
        answerer=answerer,
        plan=plan,
        instructions=instructions,
        tell=lambda line: print(line, flush=True),
    )
    print("\n".join(format_report(report)))
    print(f"rows {flags.out}/sift   skipped {flags.out}/rejected.jsonl")


if __name__ == "__main__":
    main()
