"""Anybody's speech: a list of files as JSON lines (NeMo's among them) or as a table with tabs and a
header.

    {"audio_filepath": "a/1.wav", "text": "Rain falls.", "offset": 3.5, "duration": 2.0, "speaker": "s1"}        NeMo
    {"audio": "a/1.wav", "transcript": "Rain falls.", "language": "en", "gender": "female", "age": 34, "split": "test",
     "phonemes": "R|EY|N| |F|AO|L|Z", "words": [{"word": "Rain", "start": 0.1, "end": 0.4}, …]}
    audio ⇥ text ⇥ speaker ⇥ language                                                                    a header in TSV

Only the audio and the text must be there; each field goes by any of the names in `_FIELDS`, and a
free one (an emotion, a role) by those that its table gives it (`data_prep.build --fields`). A
`split` is obeyed: train, dev or test, or another name in `_SPLITS`; a line with an unknown one is
skipped. Where several corpora stand in one manifest, its `corpus` says which a line is from: each
has its own scale of levels. Audio paths start at the root: the manifest's own folder, unless
another is given. A line without a language is in the one that is asked for, one without an id is
named after its file, and after the milliseconds at which it starts there.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

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
    read_table,
)
from data_prep.corpora.splits import DEV, EVALUATION, TRAIN
from data_prep.corpora.utterance import WordSpan
from sift_jax.corpora.bad_item import BadItem
from sift_jax.sift.labels import LANGUAGE_NAMES

_FIELDS = {
    "audio": ("audio", "audio_filepath", "audio_path", "path", "wav", "file"),
    "text": ("text", "transcript", "transcription", "sentence"),
    "id": ("id", "utt_id", "utterance_id"),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "gender": ("gender", "sex"),
    "age": ("age", "age_category"),
    "accent": ("accent", "accents"),
    "language": ("language", "lang", "locale"),
    "split": ("split", "subset"),
    "start": ("offset", "start"),
    "seconds": ("duration", "seconds"),
    "collection": ("corpus", "collection", "dataset"),
}
# The name of a free field, and those that a manifest may give it.
Columns = Sequence[tuple[str, Sequence[str]]]
# A path, at the most.
_LONGEST = 4_096
# What a free field says is a class, not a text.
_LONGEST_FREE = 80
_SPLITS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("dev", "development", "validation", "valid", "val"), DEV),
    **dict.fromkeys(("test", "testing", "eval", "evaluation", "evalsift"), EVALUATION),
}
_LANGUAGES = {
    name: code for code, long in LANGUAGE_NAMES.items() for name in (code.lower(), long.lower())
}


def read_manifest(
    path: Path, root: Path, languages: Sequence[str], columns: Columns = ()
) -> Iterator[Item]:
    """One item a line: a .tsv has a header, every other manifest is JSON lines."""
    return read_manifest_rows(
        path, lambda row: make_recording(row, root, languages, columns=columns)
    )


def read_manifest_rows(path: Path, parse: Callable[[Mapping[str, Any]], Any]) -> Iterator[Any]:
    """What is made of each line's fields, or why it was skipped."""
    if not path.is_file():
        raise CorpusError(
            f"--manifest={path}: no such file; give a .jsonl or .tsv with a line an utterance"
        )

    if path.suffix == ".tsv":
        return read_table(path, (), parse)
    return read_items(path, lambda text: parse(parse_object(text)))


def make_recording(
    row: Mapping[str, Any],
    root: Path,
    languages: Sequence[str],
    *,
    is_said: bool = True,
    columns: Columns = (),
) -> Recording:
    """The recording of a line; where nobody asks what `is_said` the text may be missing. `columns`
    name the free fields."""
    audio, text = _take(row, "audio"), _take(row, "text")
    if not audio:
        raise BadItem("broken line", f"no field {' or '.join(_FIELDS['audio'])}")
    named = _take(row, "id")
    # Whatever reads SIFT files takes VCTK's two microphones for one utterance.
    identity = check_id(re.sub(r"_mic[12]$", "", named or _name_after(audio)))
    start = _take_number(row, "start", identity)
    if start and not named:
        # Several parts of one file are several utterances.
        identity = check_id(f"{identity}_{round(1000 * start):07d}")
    # The length of a whole file is often written too: it cuts only where an offset goes with it.
    seconds = None if start is None else _take_number(row, "seconds", identity)
    return Recording(
        id=identity,
        language=find_language(_take(row, "language"), languages, identity),
        audio=locate_audio(root, audio, identity),
        transcript=clean_transcript(text or "", identity) if is_said or text else "",
        speaker=_take(row, "speaker"),
        gender=name_gender(_take(row, "gender")),
        age_category=name_age(_take(row, "age")),
        accent=_take(row, "accent"),
        held=_find_split(row, identity),
        start=start or 0.0,
        seconds=seconds,
        phonemes=row["phonemes"]
        if isinstance(row.get("phonemes"), str) and row["phonemes"].strip()
        else None,
        words=_read_words(row.get("words"), identity),
        collection=_take(row, "collection"),
        fields=_take_free(row, columns),
    )


def _name_after(audio: str) -> str:
    return Path(audio).with_suffix("").as_posix().lstrip("/").replace("/", "_")


def _take(row: Mapping[str, Any], field: str) -> str | None:
    """The field under the first of its names, as text; None where it is empty."""
    for name in _FIELDS[field]:
        value = row.get(name)
        if (
            isinstance(value, str | int | float)
            and not isinstance(value, bool)
            and str(value).strip()
        ):
            text = str(value).strip()
            if field != "text" and (len(text) > _LONGEST or not text.isprintable()):
                raise BadItem(
                    "broken line",
                    f"{name} of {len(text)} characters, or with such as cannot be printed",
                )
            return text
    return None


def _take_free(row: Mapping[str, Any], columns: Columns) -> dict[str, str]:
    """What the line says in its free fields, each under the first of its names that is there."""
    found = {}
    for field, names in columns:
        for name in names:
            value = row.get(name)
            if (
                isinstance(value, str | int | float)
                and not isinstance(value, bool)
                and str(value).strip()
            ):
                text = "".join(c if c.isprintable() else " " for c in str(value))
                found[field] = " ".join(text.split())[:_LONGEST_FREE]
                break
    return found


def _find_split(row: Mapping[str, Any], identity: str) -> str | None:
    """The split that the line states; what else is called `subset` may be another matter
    altogether."""
    name = _take(row, "split")
    if name is None:
        return None
    if name.casefold() not in _SPLITS and str(row.get("split") or "").strip() == name:
        raise BadItem(
            "unknown split", f"{name[:40]!r}; name it train, dev or test, or leave it out", identity
        )
    return _SPLITS.get(name.casefold())


def _take_number(row: Mapping[str, Any], field: str, identity: str) -> float | None:
    text = _take(row, field)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < 1e6:
        raise BadItem("broken line", f"{field} {text[:40]} is not a number of seconds", identity)
    return number


def find_language(named: str | None, languages: Sequence[str], identity: str) -> str:
    if named is None:
        if len(languages) == 1:
            return languages[0]
        raise BadItem("no language", "the line names none; give --languages=<the one>", identity)
    code = _LANGUAGES.get(named.lower()) or _LANGUAGES.get(
        named.lower().replace("_", "-").split("-")[0]
    )
    if code is None or code not in languages:
        raise BadItem("another language", named[:40], identity)
    return code


def _read_words(value: Any, identity: str) -> tuple[WordSpan, ...]:
    """Word times as the manifest gives them; in order, and one after another."""
    if value in (None, "", []):
        return ()
    try:
        words = tuple(
            WordSpan(
                word=str(word["word"]),
                position=place,
                start=float(word["start"]),
                end=float(word["end"]),
            )
            for place, word in enumerate(value, 1)
        )
    except (TypeError, KeyError, ValueError):
        raise BadItem("broken word times", "words are [{word, start, end}, …]", identity) from None
    times = [time for word in words for time in (word.start, word.end)]
    if not all(math.isfinite(time) and time >= 0 for time in times) or times != sorted(times):
        raise BadItem("broken word times", "times go backwards", identity)
    return words


def take_text(row: Mapping[str, Any]) -> str | None:
    """The text of a line as it stands there, however long."""
    return _take(row, "text")


def leave_out(row: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """The line without some of its fields, by whichever name it has them."""
    names = {name for field in fields for name in _FIELDS.get(field, (field,))}
    return {name: value for name, value in row.items() if name not in names}
