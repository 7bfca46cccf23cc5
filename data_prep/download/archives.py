"""Which archives a corpus is published as, and where they are unpacked.

mini_librispeech   OpenSLR 31   train-clean-5.tar.gz, dev-clean-2.tar.gz     root/LibriSpeech/…
librispeech        OpenSLR 12   dev-clean.tar.gz, train-clean-100.tar.gz, …  root/LibriSpeech/…
fleurs             the hub      data/de_de/train.tsv, audio/train.tar.gz     root/de_de/…
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence

from data_prep.corpora.recording import CorpusError
from sift_jax.corpora.fleurs import LOCALES

OPENSLR = "https://www.openslr.org"
HUB = "https://huggingface.co"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A file of a corpus: an archive is unpacked in `folder`, anything else is put there."""

    url: str
    # below the corpus's root
    folder: str
    # what is in the folder then
    makes: str

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    @property
    def is_archive(self) -> bool:
        return self.name.endswith(".tar.gz")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedCorpus:
    """A corpus: whose licence, which parts, and which files those are."""

    licence: str
    parts: tuple[str, ...]
    # what is taken where nobody says which parts
    usual_parts: tuple[str, ...]
    # () where there is nothing to choose
    languages: tuple[str, ...]
    # (mirror, parts, languages) -> the files
    list_files: Callable[[str | None, Sequence[str], Sequence[str]], list[PublishedFile]]


def _list_openslr(number: int) -> Callable[..., list[PublishedFile]]:
    def list_files(
        mirror: str | None, parts: Sequence[str], languages: Sequence[str]
    ) -> list[PublishedFile]:
        base = f"{(mirror or os.environ.get('OPENSLR_ENDPOINT') or OPENSLR).rstrip('/')}/resources/{number}"
        return [
            PublishedFile(url=f"{base}/{part}.tar.gz", folder=".", makes=f"LibriSpeech/{part}")
            for part in parts
        ]

    return list_files


def _list_fleurs(
    mirror: str | None, parts: Sequence[str], languages: Sequence[str]
) -> list[PublishedFile]:
    hub = (mirror or os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
    base = f"{hub}/datasets/google/fleurs/resolve/main/data"
    files = []
    for locale in (LOCALES[language] for language in languages):
        for part in parts:
            files += [
                PublishedFile(
                    url=f"{base}/{locale}/{part}.tsv", folder=locale, makes=f"{part}.tsv"
                ),
                PublishedFile(
                    url=f"{base}/{locale}/audio/{part}.tar.gz",
                    folder=f"{locale}/audio",
                    makes=part,
                ),
            ]
    return files


_LIBRISPEECH = tuple(
    "dev-clean dev-other test-clean test-other train-clean-100 train-clean-360 train-other-500".split()
)
_MINI = ("train-clean-5", "dev-clean-2")

CORPORA = {
    "mini_librispeech": PublishedCorpus(
        licence="CC BY 4.0",
        parts=_MINI,
        usual_parts=_MINI,
        languages=(),
        list_files=_list_openslr(31),
    ),
    "librispeech": PublishedCorpus(
        licence="CC BY 4.0",
        parts=_LIBRISPEECH,
        usual_parts=("train-clean-100", "dev-clean", "test-clean"),
        languages=(),
        list_files=_list_openslr(12),
    ),
    "fleurs": PublishedCorpus(
        licence="CC BY 4.0",
        parts=("train", "dev", "test"),
        usual_parts=("train", "dev", "test"),
        languages=tuple(LOCALES),
        list_files=_list_fleurs,
    ),
}


def list_published(
    corpus: str, *, parts: Sequence[str], languages: Sequence[str], mirror: str | None
) -> list[PublishedFile]:
    """The files of some parts of a corpus; without parts, of the usual ones."""
    found = CORPORA[corpus]
    for part in parts:
        if part not in found.parts:
            raise CorpusError(f"--parts: {corpus} has no {part}; it has {', '.join(found.parts)}")
    for language in languages:
        if language not in found.languages:
            has = ", ".join(found.languages) or "English alone: leave --languages out"
            raise CorpusError(f"--languages: {corpus} has no {language}; it has {has}")
    if found.languages and not languages:
        raise CorpusError(f"--languages: name some of {', '.join(found.languages)}")
    if mirror and not mirror.startswith(("https://", "http://")):
        raise CorpusError(f"--mirror={mirror} is no address of a web server: https://…")
    return found.list_files(mirror, parts or found.usual_parts, languages)
