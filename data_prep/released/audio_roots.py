"""Where the audio of an utterance lies, among corpora as they are unpacked.

    --audio=mls=/corpora/mls,common_voice=/corpora/cv,vctk=/corpora/vctk,/more      names may be left out

    …/audio/<spk>/<book>/<spk>_<book>_<utt>.{flac,opus}      MLS, and LibriSpeech with its dashes: from the id
    …/wav48_silence_trimmed/<spk>/<spk>_<utt>_mic1.flac      VCTK: from the id
    …/clips/<id>.mp3                                         Common Voice: from the id
    any other file                                           held by its stem: about 300 bytes each

Of the first three only the folders are held, however many files are in them: a lookup asks the file
system.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from data_prep.released.sift_paths import guess_corpus

_ENDINGS = (".flac", ".wav", ".mp3", ".ogg", ".opus")
# What a root may be called on the command line, and in data_source.
_NAMES = {
    "mls": "multilingual_librispeech",
    "multilingual_librispeech": "multilingual_librispeech",
    "common_voice": "common_voice",
    "vctk": "vctk",
    "librispeech": "librispeech",
}
_LAYOUTS = {
    "multilingual_librispeech": "{train,dev,test}/audio/<speaker>/<book>/",
    "librispeech": "train-clean-100/<speaker>/<chapter>/ and the like",
    "common_voice": "<language>/clips/",
    "vctk": "wav48_silence_trimmed/<speaker>/",
}
# Entries of a folder that tell what it is.
_PEEK = 50
_SPEAKER = re.compile(r"[ps]\d+")


class AudioRoots(Mapping[str, Path]):
    """Utterance id to its file; a mapping that does not know how many it has until it is asked to
    count."""

    def __init__(self, roots: Sequence[tuple[str | None, Path]]):
        self.folders: dict[str, list[str]] = {}
        self.loose: dict[str, str] = {}
        for name, root in roots:
            if not root.is_dir():
                raise ValueError(
                    f"--audio={root} is not a folder; point it to where the corpora were unpacked"
                )
            before = sum(map(len, self.folders.values()))
            self._walk(str(root), set())
            if name and sum(map(len, self.folders.values())) == before:
                raise ValueError(
                    f"--audio={name}={root} holds no {_LAYOUTS[_NAMES[name]]}; point it to where "
                    f"the corpus was unpacked, or leave out `{name}=` for files in another order"
                )

    def find(self, identity: str) -> str | None:
        """The path, or None."""
        # A placeholder may name VCTK's microphone.
        identity = identity.removesuffix("_mic1").removesuffix("_mic2")
        loose = self.loose.get(identity)
        if loose is not None:
            return loose
        corpus = guess_corpus(identity)
        folders = self.folders.get(corpus or "", [])
        for place, folder in enumerate(folders):
            for path in _list_candidates(folder, corpus or "", identity):
                # Path.exists raises where a name is too long for the disk
                if os.path.exists(path):  # noqa: PTH110
                    # Rows of a language follow each other: its folder is asked first the next time.
                    folders.insert(0, folders.pop(place))
                    return path
        return None

    def __getitem__(self, identity: str) -> Path:
        path = self.find(identity)
        if path is None:
            raise KeyError(identity)
        return Path(path)

    def __contains__(self, identity: object) -> bool:
        return isinstance(identity, str) and self.find(identity) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.loose)

    def __len__(self) -> int:
        return len(self.loose)

    def describe(self) -> str:
        """What was found, in a line."""
        parts = [
            f"{corpus} {len(folders)} folders" for corpus, folders in sorted(self.folders.items())
        ]
        return ", ".join([*parts, f"{len(self.loose):,} other files"])

    def _walk(self, folder: str, seen: set[tuple[int, int]]) -> None:
        status = Path(folder).stat()
        # A corpus may be a link; a loop of links must end.
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        corpora = _name_layout(folder)
        for corpus in corpora:
            self.folders.setdefault(corpus, []).append(folder)
        if corpora:
            return
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            if entry.is_dir():
                self._walk(entry.path, seen)
            elif entry.name.lower().endswith(_ENDINGS):
                stem = entry.name.rpartition(".")[0]
                name = stem.removesuffix("_mic2")
                if name == stem:
                    self.loose[stem.removesuffix("_mic1")] = entry.path
                else:
                    self.loose.setdefault(name, entry.path)


def parse_audio_flags(flags: Sequence[str]) -> AudioRoots:
    """From what the command line gives: several flags, several roots in each."""
    roots: list[tuple[str | None, Path]] = []
    for text in (text for flag in flags for text in flag.split(",") if text):
        name, equals, folder = text.partition("=")
        if not equals:
            roots.append((None, Path(text)))
        elif name not in _NAMES:
            raise ValueError(
                f"--audio={text}: no corpus {name!r}; choose of {', '.join(_NAMES)}, or leave "
                "it out"
            )
        else:
            roots.append((name, Path(folder)))
    return AudioRoots(roots)


def _name_layout(folder: str) -> tuple[str, ...]:
    """The corpora whose files are found below this folder by their ids; none if it must be
    walked."""
    base = Path(folder).name
    names = _peek(folder)
    if (
        base == "clips"
        and names
        and all(guess_corpus(name.partition(".")[0]) == "common_voice" for name in names)
    ):
        return ("common_voice",)
    speakers = [name for name in names if _SPEAKER.fullmatch(name)]
    if base.startswith("wav48") and speakers:
        return ("vctk",)
    below = [name for name in names if Path(folder, name).is_dir()]
    books = [
        name for reader in below[:1] for name in _peek(f"{folder}/{reader}") if name.isdecimal()
    ]
    if books and all(name.isdecimal() for name in below):
        return (
            ("multilingual_librispeech",)
            if base == "audio"
            else ("librispeech", "multilingual_librispeech")
        )
    return ()


def _peek(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for _, entry in zip(range(_PEEK), entries, strict=False)]


def _list_candidates(folder: str, corpus: str, identity: str) -> list[str]:
    if corpus == "common_voice":
        return [
            f"{folder}/{identity}{ending}" for ending in (".mp3", ".flac", ".wav", ".opus", ".ogg")
        ]
    if corpus == "vctk":
        stem = f"{folder}/{identity.partition('_')[0]}/{identity}"
        return [f"{stem}_mic1.flac", f"{stem}_mic2.flac", f"{stem}.wav", f"{stem}.flac"]
    speaker, book, _ = re.split("[_-]", identity)
    return [
        f"{folder}/{speaker}/{book}/{identity}{ending}"
        for ending in (".flac", ".opus", ".wav", ".mp3")
    ]
