"""Command line of the three ways to spoken question answering, and of their filter.

    python -m data_prep.synthesis speak --corpus=ms_marco --file=train_v2.1.json.gz,dev_v2.1.json.gz
    --out=data/msmarco
        [--train=100000 --dev=500 --evaluation=500] [--max_seconds=30]
        [--engine=embedded | --engine=endpoint --endpoint=… --model=… --voices=… | --engine=local
        --voice_model=DIR]
    python -m data_prep.synthesis ask --corpus=librispeech --root=/corpora --out=data/spokenqa
        --endpoint=http://localhost:8000/v1 --model=… [--pairs=1]
        [--writer=llm | --writer=few_shot [--examples=data/msmarco/triples.jsonl] [--shots=3] |
        --writer=rules]
    python -m data_prep.synthesis transcribe --corpus=spgispeech --root=/corpora --out=data/spgi
        [--asr=pocketsphinx | --asr=endpoint --endpoint=… --model=… | --asr=faster_whisper
        --asr_model=DIR]
    python -m data_prep.synthesis ask --corpus=build --root=data/spgi --out=data/spgi_qa …
    python -m data_prep.synthesis filter --data=data/spokenqa --out=data/spokenqa_filtered
    --endpoint=… --model=…
        [--least=3] | --grader=rules
    python -m data_prep.synthesis corrupt --data=data/spgi --rate=0.2 --out=data/spgi_wer20

Keys come from the environment ($SIFT_LLM_KEY, or the variable that --key_variable names). Each
command goes on in its folder where it was stopped. Records: python -m data_prep.records
--sift=OUT/sift --audio=OUT/audio --out=OUT/records
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from data_prep.corpora.splits import SPLITS
from data_prep.engine.beam_engine import add_flags, keep_processes, make_engine
from data_prep.llm.flags import add_endpoint_flags, make_endpoint
from data_prep.recognition.recognisers import RECOGNISERS, Recognising
from data_prep.synthesis import flags as given
from data_prep.synthesis.corrupt import corrupt_build
from data_prep.synthesis.grade_triples import grade
from data_prep.synthesis.graders import BEST, GRADERS, Grading
from data_prep.synthesis.question_writers.writer import LLM, WRITERS, Writing
from data_prep.synthesis.speak_passages import SETS, Reading, speak
from data_prep.synthesis.transcribe import transcribe
from data_prep.synthesis.transcript_checks import Limits
from data_prep.synthesis.tts.engine import EMBEDDED, ENGINES, Speaking
from data_prep.synthesis.tts.speech_endpoint import FORMATS
from data_prep.synthesis.write_questions import ask
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug, read_fields
from sift_jax.sift.rows import LANGUAGES


def _add_speak(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--corpus", required=True, choices=tuple(SETS), help="whose questions and passages")
    add(
        "--file",
        required=True,
        help="the set's own .json, or .json.gz; several are separated by commas",
    )
    add("--language", choices=LANGUAGES, default="en", help="in which it is written")
    add(
        "--split",
        choices=SPLITS,
        help="of all that is in the files; if not given, files with dev, val, test or eval "
        "in their names are shared out over dev and EvalSIFT, and the others are for training",
    )
    add("--engine", choices=ENGINES, default=EMBEDDED, help="what speaks")
    add(
        "--voices",
        default="",
        help="those of the endpoint, comma-separated; a passage is spoken by one of them",
    )
    add("--format", choices=FORMATS, default="flac", help="of the endpoint's audio")
    add("--voice_model", type=Path, help="folder of a VITS of transformers, for --engine=local")
    add(
        "--max_seconds",
        type=float,
        default=30.0,
        help="passages that take longer to say are skipped",
    )
    add(
        "--longest_sentence",
        type=int,
        default=300,
        help="letters; longer ones are spoken in pieces",
    )
    add_endpoint_flags(parser, "with /audio/speech")
    given.add_size_flags(parser, "passages")


def _run_speak(flags: argparse.Namespace) -> None:
    if not flags.max_seconds > 0 or flags.longest_sentence < 40:
        raise ValueError("--max_seconds must be above 0, and --longest_sentence at least 40")
    speaking = Speaking(
        engine=flags.engine,
        endpoint=make_endpoint(flags),
        voices=tuple(filter(None, flags.voices.split(","))),
        audio_format=flags.format,
        model=flags.voice_model,
    )
    files = tuple(Path(name) for name in flags.file.split(",") if name)
    reading = Reading(
        corpus=flags.corpus,
        files=files,
        language=flags.language,
        split=flags.split,
        sizes=given.make_sizes(flags),
        max_seconds=flags.max_seconds,
        longest_sentence=flags.longest_sentence,
        seed=flags.seed,
    )
    build_engine = make_engine(flags.workers, flags.beam_options)
    with keep_processes(build_engine):
        speak(reading, speaking, flags.out, build_engine)


def _add_ask(parser: argparse.ArgumentParser) -> None:
    given.add_source_flags(parser)
    parser.add_argument(
        "--writer",
        choices=WRITERS,
        default=LLM,
        help="a language model behind --endpoint, instructed, or shown examples; or rules, "
        "which ask for words and their order, to try everything out without a server",
    )
    parser.add_argument(
        "--pairs", type=int, default=1, help="questions about each recording, at most"
    )
    parser.add_argument(
        "--examples",
        type=Path,
        help="of few_shot: JSON lines with transcript, question and answer, "
        "as in a triples.jsonl; a few of our own if not given",
    )
    parser.add_argument("--shots", type=int, default=3, help="of few_shot: examples in each prompt")
    add_endpoint_flags(parser, "with /chat/completions")
    given.add_size_flags(parser, "recordings")


def _run_ask(flags: argparse.Namespace) -> None:
    writing = Writing(
        writer=flags.writer,
        endpoint=make_endpoint(flags),
        pairs=flags.pairs,
        seed=flags.seed,
        examples=flags.examples,
        shots=flags.shots,
    )
    engine = make_engine(flags.workers, flags.beam_options)
    with keep_processes(engine):
        ask(
            given.make_source(flags, is_said=True),
            writing,
            flags.out,
            sizes=given.make_sizes(flags),
            seed=flags.seed,
            engine=engine,
        )


def _add_transcribe(parser: argparse.ArgumentParser) -> None:
    given.add_source_flags(parser)
    add = parser.add_argument
    add("--asr", choices=RECOGNISERS, default=RECOGNISERS[0], help="what writes the speech down")
    add("--asr_model", help="folder of a Whisper in CTranslate2's layout, for --asr=faster_whisper")
    add(
        "--least_confidence",
        type=float,
        default=0.0,
        help="transcripts of less, by the recogniser's own measure, are skipped",
    )
    add("--most_letters", type=float, default=25.0, help="letters a second that nobody says")
    add(
        "--least_letters",
        type=float,
        default=1.0,
        help="letters a second of one who says hardly anything",
    )
    add(
        "--most_no_speech",
        type=float,
        default=0.8,
        help="where the recogniser doubts so much that somebody speaks",
    )
    add_endpoint_flags(parser, "with /audio/transcriptions")
    given.add_size_flags(parser, "recordings")


def _run_transcribe(flags: argparse.Namespace) -> None:
    recognising = Recognising(
        recogniser=flags.asr, endpoint=make_endpoint(flags), model=flags.asr_model
    )
    limits = Limits(**read_fields(Limits, flags))
    engine = make_engine(flags.workers, flags.beam_options)
    with keep_processes(engine):
        transcribe(
            given.make_source(flags, is_said=False),
            recognising,
            limits,
            flags.out,
            sizes=given.make_sizes(flags),
            seed=flags.seed,
            engine=engine,
        )


def _add_filter(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", type=Path, required=True, help="what speak or ask has made, with triples.jsonl")
    add(
        "--out",
        type=Path,
        required=True,
        help="folder for everything that is made; the audio stays where it is",
    )
    add(
        "--grader",
        choices=GRADERS,
        default=GRADERS[0],
        help="a language model behind --endpoint, or rules, which see "
        "words that are foreign to the recording, and no more",
    )
    add(
        "--least",
        type=int,
        choices=range(1, BEST + 1),
        default=3,
        help="triples with a lower grade fall",
    )
    add("--seed", type=int, default=0, help="decides every random choice")
    add_endpoint_flags(parser, "with /chat/completions")


def _run_filter(flags: argparse.Namespace) -> None:
    grading = Grading(grader=flags.grader, endpoint=make_endpoint(flags))
    engine = make_engine(flags.workers, flags.beam_options)
    with keep_processes(engine):
        grade(flags.data, grading, flags.out, least=flags.least, seed=flags.seed, engine=engine)


def _add_corrupt(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--data",
        type=Path,
        required=True,
        help="a build, or what transcribe, speak or ask has made",
    )
    add("--rate", type=float, required=True, help="the word error rate wanted, 0.2 for 20 %%")
    add("--out", type=Path, required=True, help="folder for the copy; the audio stays where it is")
    add("--seed", type=int, default=0, help="decides which words are wrong")


def _run_corrupt(flags: argparse.Namespace) -> None:
    corrupt_build(flags.data, flags.rate, flags.seed, flags.out)


COMMANDS: dict[
    str, tuple[str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], None]]
] = {
    "speak": ("a text's questions, and its passages spoken", _add_speak, _run_speak),
    "ask": ("questions and answers written from transcripts", _add_ask, _run_ask),
    "transcribe": (
        "speech written down by a recogniser, with guards",
        _add_transcribe,
        _run_transcribe,
    ),
    "filter": (
        "triples graded against their transcripts, and the bad ones skipped",
        _add_filter,
        _run_filter,
    ),
    "corrupt": ("transcripts with a wanted word error rate", _add_corrupt, _run_corrupt),
}


def make_parser() -> Parser:
    """A parser for each of the commands."""
    parser = Parser(
        "data_prep.synthesis",
        description="Makes spoken question answering out of texts or transcripts.",
        examples=(
            "speak --corpus=squad --file=train-v1.1.json --out=data/squad",
            "ask --corpus=librispeech --root=/corpora --out=data/spokenqa "
            "--endpoint=http://localhost:8000/v1 --model=Qwen2.5-7B-Instruct",
            "transcribe --corpus=spgispeech --root=/corpora --out=data/spgi",
            "filter --data=data/spokenqa --out=data/spokenqa_filtered --grader=rules",
            "corrupt --data=data/spgi --rate=0.2 --out=data/spgi_wer20",
        ),
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", help="each has --help, too"
    )
    for name, (what, add, _) in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
        add(command)
        add_flags(command)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one of the commands and says where its data is."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags), can_resume=True)


def _run(flags: argparse.Namespace) -> None:
    COMMANDS[flags.command][2](flags)
    print(
        f"\ndata {flags.out}   skipped {flags.out}/rejected.jsonl   report {flags.out}/report.json"
    )


if __name__ == "__main__":
    main()
