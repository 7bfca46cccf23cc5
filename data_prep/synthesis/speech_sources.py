"""Speech to be asked about or written down: any corpus, a manifest, a folder of files, or what was
built before.

librispeech, mls, spgispeech, …    as they are unpacked               ids as `data_prep.tasks` gives them
manifest                           lines with an audio file each      ids with the manifest's name before them
folder                             whatever audio lies there          ids with the folder's name before them
build                              metadata.jsonl and audio/ of a build, or of another of these commands: ids stay
"""

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data_prep.corpora.manifest import make_recording, read_manifest_rows
from data_prep.corpora.recording import (
    CorpusError,
    Item,
    Recording,
    check_id,
    clean_transcript,
    locate_audio,
    name_age,
    name_gender,
    parse_object,
    read_items,
)
from data_prep.corpora.registry import (
    CORPORA,
    MANIFEST,
    Reading,
    list_languages,
    name_source,
    read_corpus,
)
from data_prep.corpora.splits import SPLITS
from data_prep.synthesis.job_folder import describe_file
from data_prep.tasks.example import Example, Found, rename_all
from sift_jax.corpora.bad_item import BadItem

FOLDER, BUILD = "folder", "build"
NAMES = (*CORPORA, MANIFEST, FOLDER, BUILD)
_ENDINGS = (".flac", ".wav", ".mp3", ".ogg", ".opus", ".m4a")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeechSource:
    """`is_said` tells whether transcripts must be there; `name` is a manifest's or folder's."""

    corpus: str
    root: Path | None
    manifest: Path | None
    name: str | None
    languages: tuple[str, ...]
    is_said: bool
    min_seconds: float
    max_seconds: float

    def __post_init__(self) -> None:
        if not 0 < self.min_seconds < self.max_seconds:
            raise ValueError(
                f"--min_seconds={self.min_seconds:g} and --max_seconds={self.max_seconds:g} "
                "leave nothing"
            )
        if (self.manifest is not None) != (self.corpus == MANIFEST):
            raise ValueError(f"--manifest goes with --corpus={MANIFEST}, and one needs the other")
        if self.corpus != MANIFEST and (self.root is None or not self.root.is_dir()):
            raise ValueError(f"--corpus={self.corpus} needs --root=<its folder>, not {self.root}")
        spoken = list_languages(self.corpus)
        if not self.languages:
            raise ValueError(f"--languages is empty; choose of {', '.join(spoken)}")
        if strange := [language for language in self.languages if language not in spoken]:
            raise ValueError(
                f"--languages: {strange[0]!r} is not spoken here; choose of {', '.join(spoken)}"
            )
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", self.source):
            raise ValueError(
                f"--name={self.source} is not a name; give up to 40 letters, digits, - and _"
            )

    @property
    def source(self) -> str:
        """What comes before the language in data_source."""
        if self.name:
            return self.name
        if self.corpus == MANIFEST and self.manifest is not None:
            return self.manifest.stem
        if self.corpus == BUILD and self.root is not None:
            mark = self.root / "job.json"
            told = (
                json.loads(mark.read_text(encoding="utf-8")).get("source")
                if mark.is_file()
                else None
            )
            return told or self.root.resolve().name
        return (
            self.root.resolve().name
            if self.corpus == FOLDER and self.root
            else name_source(self.corpus)
        )

    @property
    def reading(self) -> Reading:
        return Reading(
            root=self.root,
            manifest=self.manifest,
            min_seconds=self.min_seconds,
            max_seconds=self.max_seconds,
            phonemes="own",
            locales=(),
            locale_utterances=0,
        )

    @property
    def settings(self) -> dict[str, Any]:
        listed = self.manifest if self.manifest else self.root and find_metadata(self.root)
        return {**dataclasses.asdict(self), "listed": listed and describe_file(listed)}

    def read(self) -> Iterator[Found]:
        """The recordings, as they come."""
        root = self.root.resolve() if self.root else None
        if self.corpus == BUILD:
            assert root is not None
            yield from map(_wrap, _read_build(root, self.languages, is_said=self.is_said))
        elif self.corpus == FOLDER:
            assert root is not None
            yield from rename_all(_read_folder(root, self.languages), self.source)
        elif self.corpus == MANIFEST:
            assert self.manifest is not None
            base = root or self.manifest.resolve().parent
            yield from rename_all(
                read_manifest_rows(
                    self.manifest,
                    lambda row: make_recording(row, base, self.languages, is_said=self.is_said),
                ),
                self.source,
            )
        else:
            yield from rename_all(
                read_corpus(self.corpus, self.reading, self.languages), self.corpus
            )


def find_metadata(root: Path) -> Path | None:
    """The list of a build's utterances; before it is measured there is only one of them."""
    return next(
        (root / name for name in ("metadata.jsonl", "utterances.jsonl") if (root / name).is_file()),
        None,
    )


def _wrap(item: Item) -> Found:
    return Example(recording=item) if isinstance(item, Recording) else item


def _read_build(root: Path, languages: Sequence[str], *, is_said: bool) -> Iterator[Item]:
    listed = find_metadata(root)
    if listed is None:
        raise CorpusError(
            f"{root}: no metadata.jsonl or utterances.jsonl; give the folder of a build"
        )

    def parse(text: str) -> Recording:
        row = parse_object(text)
        identity = check_id(str(row.get("id")))
        if row.get("language") not in languages:
            raise BadItem("another language", str(row.get("language"))[:40], identity)
        transcript = row.get("transcript")
        if is_said or transcript:
            transcript = clean_transcript(
                transcript if isinstance(transcript, str) else "", identity
            )
        names = (f"audio/{identity}.flac", str(_place(Path("audio"), identity)))
        speaker, accent = (
            row[name] if isinstance(row.get(name), str) else None for name in ("speaker", "accent")
        )
        return Recording(
            id=identity,
            language=row["language"],
            audio=locate_audio(root, names, identity),
            transcript=transcript or "",
            gender=name_gender(row.get("gender")),
            age_category=name_age(row.get("age_category")),
            held=row.get("split") if row.get("split") in SPLITS else None,
            speaker=speaker,
            accent=accent,
        )

    return read_items(listed, parse)


def _place(audio: Path, identity: str) -> Path:
    # imported late: it comes with all that decodes
    from data_prep.tasks.decode import place_audio

    return place_audio(audio, identity)


def _read_folder(root: Path, languages: Sequence[str]) -> Iterator[Item]:
    """Every audio file, named by its path."""
    if len(languages) != 1:
        raise CorpusError(
            "--corpus=folder does not tell languages; give --languages=<the one that is spoken>"
        )
    paths = sorted(
        path for path in root.rglob("*") if path.suffix.lower() in _ENDINGS and path.is_file()
    )
    if not paths:
        raise CorpusError(f"{root}: no audio files ({', '.join(_ENDINGS)}); change --root")
    for path in paths:
        name = path.relative_to(root).with_suffix("").as_posix().replace("/", "_")
        name = re.sub(r"[^\w.:-]", "-", name)
        yield Recording(id=name[:100], language=languages[0], audio=str(path), transcript="")
