"""SLURP: what people want of a household's assistant, English. One reader for intents, one for
slots.

    dataset/slurp/{train,devel,test}.jsonl
        {"slurp_id": 7, "sentence": "wake me at nine", "scenario": "alarm", "action": "set",
         "tokens": [{"surface": "wake"}, …], "entities": [{"span": [3], "type": "time"}],
         "recordings": [{"file": "audio-1488_headset.flac"}, …]}
    {audio/slurp_real,scripts/audio/slurp_real,slurp_real}/audio-1488_headset.flac

The intent is scenario and action, as the corpus counts it; a slot's value is the tokens in its
span. Every recording of a sentence is an example of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.corpora.recording import (
    BadItem,
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
    for folder in (root / "dataset" / "slurp", root):
        lists = {held: folder / f"{part}.jsonl" for part, held in _PARTS.items()}
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
                yield _name_intent(parse_object(decode_line(raw)))
            except BadItem:
                continue


def _name_intent(row: Mapping[str, Any]) -> str:
    scenario, action = row.get("scenario"), row.get("action")
    if not all(isinstance(name, str) and name.strip() for name in (scenario, action)):
        raise BadItem("broken line", "no scenario and action")
    return " ".join(f"{scenario} {action}".replace("_", " ").split())


def _read_list(path: Path, root: Path, held: str) -> Iterator[Found]:
    audio = find_folder(
        root, ["audio/slurp_real", "scripts/audio/slurp_real", "slurp_real"], "SLURP's recordings"
    )
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            if not raw.strip():
                continue
            try:
                row = parse_object(decode_line(raw))
                intent, entities, names = _name_intent(row), _read_entities(row), _list_files(row)
            except BadItem as bad:
                yield reject(bad, file=path, line=number, language="en")
                continue
            for name in names:
                try:
                    yield Example(
                        recording=_make_recording(name, row, audio, held),
                        intent=intent,
                        entities=entities,
                    )
                except BadItem as bad:
                    yield reject(bad, file=path, line=number, language="en")


def _list_files(row: Mapping[str, Any]) -> list[str]:
    try:
        return [str(recording["file"]) for recording in row["recordings"]]
    except (KeyError, TypeError):
        raise BadItem("broken line", "no recordings with their file") from None


def _read_entities(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    try:
        words = [str(token["surface"]) for token in row["tokens"]]
        found = [
            (
                min(entity["span"]),
                str(entity["type"]),
                " ".join(words[place] for place in entity["span"]),
            )
            for entity in row["entities"]
        ]
    except (KeyError, TypeError, IndexError, ValueError):
        raise BadItem(
            "broken line", "entities without type, or with a span beyond the tokens"
        ) from None
    return tuple(
        (" ".join(name.replace("_", " ").split()), " ".join(value.split()))
        for _, name, value in sorted(found)
    )


def _make_recording(name: str, row: Mapping[str, Any], audio: Path, held: str) -> Recording:
    identity = check_id(f"slurp_{name.removesuffix('.flac')}")
    return Recording(
        id=identity,
        language="en",
        held=held,
        audio=locate_audio(audio, name, identity),
        transcript=clean_transcript(str(row.get("sentence", "")), identity),
    )
