"""Command line that joins SIFT files with their audio into training records.

    python -m data_prep.records --sift=sift_50m/sift --out=sift_50m/records
        --audio=mls=/corpora/mls,common_voice=/corpora/cv,vctk=/corpora/vctk [--languages=de,fr] [--compression=opus]

    sift/{train,dev,EvalSIFT}/{category}/{lang}/split<N>.jsonl ┐   out/sift_<lang>/…         the records
    audio: corpora as unpacked, or any files named by their id ┴─► out/sift_<lang>.json      rows by corpus
                                                                   out/rejected.jsonl        what was skipped, and why
    files of other categories and languages, and stray ones ─────► out/unread.json           rows by corpus

A language that is finished is not made again, unless its SIFT files have changed or the code that
joins them: the same command resumes with the next.
"""

import argparse
import functools
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from data_prep.engine.chunks import BuildError
from data_prep.engine.versions import hash_listing
from data_prep.released.audio_roots import AudioRoots, parse_audio_flags
from data_prep.released.join import NO_AUDIO, Account, Join, list_usable_places
from data_prep.released.parallel_packer import Packer
from data_prep.released.sift_paths import Place, list_unread
from sift_jax.data.records.record_audio import COMPRESSIONS, FLAC
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.rows import LANGUAGES, SPLITS
from sift_jax.storage.whole_files import write_whole

_UNREADABLE = "audio cannot be read"
# raised when the same files give other records
VERSION = 1
# Stands for a language.
UNREAD = "unread"
Found = dict[str, Any]


def join_release(
    sift_dir: Path,
    audio: Sequence[str],
    out: Path,
    languages: Sequence[str],
    *,
    compression: str = FLAC,
    workers: int = 1,
) -> dict[str, Any]:
    """Writes the records of all languages, and returns {language: {"records", "entered", …}} for
    those that have any.

    What lies where no reader looks is counted under UNREAD.
    """
    places = list_usable_places(sift_dir)
    if not places:
        raise ValueError(
            f"no SIFT files under {sift_dir}; expected "
            f"{{train,dev,EvalSIFT}}/{{category}}/{{lang}}/split0.jsonl"
        )
    _claim(out, {"sift": str(sift_dir), "audio": list(audio), "compression": compression})
    roots = parse_audio_flags(audio)
    print(f"audio: {roots.describe()}")
    summaries = {}
    with Packer(roots.find, compression, workers) as packer:
        for language in languages:
            spoken = [place for place in places if place.language == language]
            done = out / f"sift_{language}.json"
            if spoken:
                join = functools.partial(_join_language, sift_dir, spoken, roots, out, packer)
                summaries[language] = _make_once(done, sift_dir, spoken, join)
            elif done.exists():
                summaries[language] = json.loads(done.read_text(encoding="utf-8"))
    unread = list_unread(sift_dir, out)
    if unread:
        summaries[UNREAD] = _make_once(
            out / f"{UNREAD}.json",
            sift_dir,
            unread,
            functools.partial(_set_aside, unread, roots, out),
        )
    else:
        (out / "parts" / f"{UNREAD}.jsonl").unlink(missing_ok=True)
    with (out / "rejected.jsonl").open("w", encoding="utf-8") as joined:
        for part in sorted((out / "parts").glob("*.jsonl")):
            with part.open(encoding="utf-8") as lines:
                shutil.copyfileobj(lines, joined)
    return summaries


def _claim(out: Path, flags: dict[str, Any]) -> None:
    """Marks the folder as made from these files: a later run may go on in it, and no other."""
    mark = out / "joined_from.json"
    if mark.is_file():
        if json.loads(mark.read_text(encoding="utf-8")) != flags:
            raise ValueError(
                f"--out={out} holds records of other files; choose another folder, or remove it"
            )
    elif list(out.glob("sift_*")):
        raise ValueError(f"--out={out} holds records already; remove them or choose another folder")
    (out / "parts").mkdir(parents=True, exist_ok=True)
    write_whole(mark, json.dumps(flags, ensure_ascii=False))


def _make_once(
    done: Path, sift_dir: Path, places: Sequence[Place], make: Callable[[], Found]
) -> Found:
    """What `done` tells of these files as they are now, or what is made of them."""
    files = hash_listing(sift_dir, [place.path for place in places])
    made_of = {"files": files, "version": VERSION}
    if done.exists():
        found = json.loads(done.read_text(encoding="utf-8"))
        if found.get("made_of") == made_of:
            return found
        # What is half made again is not what it tells of.
        done.unlink()
    found = {**make(), "made_of": made_of}
    write_whole(done, json.dumps(found, ensure_ascii=False, indent=1))
    return found


def _join_language(
    sift_dir: Path, places: Sequence[Place], roots: AudioRoots, out: Path, packer: Packer
) -> dict[str, Any]:
    from sift_jax.data.records.record_writer import write_language

    language = places[0].language
    # What an earlier call has made of other files, of which nothing may be left now.
    shutil.rmtree(out / f"sift_{language}", ignore_errors=True)
    scratch = out / "parts" / f"rows_{language}"
    shutil.rmtree(scratch, ignore_errors=True)
    with (out / "parts" / f"{language}.jsonl").open("w", encoding="utf-8") as rejected:
        join = Join(places, roots, scratch, rejected, packer)
        groups = {split: join.group(sift_dir, split, language) for split in SPLITS}
        records: dict[str, int] = {}
        failed: list[dict[str, Any]] = []
        # Where nothing can be used, that is a count, not a failure.
        if any(groups.values()):
            records, failed = write_language(
                sift_dir,
                roots,
                out,
                language,
                packer.compression,
                pack=packer.pack,
                group=lambda _, split, __: groups[split],
            )
        for item in failed:
            rejected.write(
                json.dumps(
                    {**item, "reason": _UNREADABLE, "detail": item["reason"]}, ensure_ascii=False
                )
                + "\n"
            )
    shutil.rmtree(scratch, ignore_errors=True)
    if sum(records.values()) + len(failed) != join.grouped:
        raise BuildError(
            f"{language}: of {join.grouped} ids {sum(records.values())} came out and "
            f"{len(failed)} were skipped, which does not add up; remove {out} and join again"
        )
    return _describe(
        join.account, records, {"ids": len(failed), "rows": sum(item["rows"] for item in failed)}
    )


def _set_aside(places: Sequence[Place], roots: AudioRoots, out: Path) -> Found:
    with (out / "parts" / f"{UNREAD}.jsonl").open("w", encoding="utf-8") as rejected:
        join = Join(places, roots, out / "parts", rejected)
        join.set_aside()
    return _describe(join.account, {}, {"ids": 0, "rows": 0})


def _describe(account: Account, records: dict[str, int], unreadable: dict[str, int]) -> Found:
    return {
        "records": records,
        "entered": account.entered,
        "joined": account.joined,
        "rejected": account.rejected,
        "unreadable": unreadable,
    }


def format_summary(summaries: dict[str, Any]) -> list[str]:
    """Records by language and split, then rows by corpus, and why rows were skipped."""
    lines, total = [], Account()
    for language, found in summaries.items():
        if language != UNREAD:
            lines.append(
                f"{language}  "
                + "  ".join(f"{split} {count}" for split, count in found["records"].items())
            )
        total.add(
            Account(
                entered=Counter(found["entered"]),
                joined=Counter(found["joined"]),
                rejected={
                    source: Counter(reasons) for source, reasons in found["rejected"].items()
                },
            )
        )
    for source, count in sorted(total.entered.items()):
        reasons = total.rejected.get(source, Counter())
        missing = reasons.pop(NO_AUDIO, 0)
        others = "".join(f", {number:,} {reason}" for reason, number in reasons.most_common())
        lines.append(
            f"{source:<32} {count:>12,} rows  {total.joined[source]:>12,} joined  {missing:>12,} "
            f"without audio{others}"
        )
    ids, rows = (
        sum(found["unreadable"][key] for found in summaries.values()) for key in ("ids", "rows")
    )
    if ids:
        lines.append(f"{ids:,} records ({rows:,} rows) have audio that cannot be read")
    return lines


def make_parser() -> Parser:
    """Which files, which audio, and what is made of them."""
    parser = Parser(
        "data_prep.records",
        description="Joins SIFT files with their audio into records for training.",
        examples=(
            "--sift=sift_50m/sift --audio=mls=/corpora/mls,vctk=/corpora/vctk "
            "--out=sift_50m/records",
            "--sift=mine/sift --audio=mine/audio --out=mine/records --compression=opus",
        ),
    )
    parser.add_argument(
        "--sift",
        type=Path,
        required=True,
        help="folder with {train,dev,EvalSIFT}/{category}/{lang}/",
    )
    parser.add_argument(
        "--audio",
        action="append",
        required=True,
        help="folders under which the audio lies, as unpacked or as <utterance id>.flac (wav, …): "
        "mls=/a,common_voice=/b,/c",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the records")
    parser.add_argument(
        "--languages", default=",".join(LANGUAGES), help="comma-separated; these alone, for now"
    )
    parser.add_argument(
        "--compression",
        choices=COMPRESSIONS,
        default=FLAC,
        help="of the audio: flac loses nothing, opus takes a fifth of the space",
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes that pack audio"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the records and says how many there are, and what was skipped."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags), can_resume=True)


def _run(flags: argparse.Namespace) -> None:
    named = flags.languages.split(",")
    if unknown := [name for name in named if name not in LANGUAGES]:
        raise ValueError(f"--languages: {unknown[0]!r} is not one of {','.join(LANGUAGES)}")
    languages = [language for language in LANGUAGES if language in named]
    summaries = join_release(
        flags.sift,
        flags.audio,
        flags.out,
        languages,
        compression=flags.compression,
        workers=max(flags.workers, 1),
    )
    print("\n".join(format_summary(summaries)))
    rejected = sum(
        count
        for found in summaries.values()
        for reasons in found["rejected"].values()
        for count in reasons.values()
    ) + sum(found["unreadable"]["rows"] for found in summaries.values())
    print(
        f"{rejected:,} rows skipped, listed in {flags.out}/rejected.jsonl"
        if rejected
        else "nothing skipped"
    )


if __name__ == "__main__":
    main()
