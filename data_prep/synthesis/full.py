"""The data of the SALM paper's experiments at full size, by the commands of this room, one after
the other.

    python -m data_prep.synthesis.full --out=runs/salm_sweep_full/data --corpora=/corpora
    --ms_marco=/corpora/ms_marco
        --writer="--endpoint=http://localhost:8000/v1 --model=…" [--speaker=…] [--asr=…] [--rates=5,10] [--dry_run]

    out/asr                              LibriSpeech's recognition
    out/tts  out/llm  out/filtered       Speech-MSMARCO; SpokenQA-LS, and what the filter leaves of it
    out/heard  out/llm_asr               what a recogniser hears in LibriSpeech, and the questions about that
    out/wer05 …  out/llm_wer05 …         LibriSpeech's transcripts with wrong words, and the questions about these
    out/sets/<arm>/{sift,records}        each with the recognition
    out/tests/{speech_msmarco,spokenqa_ls}

Each command resumes where it was stopped, and is quick where it is done.
"""

import argparse
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from data_prep.records import main as join_records
from data_prep.synthesis.__main__ import main as synthesise
from data_prep.synthesis.join import main as join
from data_prep.tasks.__main__ import main as make_tasks
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug

PROGRAMS: dict[str, Callable[[Sequence[str]], None]] = {
    "data_prep.tasks": make_tasks,
    "data_prep.synthesis": synthesise,
    "data_prep.synthesis.join": join,
    "data_prep.records": join_records,
}
_TESTS = {"speech_msmarco": "tts", "spokenqa_ls": "llm"}


def list_commands(flags: argparse.Namespace) -> list[str]:
    out = shlex.quote(str(flags.out))
    synthesis = "-m data_prep.synthesis"
    rates = [int(rate) for rate in flags.rates.split(",") if rate]
    corpus = f"--corpus=librispeech --root={shlex.quote(str(flags.corpora))}"
    files = ",".join(
        str(flags.ms_marco / name) for name in ("train_v2.1.json.gz", "dev_v2.1.json.gz")
    )
    commands = [
        f"-m data_prep.tasks --task=asr {corpus} --out={out}/asr --skip_records",
        (
            f"{synthesis} speak --corpus=ms_marco --file={shlex.quote(files)} --out={out}/tts "
            f"{flags.speaker}"
        ),
        f"{synthesis} ask {corpus} --out={out}/llm {flags.writer}",
        f"{synthesis} filter --data={out}/llm --out={out}/filtered {flags.writer}",
        f"{synthesis} transcribe {corpus} --out={out}/heard {flags.asr}",
        f"{synthesis} ask --corpus=build --root={out}/heard --out={out}/llm_asr {flags.writer}",
    ]
    for rate in rates:
        commands += [
            f"{synthesis} corrupt --data={out}/llm --rate={rate / 100} --out={out}/wer{rate:02d}",
            (
                f"{synthesis} ask --corpus=build --root={out}/wer{rate:02d} "
                f"--out={out}/llm_wer{rate:02d} {flags.writer}"
            ),
        ]
    arms = {
        name: [name]
        for name in ("llm", "tts", "filtered", "llm_asr", *(f"llm_wer{rate:02d}" for rate in rates))
    }
    for name, parts in {**arms, "both": ["llm", "tts"]}.items():
        sift = ",".join(f"{out}/{part}/sift" for part in ("asr", *parts))
        audio = " ".join(
            f"--audio={out}/{part}/audio"
            for part in dict.fromkeys(("asr", *map(_find_audio, parts)))
        )
        commands += [
            f"{synthesis}.join --sift={sift} --out={out}/sets/{name}/sift",
            (
                f"-m data_prep.records --sift={out}/sets/{name}/sift {audio} "
                f"--out={out}/sets/{name}/records"
            ),
        ]
    return commands


def _find_audio(part: str) -> str:
    """What a filter leaves is heard where it was."""
    return "llm" if part == "filtered" else part


def make_parser() -> Parser:
    """Where the corpora are, and who writes, speaks and listens."""
    parser = Parser(
        "data_prep.synthesis.full",
        description="Makes the data of the synthesis experiments at full size, one command after "
        "the other.",
        examples=(
            "--out=runs/salm_sweep_full/data --corpora=/corpora --ms_marco=/corpora/ms_marco "
            '--writer="--endpoint=http://localhost:8000/v1 --model=Qwen2.5-7B-Instruct" --dry_run',
        ),
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for everything that is made"
    )
    parser.add_argument(
        "--corpora", type=Path, required=True, help="where LibriSpeech was unpacked"
    )
    parser.add_argument("--ms_marco", type=Path, required=True, help="folder of its two .json.gz")
    parser.add_argument("--speaker", default="--engine=embedded", help="flags of speak")
    parser.add_argument(
        "--writer", required=True, help="flags of ask and filter: --endpoint=… --model=…"
    )
    parser.add_argument("--asr", default="--asr=pocketsphinx", help="flags of transcribe")
    parser.add_argument(
        "--rates", default="5,10,15,20,30", help="word error rates in percent, comma-separated"
    )
    parser.add_argument("--dry_run", action="store_true", help="print the commands and stop")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the commands, or prints them."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags), can_resume=True)


def _run(flags: argparse.Namespace) -> None:
    for command in list_commands(flags):
        print(f"python {command}", flush=True)
        if not flags.dry_run:
            _, module, *words = shlex.split(command)
            # one that fails ends all with its own words
            PROGRAMS[module](words)
    for name, part in _TESTS.items():
        link = flags.out / "tests" / name
        if not flags.dry_run and not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to((flags.out / part).resolve())


if __name__ == "__main__":
    main()
