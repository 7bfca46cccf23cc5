"""Command line of the aligners: a list of utterances in, a CTM of word times out.

    utterances.jsonl {"id", "transcript", ["audio", "language"]} + audio/<id>.flac ─► words.ctm, words.rejected.jsonl

    python -m data_prep.alignment.align --utterances=utterances.jsonl --audio=audio --aligner=sphinx
    --out=words.ctm python -m data_prep.alignment.align … --aligner=ctc
    --checkpoint=weights/wav2vec2-base-960h python -m data_prep.alignment.align … --aligner=whisper
    --checkpoint=weights/whisper-base --language=de

What cannot be aligned is skipped with its reason, and the rest goes on.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.alignment.word_time import Aligner, AlignmentError, Speech, align_each
from data_prep.alignment.word_time_files import WordTimes, write_ctm
from sift_jax.audio.files import AudioError, read_audio
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.progress import track

ALIGNERS = ("sphinx", "ctc", "whisper")
_FOLDERS = {"ctc": "a wav2vec2-type model", "whisper": "a Whisper"}
_ENGLISH_ONLY = ("sphinx",)
_SUFFIXES = (".flac", ".wav", ".mp3", ".ogg", ".opus")


def check_checkpoint(name: str | None, checkpoint: Path | None) -> None:
    """ValueError where a network has no folder, or a folder no network."""
    if name not in _FOLDERS:
        if checkpoint is not None:
            raise ValueError("--checkpoint is for --aligner=ctc and whisper; leave it out")
    elif checkpoint is None or not checkpoint.is_dir():
        raise ValueError(f"--aligner={name} needs --checkpoint=<the folder of {_FOLDERS[name]}>")


def check_language(name: str | None, language: str) -> None:
    """AlignmentError where an aligner does not know a language."""
    if name in _ENGLISH_ONLY and language != "en":
        raise AlignmentError(f"{name} is for English; take --aligner=whisper or ctc for {language}")


def is_network(name: str | None) -> bool:
    """Whether an aligner uses all cores by itself, or the one accelerator."""
    return name in _FOLDERS


def make_aligner(name: str, checkpoint: str | Path | None = None) -> Aligner:
    """The aligner of that name; a network's comes from a checkpoint."""
    if name not in ALIGNERS:
        raise AlignmentError(f"no aligner {name!r}; choose of {', '.join(ALIGNERS)}")
    if name in _FOLDERS:
        if checkpoint is None:
            raise AlignmentError(
                f"the {name} aligner needs the folder of {_FOLDERS[name]}; give --checkpoint"
            )
        if name == "whisper":
            from data_prep.alignment.whisper import WhisperAligner

            return WhisperAligner.read(checkpoint)
        from data_prep.alignment.ctc import CtcAligner

        return CtcAligner.read(checkpoint)
    if checkpoint is not None:
        raise AlignmentError(
            "sphinx carries its own model; leave --checkpoint out or give --aligner=ctc or whisper"
        )
    from data_prep.alignment.sphinx import SphinxAligner

    return SphinxAligner()


def align_utterances(
    aligner: Aligner, utterances: Path, audio: Path, language: str | None = None
) -> tuple[WordTimes, list[dict[str, str]]]:
    """Word times by utterance, and a row with the reason for each one skipped; a row may name its
    own language."""
    rejected: list[dict[str, str]] = []
    names: list[str] = []
    times: WordTimes = {}
    found = align_each(aligner, _read_speeches(utterances, audio, language, names, rejected))
    # names grows as speeches are read, which is ahead of their words
    for place, words in enumerate(found):
        if isinstance(words, AlignmentError):
            rejected.append({"id": names[place], "reason": str(words)})
        else:
            times[names[place]] = words
    return times, rejected


def _read_speeches(
    utterances: Path,
    audio: Path,
    language: str | None,
    names: list[str],
    rejected: list[dict[str, str]],
) -> Iterator[Speech]:
    """What can be read; the ids go to `names`, and what cannot be read to `rejected`."""
    seen: set[str] = set()
    # not splitlines(): JSON may hold other line breaks of Unicode
    lines = utterances.read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n")
    for number, line in enumerate(track(lines, name="aligning", unit="utterance"), 1):
        name = f"{utterances.name}:{number}"
        try:
            try:
                row = json.loads(line)
                name = str(row["id"])
                transcript = str(row["transcript"])
            except (ValueError, TypeError, KeyError):
                raise AlignmentError(
                    "not a JSON object with id and transcript; fix the line"
                ) from None
            if name in seen or len(name.split()) != 1:
                raise AlignmentError(
                    "the id came before or is not one word; give each utterance its own"
                )
            wave = read_audio(_find_audio(audio, row))
        except (AlignmentError, AudioError) as error:
            rejected.append({"id": name, "reason": str(error)})
            continue
        seen.add(name)
        names.append(name)
        yield Speech(wave=wave, transcript=transcript, language=row.get("language") or language)


def _find_audio(root: Path, row: dict[str, str]) -> Path:
    """The row's own path or <id> with a known suffix, below the root and nowhere else."""
    names = (
        [str(row["audio"])]
        if row.get("audio")
        else [f"{row['id']}{suffix}" for suffix in _SUFFIXES]
    )
    for name in names:
        path = root / name
        if not path.resolve().is_relative_to(root.resolve()):
            raise AlignmentError(f"{name} leads out of {root}; give paths below it")
        if path.is_file():
            return path
    raise AlignmentError(f"no audio {names[0]} below {root}; check --audio")


def make_parser() -> Parser:
    """What is aligned, and by what."""
    parser = Parser(
        "data_prep.alignment.align",
        description="Finds when each word of a list of utterances is said.",
        examples=(
            "--utterances=utterances.jsonl --audio=audio --out=words.ctm",
            "--utterances=utterances.jsonl --audio=audio --out=words.ctm --aligner=whisper "
            "--checkpoint=weights/whisper-base --language=de",
        ),
    )
    parser.add_argument(
        "--utterances", type=Path, required=True, help="JSONL with id, transcript and perhaps audio"
    )
    parser.add_argument(
        "--audio", type=Path, required=True, help="folder below which the audio lies"
    )
    parser.add_argument(
        "--aligner", choices=ALIGNERS, default="sphinx", help="sphinx is for English alone"
    )
    parser.add_argument(
        "--checkpoint", type=Path, help="folder of the model, for --aligner=ctc and whisper"
    )
    parser.add_argument("--language", help="of the rows that name none, for --aligner=whisper")
    parser.add_argument("--out", type=Path, required=True, help="the CTM to write")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Aligns a list and says how much was skipped."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags))


def _run(flags: argparse.Namespace) -> None:
    aligner = make_aligner(flags.aligner, flags.checkpoint)
    times, rejected = align_utterances(aligner, flags.utterances, flags.audio, flags.language)
    flags.out.parent.mkdir(parents=True, exist_ok=True)
    write_ctm(times, flags.out)
    aside = flags.out.with_suffix(".rejected.jsonl")
    aside.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rejected),
        encoding="utf-8",
    )
    print(f"{len(times)} utterances aligned in {flags.out}, {len(rejected)} skipped in {aside}")


if __name__ == "__main__":
    main()
