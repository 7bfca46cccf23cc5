"""SPGISpeech (Kensho), English: calls on companies' earnings, cut into pieces of 5 to 15 seconds.

    spgispeech/train.csv     wav_filename|wav_filesize|transcript
                             1c48…/0.wav|512044|I think the momentum continues, …
    spgispeech/train/1c48…/0.wav      spgispeech/val.csv      spgispeech/val/…

A folder is a call; who speaks in it is not told.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.corpora.recording import (
    CorpusError,
    Item,
    Recording,
    check_id,
    clean_transcript,
    find_folder,
    locate_audio,
    read_items,
)
from data_prep.corpora.splits import DEV, EVALUATION, TRAIN
from sift_jax.corpora.bad_item import BadItem

_PARTS = {"train": TRAIN, "val": DEV, "test": EVALUATION}
_COLUMNS = ["wav_filename", "wav_filesize", "transcript"]


def read_spgispeech(root: Path, languages: Sequence[str]) -> Iterator[Item]:
    """All parts that are there; there is nothing but English."""
    if "en" not in languages:
        return
    folder = find_folder(root, ["spgispeech", "SPGISpeech", "."], "SPGISpeech")
    tables = {part: folder / f"{part}.csv" for part in _PARTS if (folder / f"{part}.csv").is_file()}
    if not tables:
        raise CorpusError(
            f"no train.csv or val.csv under {folder}; unpack SPGISpeech there, or change --root"
        )
    for part, table in tables.items():
        yield from _read_part(table, folder / part, _PARTS[part])


def _read_part(table: Path, folder: Path, held: str) -> Iterator[Item]:
    with table.open(encoding="utf-8-sig", errors="replace") as lines:
        header = lines.readline().rstrip("\r\n").split("|")
    if header != _COLUMNS:
        raise CorpusError(
            f"{table}: its first line is {'|'.join(header)[:80]!r}; expected {'|'.join(_COLUMNS)}"
        )

    def parse(text: str) -> Recording:
        columns = text.split("|", 2)
        if len(columns) < 3:
            raise BadItem(
                "broken line", f"{len(columns)} columns where the header has {len(_COLUMNS)}"
            )
        name, _, transcript = columns
        identity = check_id(Path(name).with_suffix("").as_posix().replace("/", "-"))
        return Recording(
            id=identity,
            language="en",
            held=held,
            audio=locate_audio(folder, name, identity),
            transcript=clean_transcript(transcript, identity),
        )

    return read_items(table, parse, skip=1)
