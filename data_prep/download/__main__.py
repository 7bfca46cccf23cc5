"""Command line that downloads a corpus and unpacks it.

    python -m data_prep.download --corpus=mini_librispeech --root=corpora
    python -m data_prep.download --corpus=fleurs --languages=de,fr --parts=dev --root=corpora/fleurs

    root/.downloads/<name>.json     {"url": …, "bytes": …}: this archive is unpacked, and is not fetched again

An archive is deleted when it is unpacked. A download that was stopped is continued.
"""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from data_prep.corpora.recording import CorpusError
from data_prep.download.archives import CORPORA, PublishedFile, list_published
from data_prep.download.fetch import ask_size, fetch_file
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.progress import track
from sift_jax.storage.whole_files import write_whole

# what unpacked speech takes beside its archive's size: FLAC and WAV hardly shrink
_ROOM = 1.2
_MEGABYTE = 1_000_000


def download(files: Sequence[PublishedFile], root: Path) -> int:
    """Fetches and unpacks what is not there yet; returns how many files were fetched."""
    lacking = [file for file in files if not _is_there(file, root)]
    if not lacking:
        return 0
    sizes = {file: ask_size(file.url) for file in lacking}
    total = sum(size or 0 for size in sizes.values())
    for file, size in sizes.items():
        print(f"{file.url}  {format_bytes(size)}")
    print(f"{len(lacking)} files, {format_bytes(total)} in all, into {root}")
    # one archive at a time lies beside what is unpacked
    _check_room(root, round(total * _ROOM) + max(size or 0 for size in sizes.values()))
    with track(total=round(total / _MEGABYTE), name="download", unit="MB") as progress:
        come = 0

        def advance(count: int) -> None:
            nonlocal come
            whole = come // _MEGABYTE
            come += count
            progress.update(come // _MEGABYTE - whole)

        for file in lacking:
            _download_one(file, root, advance)
    return len(lacking)


def _download_one(file: PublishedFile, root: Path, advance: Callable[[int], None]) -> None:
    mark = _find_mark(file, root)
    target = root / file.folder
    target.mkdir(parents=True, exist_ok=True)
    if not file.is_archive:
        fetch_file(file.url, target / file.name, advance=advance)
        size = (target / file.name).stat().st_size
    else:
        archive = mark.with_name(mark.name.removesuffix(".json"))
        fetch_file(file.url, archive, advance=advance)
        size = archive.stat().st_size
        unpack(archive, target)
        archive.unlink()
    write_whole(mark, json.dumps({"url": file.url, "bytes": size}) + "\n")


def unpack(archive: Path, target: Path) -> None:
    """Its files, member by member; `extractall` of older Pythons can be led out of the folder.

    A tar file that is cut between two members looks like one that ends there. What is behind the
    last member is read, too: gzip then compares the length and the checksum at its end.
    """
    try:
        with gzip.open(archive) as raw, tarfile.open(fileobj=raw, mode="r|") as members:
            for member in members:
                _unpack_member(members, member, target)
            while raw.read(_MEGABYTE):
                pass
    except (tarfile.TarError, EOFError, zlib.error, CorpusError, OSError) as error:
        # the disk's own errors have a number; those of a damaged gzip file have none
        if getattr(error, "errno", None) is not None:
            raise
        archive.unlink()
        raise CorpusError(
            f"{archive.name} cannot be unpacked ({type(error).__name__}: {error}); it is deleted: "
            "start again, and it is fetched again"
        ) from error


def _unpack_member(members: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    parts = PurePosixPath(member.name).parts
    if member.isdir():
        return
    if not member.isreg() or not parts or ".." in parts or parts[0] == "/":
        raise CorpusError(f"{member.name!r} is not a plain file inside of its folder")
    source = members.extractfile(member)
    assert source is not None
    path = target.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        shutil.copyfileobj(source, out, _MEGABYTE)


def _check_room(root: Path, size: int) -> None:
    root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root).free
    if free < size:
        raise CorpusError(
            f"{root} has {format_bytes(free)} left, and {format_bytes(size)} are "
            "needed while archives are unpacked; free some, or choose fewer --parts"
        )


def _is_there(file: PublishedFile, root: Path) -> bool:
    """Marked as unpacked, and not removed since."""
    return _find_mark(file, root).is_file() and (root / file.folder / file.makes).exists()


def _find_mark(file: PublishedFile, root: Path) -> Path:
    folder = "" if file.folder == "." else file.folder.replace("/", "_") + "_"
    return root / ".downloads" / f"{folder}{file.name}.json"


def format_bytes(size: int | None) -> str:
    """340,123,456 becomes "340 MB"."""
    if size is None:
        return "of unknown size"
    if size < 1e6:
        return f"{size / 1e3:.0f} kB"
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def _split(text: str) -> list[str]:
    """ "dev,test,dev" becomes ["dev", "test"]."""
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def make_parser() -> Parser:
    """Which corpus, which parts, where to."""
    parser = Parser(
        "data_prep.download",
        description="Downloads a corpus that anyone may download, and unpacks it where "
        "--corpus=NAME --root=DIR of the other commands looks for it. All three are CC BY 4.0.",
        examples=(
            "--corpus=mini_librispeech --root=corpora",
            "--corpus=fleurs --languages=de,fr --parts=dev --root=corpora/fleurs",
        ),
    )
    parser.add_argument(
        "--corpus", required=True, choices=sorted(CORPORA), help="which corpus to download"
    )
    parser.add_argument("--root", required=True, type=Path, help="folder to unpack in")
    parser.add_argument(
        "--parts",
        default="",
        help="comma-separated; default: mini_librispeech's two, FLEURS's three, of LibriSpeech "
        "train-clean-100, dev-clean and test-clean",
    )
    parser.add_argument(
        "--languages", default="", help="comma-separated, of FLEURS, which has one each"
    )
    parser.add_argument(
        "--mirror",
        help="address of a server with the same paths, instead of $OPENSLR_ENDPOINT or "
        "https://www.openslr.org, for FLEURS $HF_ENDPOINT or https://huggingface.co",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Downloads, and says what there is."""
    flags = make_parser().parse_args(arguments)

    def run() -> None:
        files = list_published(
            flags.corpus,
            parts=_split(flags.parts),
            languages=_split(flags.languages),
            mirror=flags.mirror,
        )
        fetched = download(files, flags.root)
        print(
            f"{flags.root} has {len(files)} files of {flags.corpus} "
            f"({CORPORA[flags.corpus].licence}), {fetched} of them new"
        )

    report_errors(run, is_debug=is_debug(flags), can_resume=True)


if __name__ == "__main__":
    main()
