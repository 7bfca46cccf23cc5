"""What is to be spoken, and how: a line a request.

    sift/EvalSIFT/controllable_generation/en/split0.jsonl, metadata.jsonl
        "Say this very slowly and with a female voice: Rain falls softly."  ─►  items.jsonl
        {"id": "u1--0", "language": "en", "instruction": "Say this …", "text": "Rain falls softly.",
         "asked": {"speaking_rate": "very slowly", "gender": "female"}}

A SIFT row does not say which labels its instruction asks for, but the words do: what stands before
the transcript is searched for the labels' phrases, those of the build's free fields among them, and
what is found must be what the metadata has. Of rows from elsewhere (the released set, instructions
of a language model) the words alone count; a row in which none is found is skipped.
"""

import dataclasses
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from data_prep.instructions.memory_shares import read_metadata
from data_prep.instructions.templates import SPEECH_KEYS, load_templates, write_request
from data_prep.metadata.rate import count_phones
from sift_jax.sift.fields import Fields, find_styles, read_build_fields
from sift_jax.sift.labels import GENDERS, LABELS, LANGUAGES, find_labels, space_signs
from sift_jax.sift.rows import list_files, name_utterance, read_rows
from sift_jax.storage.whole_files import open_whole

CATEGORY = "controllable_generation"
# all that an instruction may ask of a speaker; the first five can be heard by a machine
MEASURED = (*SPEECH_KEYS, "gender")
ASKED = (*MEASURED, "age_category", "accent")
# between the name of an utterance and what tells its requests apart
_MARK = "--"

Metadata = Mapping[str, Mapping[str, Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """One line of items.jsonl; `instruction` is the whole message to the model, `text` the words to
    be spoken."""

    id: str
    language: str
    instruction: str
    text: str
    asked: Mapping[str, str]
    # classes of free fields that it asks for, as the build has them: {"emotion": "angry"}
    fields: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def utterance(self) -> str:
        """The recording that the request was made from."""
        return self.id.rpartition(_MARK)[0] or self.id

    @property
    def swept(self) -> str | None:
        """The key whose classes this request and its like go through."""
        key = self.id.rpartition(_MARK)[2].rpartition("-")[0]
        return key if key in MEASURED and key in self.asked else None


class Unclear(ValueError):
    """A row that says not clearly what it asks for; the message is a reason to count by."""


def check_request(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request, from JSON; an error says what is wrong and what would be right."""
    for name in ("id", "language", "instruction", "text"):
        if not isinstance(fields.get(name), str) or not fields[name].strip():
            raise ValueError(f"{name} is {fields.get(name)!r}, not a text")
    asked = fields.get("asked")
    if not isinstance(asked, dict):
        raise ValueError(f"asked is {asked!r}, not {{key: label}}")
    for key, label in asked.items():
        if key not in ASKED:
            raise ValueError(f"asked has the key {key!r}; it takes {', '.join(ASKED)}")
        if label not in LABELS[key]:
            raise ValueError(
                f"{key} has no label {label!r}; its labels are {', '.join(LABELS[key])}"
            )
    if fields["language"] not in LANGUAGES:
        raise ValueError(f"language {fields['language']!r} is none of {', '.join(LANGUAGES)}")
    free = fields.get("fields", {})
    if not isinstance(free, dict) or not all(isinstance(label, str) for label in free.values()):
        raise ValueError(f"fields is {free!r}, not {{field: class}}")
    return {
        **{name: fields[name] for name in ("id", "language", "instruction", "text", "asked")},
        "fields": free,
    }


def read_items(path: Path) -> list[Request]:
    """items.jsonl, each line checked, each id once."""
    requests, seen = [], set()
    for place, fields in read_lines(path, "python -m data_prep.generation items"):
        try:
            request = Request(**check_request(fields))
        except ValueError as error:
            raise ValueError(
                f"{place}: {error}; write it with `python -m data_prep.generation items`"
            ) from None
        if request.id in seen:
            raise ValueError(
                f"{place}: the id {request.id!r} is there twice; give each request its own"
            )
        seen.add(request.id)
        requests.append(request)
    return requests


def read_lines(path: Path, writer: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) of each line of a .jsonl that is not empty."""
    count = 0
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    fields, count = json.loads(line), count + 1
                    if not isinstance(fields, dict):
                        raise ValueError("not an object")
                    yield f"{path}:{number}", fields
    except OSError as error:
        raise ValueError(
            f"{path}: cannot be read ({error.strerror}); make it with `{writer}`"
        ) from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}: line {number} is not JSON ({error.msg}); make it again with `{writer}`"
        ) from None
    if not count:
        raise ValueError(f"{path}: is empty; make it again with `{writer}`")


def write_items(path: Path, requests: Iterable[Request]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_whole(path) as out:
        for request in requests:
            out.write(json.dumps(list_fields(request), ensure_ascii=False) + "\n")


def list_fields(request: Request) -> dict[str, Any]:
    """What a line has of a request; free fields only where it asks for some."""
    return {
        name: value
        for name, value in dataclasses.asdict(request).items()
        if name != "fields" or value
    }


def find_asked(words: str, language: str, *, is_free: bool = False) -> dict[str, str]:
    """The labels that an instruction's own words ask for, in their order; there may be none of one
    that `is_free`."""
    asked: dict[str, str] = {}
    for key, label in find_labels(words, language):
        if key in ASKED and asked.setdefault(key, label) != label:
            raise Unclear(f"asks for two classes of {key}")
    if not asked and not is_free:
        raise Unclear("no label of this house in its words")
    return asked


def collect(
    build: Path, split: str, languages: Sequence[str], sift: Path | None
) -> tuple[list[Request], Counter[str]]:
    """A request of each row of a split, and why others became none. `sift`: other rows about the
    build's recordings."""
    rows = [
        (language, row)
        for language in languages
        for file in list_files(sift or build / "sift", split, CATEGORY, language)
        for row in read_rows(file)
    ]
    if missing := [
        language for language in languages if language not in {language for language, _ in rows}
    ]:
        raise ValueError(
            f"{sift or build / 'sift'}: no {CATEGORY} rows of {split} in {', '.join(missing)}; "
            "give a build that has them, or other --languages"
        )
    known = read_known(build, {name_utterance(row["id"]) for _, row in rows})
    requests: list[Request] = []
    left: Counter[str] = Counter()
    uses: Counter[str] = Counter()
    fields = read_build_fields(build)
    for language, row in rows:
        utterance = known.get(name_utterance(row["id"]))
        if utterance is None:
            left["its recording is not in the build"] += 1
            continue
        try:
            found = _read_row(row, language, utterance, fields, is_own=sift is None)
        except Unclear as reason:
            left[str(reason)] += 1
            continue
        requests.append(
            Request(
                id=f"{utterance['id']}{_MARK}{uses[utterance['id']]}", language=language, **found
            )
        )
        uses[utterance["id"]] += 1
    return requests, left


def _read_row(
    row: Mapping[str, Any],
    language: str,
    utterance: Mapping[str, Any],
    fields: Fields,
    *,
    is_own: bool,
) -> dict[str, Any]:
    instruction = " ".join(
        part["text"]
        for message in row["messages"]
        if message["role"] == "user"
        for part in message["content"]
        if "text" in part
    )
    # rows of ours set a sentence as its language does, the released ones as its corpus did
    place = max(
        instruction.rfind(space_signs(utterance["transcript"], language)),
        instruction.rfind(utterance["transcript"]),
    )
    if place < 0:
        raise Unclear("the transcript is not in the instruction")
    free = find_styles(fields, instruction[:place], language)
    asked = find_asked(instruction[:place], language, is_free=bool(free))
    if is_own and not is_true_of(utterance, asked, free):
        raise Unclear("its words and the metadata differ")
    return {
        "instruction": instruction,
        "text": utterance["transcript"],
        "asked": asked,
        "fields": free,
    }


def _find_label(utterance: Mapping[str, Any], key: str) -> str | None:
    return utterance["labels"].get(key) if key in SPEECH_KEYS else utterance[key]


def is_true_of(
    utterance: Mapping[str, Any],
    asked: Mapping[str, str],
    free: Mapping[str, str] = MappingProxyType({}),
) -> bool:
    """Whether a recording has all that is asked for, of free fields too."""
    known = {name: found["label"] for name, found in (utterance.get("fields") or {}).items()}
    return free.items() <= known.items() and all(
        _find_label(utterance, key) == label for key, label in asked.items()
    )


def read_known(build: Path, names: set[str] | None = None) -> Metadata:
    """The build's metadata of these utterances, or of all, by id."""
    path = build / "metadata.jsonl"
    if not path.is_file():
        raise ValueError(
            f"{path}: no such file; give a folder that python -m data_prep.build has written"
        )
    return {row["id"]: row for row in read_metadata(path) if names is None or row["id"] in names}


def list_spoken(build: Path, split: str, sift: Path | None) -> list[str]:
    """The languages that there are instructions to speak in."""
    return [
        language
        for language in LANGUAGES
        if list_files(sift or build / "sift", split, CATEGORY, language)
    ]


def draw(requests: Sequence[Request], limit: int | None, seed: int) -> list[Request]:
    """At most so many of each language, drawn evenly; in the order in which they came."""
    if limit is None:
        return list(requests)
    kept: set[str] = set()
    for language in dict.fromkeys(request.language for request in requests):
        names = [request.id for request in requests if request.language == language]
        kept.update(random.Random(f"{seed}/{language}").sample(names, min(limit, len(names))))
    return [request for request in requests if request.id in kept]


def forget(requests: Sequence[Request]) -> list[Request]:
    """The same texts in instructions that ask for no manner: what a model does that was not
    told."""
    return [
        dataclasses.replace(request, instruction=_write(request.language, {}, request.text))
        for request in requests
    ]


def sweep(
    build: Path,
    split: str,
    languages: Sequence[str],
    keys: Sequence[str] | None,
    sentences: int,
    gender: str,
) -> list[Request]:
    """Of some sentences each class of these keys, asked for by itself; pitch with the gender whose
    scale it is on.

    Without keys they are those that the build's instructions ask for: of others no model has heard.
    Sentences of middling length show most: of each language those nearest to the median.
    """
    if gender not in GENDERS:
        raise ValueError(f"--gender={gender} is none of {', '.join(GENDERS)}")
    if keys is None:
        heard = {
            key for request in collect(build, split, languages, None)[0] for key in request.asked
        }
        keys = [key for key in MEASURED if key in heard]
    if strange := [key for key in keys if key not in MEASURED]:
        raise ValueError(f"--keys: {strange[0]!r} is none of {', '.join(MEASURED)}")
    utterances = [
        row
        for row in read_known(build).values()
        if row["split"] == split and row["language"] in languages
    ]
    requests = []
    for language in languages:
        texts = {
            row["transcript"]: row
            for row in utterances
            if row["language"] == language and row["phonemes"]
        }
        if not texts:
            raise ValueError(
                f"{build}: no {split} utterance in {language} with phonemes; give other --languages"
            )
        lengths = {text: count_phones(row["phonemes"]) for text, row in texts.items()}
        middle = sorted(lengths.values())[len(lengths) // 2]
        for text in sorted(texts, key=lambda text: (abs(lengths[text] - middle), text))[:sentences]:
            for key in keys:
                extra = {"gender": gender} if key == "average_pitch" else {}
                for place, label in enumerate(LABELS[key]):
                    asked = {**extra, key: label}
                    requests.append(
                        Request(
                            id=f"{texts[text]['id']}{_MARK}{key}-{place}",
                            language=language,
                            text=text,
                            instruction=_write(language, asked, text),
                            asked=asked,
                        )
                    )
    return requests


def _write(language: str, asked: dict[str, str], text: str) -> str:
    templates = load_templates(language)
    return write_request(templates, templates[CATEGORY]["questions"][0], asked, text)
