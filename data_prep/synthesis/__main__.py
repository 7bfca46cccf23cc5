"""Command line of the three ways to spoken question answering, and of their filter.

    python -m data_prep.synthesis speak --corpus=ms_marco --file=train_v2.1.json.gz,dev_v2.1.json.gz --out=data/msmarco
        [--train=100000 --dev=500 --evaluation=500] [--max_seconds=30]
        [--engine=embedded | --engine=endpoint --endpoint=… --model=… --voices=… | --engine=local --voice_model=DIR]
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from data_prep.corpora.embedded.espeak import EspeakError
from data_prep.engine import add_flags, keep_processes, make_engine
from data_prep.llm.client import EndpointError
from data_prep.llm.journal import JournalError
from data_prep.splits import SPLITS
from data_prep.synthesis import flags as given
from data_prep.synthesis.engines import EMBEDDED, ENGINES, Speaking
from data_prep.synthesis.speak import SETS, Reading, speak
from data_prep.synthesis.speech_endpoint import FORMATS
from sift_jax.data.sift_files import LANGUAGES


def _add_speak(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--corpus", required=True, choices=tuple(SETS), help="whose questions and passages")
    add("--file", required=True, help="the set's own .json, or .json.gz; several are separated by commas")
    add("--language", choices=LANGUAGES, default="en", help="in which it is written")
    add("--split", choices=SPLITS, help="of all that is in the files; if not given, files with dev, val, test or eval "
        "in their names are shared out over dev and EvalSIFT, and the others are for training")
    add("--engine", choices=ENGINES, default=EMBEDDED, help="what speaks")
    add("--voices", default="", help="those of the endpoint, comma-separated; a passage is spoken by one of them")
    add("--format", choices=FORMATS, default="flac", help="of the endpoint's audio")
    add("--voice_model", type=Path, help="folder of a VITS of transformers, for --engine=local")
    add("--max_seconds", type=float, default=30.0, help="passages that take longer to say are set aside")
    add("--longest_sentence", type=int, default=300, help="letters; longer ones are spoken in pieces")
    given.add_endpoint_flags(parser, "with /audio/speech")
    given.add_size_flags(parser, "passages")


def _run_speak(flags: argparse.Namespace) -> None:
    if not flags.max_seconds > 0 or flags.longest_sentence < 40:
        raise ValueError("--max_seconds must be above 0, and --longest_sentence at least 40")
    speaking = Speaking(engine=flags.engine, endpoint=given.make_endpoint(flags),
                        voices=tuple(filter(None, flags.voices.split(","))), audio_format=flags.format,
                        model=flags.voice_model)
    files = tuple(Path(name) for name in flags.file.split(",") if name)
    reading = Reading(corpus=flags.corpus, files=files, language=flags.language, split=flags.split,
                      sizes=given.make_sizes(flags), max_seconds=flags.max_seconds,
                      longest_sentence=flags.longest_sentence, seed=flags.seed)
    crew = make_engine(flags.workers, flags.beam_options)
    with keep_processes(crew):
        speak(reading, speaking, flags.out, crew)


COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], None]]] = {
    "speak": ("a text's questions, and its passages spoken", _add_speak, _run_speak),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one of the commands and says where its data is."""
    parser = given.Parser(prog="data_prep.synthesis", description="Spoken question answering out of what one has.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=given.Parser)
    for name, (what, add, _) in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
        add(command)
        add_flags(command)
    flags = parser.parse_args(arguments)
    try:
        COMMANDS[flags.command][2](flags)
    except (EndpointError, EspeakError, JournalError, ValueError, OSError) as error:
        sys.exit(f"data_prep.synthesis {flags.command}: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        sys.exit(f"data_prep.synthesis {flags.command}: stopped; the same command goes on from here")
    print(f"\ndata {flags.out}   set aside {flags.out}/rejected.jsonl   report {flags.out}/report.json")


if __name__ == "__main__":
    main()
