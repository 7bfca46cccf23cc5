"""Command line of stage 1's tasks: each call adds tasks of one corpus to a folder of SIFT files and
records.

python -m data_prep.tasks --task=asr,tts --corpus=librispeech --root=/corpora --out=runs/pt1
--skip_records python -m data_prep.tasks --task=translation --corpus=covost2 --root=/corpora/cv4
--languages=de,fr --out=runs/pt1
    [--train=N --dev=500 --evaluation=500] [--min_seconds=0.5 --max_seconds=30]
    [--wordings=8|mine.json] [--seed=0] [--workers=2] [--compression=opus] [--skip_records]
python -m data_prep.tasks --task=speaker_asr --corpus=manifest --manifest=icsi.jsonl --languages=en
--out=runs/pt1
    [--root=/corpora/icsi] [--name=icsi]
"""

import argparse
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from data_prep.corpora.registry import Reading
from data_prep.engine.beam_engine import add_flags, keep_processes, make_engine
from data_prep.engine.ledger import format_accounts
from data_prep.records import format_summary, join_release
from data_prep.tasks.build import Job, hold, join_rejected, run_job, write_task_files
from data_prep.tasks.registry import CORPUS_NAMES, MANIFEST, TAKEN_NAMES, TASKS, list_languages
from data_prep.tasks.wordings import make_templates, read_wordings
from sift_jax.data.records.record_audio import COMPRESSIONS, FLAC
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.labels import LANGUAGES


def parse_arguments(arguments: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[Job]]:
    """Flags, checked, and a job for each task."""
    parser = make_parser()
    flags = parser.parse_args(arguments)
    tasks = tuple(dict.fromkeys(flags.task.split(",")))
    if unknown := [task for task in tasks if task not in TASKS]:
        parser.error(f"--task: no task {unknown[0]!r}; choose of {','.join(TASKS)}")
    for task in tasks:
        if flags.corpus != MANIFEST and flags.corpus not in TASKS[task]:
            parser.error(
                f"--corpus={flags.corpus} has no {task}; choose of "
                f"{','.join((*TASKS[task], MANIFEST))}"
            )
    if (flags.manifest is not None) != (flags.corpus == MANIFEST):
        parser.error(f"--manifest goes with --corpus={MANIFEST}, and one needs the other")
    name = flags.name or (flags.manifest.stem if flags.manifest else flags.corpus)
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name) or (flags.name and flags.corpus != MANIFEST):
        parser.error(f"--name={name} is for a manifest, of up to 40 letters, digits, - and _")
    if flags.corpus == MANIFEST and name in TAKEN_NAMES:
        parser.error(f"--name={name} is the name of a corpus; give the manifest another")
    if not 0 < flags.min_seconds < flags.max_seconds:
        parser.error(
            f"--min_seconds={flags.min_seconds:g} and --max_seconds={flags.max_seconds:g} leave "
            "nothing; give 0 < min < max"
        )
    for size, least in (("train", 1), ("dev", 0), ("evaluation", 0), ("workers", 1)):
        if getattr(flags, size) is not None and getattr(flags, size) < least:
            parser.error(f"--{size}={getattr(flags, size)} is too small; give at least {least}")
    reading = Reading(
        root=flags.root,
        manifest=flags.manifest,
        min_seconds=flags.min_seconds,
        max_seconds=flags.max_seconds,
        phonemes="own",
        locales=(),
        locale_utterances=0,
    )
    jobs = []
    for task in tasks:
        spoken = list_languages(task, flags.corpus)
        languages = tuple(dict.fromkeys((flags.languages or ",".join(spoken)).split(",")))
        if strange := [language for language in languages if language not in spoken]:
            parser.error(
                f"--languages: {strange[0]!r} is not spoken here; choose of {','.join(spoken)}"
            )
        jobs.append(
            Job(
                task=task,
                corpus=flags.corpus,
                name=name,
                reading=reading,
                languages=languages,
                train=flags.train,
                dev=flags.dev,
                evaluation=flags.evaluation,
                seed=flags.seed,
            )
        )
    return flags, jobs


def make_parser() -> Parser:
    """Which tasks of which corpus, and how much of it."""
    parser = Parser(
        "data_prep.tasks",
        description="Adds stage 1's tasks of a corpus to a folder of SIFT files and records.",
        examples=(
            "--task=asr,tts --corpus=librispeech --root=/corpora --out=data/pt1 --skip_records",
            "--task=translation --corpus=covost2 --root=/corpora/cv4 --languages=de,fr "
            "--out=data/pt1",
        ),
    )
    add = parser.add_argument
    add("--task", required=True, help="comma-separated, of " + ", ".join(TASKS))
    add("--corpus", required=True, choices=CORPUS_NAMES, help="where the speech comes from")
    add(
        "--root",
        type=Path,
        help="folder where the corpus is unpacked; for a manifest, where its paths start",
    )
    add("--manifest", type=Path, help="a .jsonl or .tsv with a line an example")
    add(
        "--name",
        help="what a manifest is called in ids and data_source; its file's name if not given",
    )
    add(
        "--out",
        type=Path,
        required=True,
        help="folder for everything that is made; it may hold other corpora's tasks",
    )
    add(
        "--languages",
        help="those spoken, comma-separated; by default all of the corpus that are ours",
    )
    add(
        "--train",
        type=int,
        help="training examples a language, at most; all there are if not given",
    )
    add("--dev", type=int, default=500, help="dev examples a language, at most")
    add("--evaluation", type=int, default=500, help="EvalSIFT examples a language, at most")
    add("--min_seconds", type=float, default=0.5, help="recordings that are shorter are skipped")
    add(
        "--max_seconds",
        type=float,
        default=30.0,
        help="recordings that are longer are skipped, undecoded",
    )
    add(
        "--wordings",
        type=_parse_wordings,
        default=None,
        help="a number: so many paraphrases of each instruction, at most; or a file with more of "
        "them (data_prep.tasks.write_wordings)",
    )
    add(
        "--compression",
        choices=COMPRESSIONS,
        default=FLAC,
        help="of the audio in records: flac loses nothing, opus takes a fifth of the space",
    )
    add(
        "--skip_records",
        action="store_true",
        help="where another corpus follows: records are made of all at once",
    )
    add("--seed", type=int, default=0, help="decides every random choice")
    add_flags(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the jobs, writes what all jobs of the folder make together, and says what was set
    aside."""
    flags, jobs = parse_arguments(arguments)
    report_errors(lambda: _run(flags, jobs), is_debug=is_debug(flags), can_resume=True)


def _run(flags: argparse.Namespace, jobs: Sequence[Job]) -> None:
    out = flags.out
    if out.is_dir() and any(out.iterdir()) and not (out / "jobs").is_dir():
        raise ValueError(f"{out} is not empty and holds no tasks; choose another --out")
    with hold(out):
        _run_jobs(flags, jobs)
        # Those of before would no longer be what the SIFT files say.
        shutil.rmtree(out / "records", ignore_errors=True)
        if not flags.skip_records:
            _write_records(flags)
    records = "later" if flags.skip_records else out / "records"
    print(f"\ninstructions {out}/sift   records {records}   skipped {out}/rejected.jsonl")


def _parse_wordings(text: str) -> int | Path:
    if not text.lstrip("-").isdecimal():
        return Path(text)
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is too small; give at least 1")
    return int(text)


def _run_jobs(flags: argparse.Namespace, jobs: Sequence[Job]) -> None:
    is_file = isinstance(flags.wordings, Path)
    templates = make_templates(
        None if is_file else flags.wordings, read_wordings(flags.wordings) if is_file else {}
    )
    engine = make_engine(flags.workers, flags.beam_options)
    with keep_processes(engine):
        for job in jobs:
            run_job(job, flags.out, engine)
            for language, splits in write_task_files(flags.out, job.task, templates).items():
                print(
                    f"pretraining/{job.task}/{language}  "
                    + "  ".join(f"{split} {count:,}" for split, count in splits.items() if count)
                )
    accounts = join_rejected(flags.out)
    for job in jobs:
        print(f"\n{job.folder_name}\n{format_accounts(accounts[job.folder_name])}")


def _write_records(flags: argparse.Namespace) -> None:
    out = flags.out
    summaries = join_release(
        out / "sift",
        [str(out / "audio")],
        out / "records",
        LANGUAGES,
        compression=flags.compression,
        workers=flags.workers,
    )
    print("\nrecords\n" + "\n".join(format_summary(summaries)))


if __name__ == "__main__":
    main()
