"""VoxPopuli's transcribed part, as its own `get_asr_data` cuts it.

    transcribed_data/de/asr_{train,dev,test}.tsv    id ⇥ raw_text ⇥ normalized_text ⇥ speaker_id ⇥ split ⇥ gender ⇥ …
    transcribed_data/de/2018/20180912-0900-PLENARY-3-de_20180912-09:06:43_4.ogg           the year begins the id

Later copies add is_gold_transcript and accent. Some rows have no raw text: the normalized one takes
its place.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from data_prep.corpora.recording import (
    PARTS,
    CorpusError,
    Item,
    Recording,
    check_id,
    clean_transcript,
    find_folder,
    locate_audio,
    name_gender,
    read_table,
)

_REQUIRED = ("id", "raw_text", "normalized_text", "speaker_id")
_UNKNOWN = {"", "None", "none", "nan"}


def read_voxpopuli(root: Path, languages: Sequence[str]) -> Iterator[Item]:
    """The splits that are there of each language."""
    for language in languages:
        folder = find_folder(
            root, [f"transcribed_data/{language}", language], f"VoxPopuli in {language}"
        )
        files = {part: folder / f"asr_{part}.tsv" for part in PARTS}
        if not any(path.is_file() for path in files.values()):
            raise CorpusError(
                f"{folder}: no asr_train.tsv, asr_dev.tsv or asr_test.tsv; run get_asr_data "
                "there again"
            )
        for part, path in files.items():
            if path.is_file():
                yield from _read_part(path, language, PARTS[part])


def _read_part(path: Path, language: str, held: str) -> Iterator[Item]:
    def parse(row: Mapping[str, str]) -> Recording:
        identity = check_id(row["id"])
        names = [
            f"{folder}/{identity}.{suffix}"
            for folder in (identity[:4], path.stem.removeprefix("asr_"))
            for suffix in ("ogg", "wav")
        ]
        accent = row.get("accent", "")
        return Recording(
            id=identity,
            language=language,
            held=held,
            gender=name_gender(row.get("gender")),
            speaker=None if row["speaker_id"] in _UNKNOWN else row["speaker_id"],
            accent=None if accent in _UNKNOWN else accent,
            audio=locate_audio(path.parent, names, identity),
            transcript=clean_transcript(row["raw_text"] or row["normalized_text"], identity),
        )

    return read_table(path, _REQUIRED, parse)
