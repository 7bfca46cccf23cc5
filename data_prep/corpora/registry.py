"""The corpora by name.

name on the command line ─► (reader, name in SIFT files' data_source)        mls ─► "multilingual_librispeech_de"
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.corpora.common_voice import read_common_voice
from data_prep.corpora.fleurs import read_fleurs
from data_prep.corpora.iemocap import read_iemocap
from data_prep.corpora.librispeech import read_librispeech
from data_prep.corpora.manifest import read_manifest
from data_prep.corpora.mls import read_mls
from data_prep.corpora.msp_podcast import read_msp_podcast
from data_prep.corpora.peoples_speech import read_peoples_speech
from data_prep.corpora.recording import CorpusError, Item, Reader
from data_prep.corpora.spgispeech import read_spgispeech
from data_prep.corpora.vctk import read_vctk
from data_prep.corpora.voxpopuli import read_voxpopuli
from sift_jax.extras import is_installed, say_install
from sift_jax.sift.labels import LANGUAGES

EMBEDDED, MANIFEST, COMMON_VOICE = "embedded", "manifest", "common_voice"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Corpus:
    """How to read it, what SIFT files call it, and what it speaks."""

    read: Reader
    source: str
    languages: tuple[str, ...]


CORPORA = {
    "mls": Corpus(read=read_mls, source="multilingual_librispeech", languages=LANGUAGES),
    COMMON_VOICE: Corpus(read=read_common_voice, source="common_voice", languages=LANGUAGES),
    "vctk": Corpus(read=read_vctk, source="vctk", languages=("en",)),
    "librispeech": Corpus(read=read_librispeech, source="librispeech", languages=("en",)),
    "voxpopuli": Corpus(read=read_voxpopuli, source="voxpopuli", languages=LANGUAGES),
    "fleurs": Corpus(read=read_fleurs, source="fleurs", languages=LANGUAGES),
    "peoples_speech": Corpus(read=read_peoples_speech, source="peoples_speech", languages=("en",)),
    "spgispeech": Corpus(read=read_spgispeech, source="spgispeech", languages=("en",)),
    "iemocap": Corpus(read=read_iemocap, source="iemocap", languages=("en",)),
    "msp_podcast": Corpus(read=read_msp_podcast, source="msp_podcast", languages=("en",)),
}
NAMES = (EMBEDDED, *CORPORA, MANIFEST)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """How a corpus on disk is read: from where, what of it, and who reads its phonemes."""

    root: Path | None
    manifest: Path | None
    min_seconds: float
    max_seconds: float
    phonemes: str
    # Languages of which some utterances are read only to be told from the others, and how many of
    # each at most.
    locales: tuple[str, ...]
    locale_utterances: int
    # Where the root is fetched from, if it is none yet.
    bucket: str | None = None
    # Free fields that are read of a manifest, each with the names that it may go by there.
    columns: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def fingerprint(self) -> str:
        """What decides its result; of a corpus the place alone, for a corpus does not change, but a
        manifest may."""
        digest = ""
        if self.manifest is not None and self.manifest.is_file():
            digest = hashlib.sha256(self.manifest.read_bytes()).hexdigest()
        return f"{dataclasses.astuple(self)} {digest}"


def list_languages(name: str) -> tuple[str, ...]:
    return CORPORA[name].languages if name in CORPORA else LANGUAGES


def name_source(name: str) -> str:
    """What comes before the language in data_source."""
    return CORPORA[name].source if name in CORPORA else name


def read_corpus(name: str, reading: Reading, languages: Sequence[str]) -> Iterator[Item]:
    """The items of a corpus on disk, as they come."""
    root, manifest = reading.root, reading.manifest
    languages = (*languages, *reading.locales)
    if reading.phonemes == "espeak" and not is_installed("espeakng_loader"):
        raise CorpusError(
            f"--phonemes=espeak needs the wheel espeakng-loader; {say_install('demo')}"
        )
    if name == MANIFEST:
        if manifest is None:
            raise CorpusError("--corpus=manifest needs --manifest=<file.jsonl or file.tsv>")
        return read_manifest(manifest, root or manifest.parent, languages, reading.columns)
    if root is None or not root.is_dir():
        raise CorpusError(
            f"--corpus={name} needs --root=<the folder where it is unpacked>, not {root}"
        )
    return CORPORA[name].read(root.resolve(), languages)
