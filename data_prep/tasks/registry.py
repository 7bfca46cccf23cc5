"""The tasks of stage 1 and the corpora that have them.

--task=translation --corpus=covost2  ─►  (reader, name in SIFT files' data_source)
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.corpora.recording import CorpusError
from data_prep.corpora.registry import CORPORA
from data_prep.tasks.ami import read_ami
from data_prep.tasks.example import Found, TaskReader, rename_all
from data_prep.tasks.manifest_tasks import read_listed
from data_prep.tasks.msp_podcast import read_msp_podcast
from data_prep.tasks.slurp import read_slurp_intents, read_slurp_slots
from data_prep.tasks.translation import (
    read_covost,
    read_cvss_speech,
    read_cvss_text,
    read_fleurs_pairs,
    read_voxpopuli_speech,
    read_voxpopuli_text,
)
from sift_jax.sift.labels import LANGUAGES

MANIFEST = "manifest"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskCorpus:
    """How to read a task's examples of a corpus, and in which languages they are spoken."""

    read: TaskReader
    languages: tuple[str, ...] = LANGUAGES


def _make_transcribed(name: str) -> TaskCorpus:
    corpus = CORPORA[name]
    return TaskCorpus(
        read=lambda root, languages: rename_all(corpus.read(root, languages), name),
        languages=corpus.languages,
    )


_TRANSCRIBED = {
    name: _make_transcribed(name)
    for name in ("librispeech", "mls", "fleurs", "peoples_speech", "voxpopuli")
}
_ENGLISH = ("en",)

TASKS: dict[str, dict[str, TaskCorpus]] = {
    "asr": _TRANSCRIBED,
    "translation": {
        "covost2": TaskCorpus(read=read_covost),
        "cvss": TaskCorpus(read=read_cvss_text, languages=LANGUAGES[1:]),
        "fleurs": TaskCorpus(read=read_fleurs_pairs),
        "voxpopuli": TaskCorpus(read=read_voxpopuli_text),
    },
    "emotion": {"msp_podcast": TaskCorpus(read=read_msp_podcast, languages=_ENGLISH)},
    "speaker_asr": {"ami": TaskCorpus(read=read_ami, languages=_ENGLISH)},
    "intent": {"slurp": TaskCorpus(read=read_slurp_intents, languages=_ENGLISH)},
    "slots": {"slurp": TaskCorpus(read=read_slurp_slots, languages=_ENGLISH)},
    "tts": _TRANSCRIBED,
    "speech_to_speech": {
        "cvss": TaskCorpus(read=read_cvss_speech, languages=LANGUAGES[1:]),
        "voxpopuli": TaskCorpus(read=read_voxpopuli_speech),
    },
}
CORPUS_NAMES = tuple(
    dict.fromkeys([name for corpora in TASKS.values() for name in corpora] + [MANIFEST])
)
# What ids begin with: no manifest may be called so.
TAKEN_NAMES = (*CORPUS_NAMES, "common_voice", "msp")


def list_languages(task: str, corpus: str) -> tuple[str, ...]:
    return LANGUAGES if corpus == MANIFEST else TASKS[task][corpus].languages


def read_task(
    task: str,
    corpus: str,
    root: Path | None,
    manifest: Path | None,
    name: str,
    languages: Sequence[str],
) -> Iterator[Found]:
    """The examples of a task that a corpus or a manifest has, as they come."""
    if corpus == MANIFEST:
        if manifest is None:
            raise CorpusError("--corpus=manifest needs --manifest=<file.jsonl or file.tsv>")
        return read_listed(manifest, root or manifest.parent, languages, task, name)
    if root is None or not root.is_dir():
        raise CorpusError(
            f"--corpus={corpus} needs --root=<the folder where it is unpacked>, not {root}"
        )
    return TASKS[task][corpus].read(root.resolve(), languages)
