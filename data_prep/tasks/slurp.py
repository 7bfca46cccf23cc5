"""SLURP: what people want of a household's assistant, English. One reader for intents, one for
slots.

sift_jax/corpora/slurp.py has its layout. Every recording of a sentence is an example of its own.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.corpora.recording import (
    CorpusError,
    Recording,
    check_id,
    clean_transcript,
    decode_line,
    find_folder,
    locate_audio,
    parse_object,
    reject,
)
from data_prep.corpora.splits import DEV, EVALUATION, TRAIN
from data_prep.tasks.example import Example, Found, draw_others
from sift_jax.corpora.bad_item import BadItem
from sift_jax.corpora.slurp import AUDIO_FOLDERS, LIST_FOLDERS, name_intent, parse_command

_PARTS = {"train": TRAIN, "devel": DEV, "test": EVALUATION}


def read_slurp_intents(root: Path, languages: Sequence[str]) -> Iterator[Found]:
    """Each recording with its intent, and some of the corpus that are not it."""
    lists = _find_lists(root, languages)
    intents = sorted({intent for path in lists.values() for intent in _list_intents(path)})
    for held, path in lists.items():
        for example in _read_list(path, root, held):
            if isinstance(example, Example):
                others = draw_others(example.intent or "", intents, example.recording.id)
                example = Example(recording=example.recording, intent=example.intent, others=others)
            yield example


def read_slurp_slots(root: Path, languages: Sequence[str]) -> Iterator[Found]:
    for held, path in _find_lists(root, languages).items():
        yield from _read_list(path, root, held)


def _find_lists(root: Path, languages: Sequence[str]) -> dict[str, Path]:
    if "en" not in languages:
        return {}
    for folder in LIST_FOLDERS:
        lists = {held: root / folder / f"{part}.jsonl" for part, held in _PARTS.items()}
        if found := {held: path for held, path in lists.items() if path.is_file()}:
            return found
    raise CorpusError(
        f"no dataset/slurp/train.jsonl, devel.jsonl or test.jsonl under {root}; clone SLURP there "
        "and unpack its audio, or change --root"
    )


def _list_intents(path: Path) -> Iterator[str]:
    with path.open("rb") as lines:
        for raw in lines:
            try:
                yield name_intent(parse_object(decode_line(raw)))
            except BadItem:
                continue


def _read_list(path: Path, root: Path, held: str) -> Iterator[Found]:
    audio = find_folder(root, AUDIO_FOLDERS, "SLURP's recordings")
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            if not raw.strip():
                continue
            try:
                command = parse_command(parse_object(decode_line(raw)))
            except BadItem as bad:
                yield reject(bad, file=path, line=number, language="en")
                continue
            for name in command.files:
                try:
                    yield Example(
                        recording=_make_recording(name, command.sentence, audio, held),
                        intent=command.intent,
                        entities=command.slots,
                    )
                except BadItem as bad:
                    yield reject(bad, file=path, line=number, language="en")


def _make_recording(name: str, sentence: str, audio: Path, held: str) -> Recording:
    identity = check_id(f"slurp_{name.removesuffix('.flac')}")
    return Recording(
        id=identity,
        language="en",
        held=held,
        audio=locate_audio(audio, name, identity),
        transcript=clean_transcript(sentence, identity),
    )
