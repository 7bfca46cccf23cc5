"""From an example to a row of a SIFT file: an instruction from the templates, and the answer that
its labels give.

    Example(recording=…, target="en", translation="It rains.")  ─►  user:      <audio> "Übersetze diese Aufnahme ins
    templates/de.json, seed                                                    Englische."
                                                                    assistant: "It rains."

Instructions are in the language spoken, and to translate also in the one translated into. What a
row asks follows from its id and the seed alone. An answer that is speech stands in the row as its
audio, as in controllable generation.
"""

import functools
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from data_prep.instructions.rows import lay_out_row
from data_prep.tasks.example import Example
from sift_jax.corpora.bad_item import BadItem
from sift_jax.sift.labels import LANGUAGES, space_signs
from sift_jax.sift.rows import Message, Row

Templates = dict[str, Any]

_LETTERS = "ABCDEFGHIJ"
# Of these lists a row has one; all else in a file of templates is kept whole.
LISTS = (
    "asr",
    "translation",
    "emotion",
    "speaker_asr",
    "intent",
    "slots",
    "tts",
    "speech_to_speech",
)


@functools.cache
def load_templates(language: str) -> Templates:
    """The templates of a language."""
    if language not in LANGUAGES:
        raise ValueError(
            f"no templates in language {language!r}; the languages are {', '.join(LANGUAGES)}"
        )
    return json.loads(
        (Path(__file__).parent / "templates" / f"{language}.json").read_text(encoding="utf-8")
    )


def make_row(
    example: Example,
    task: str,
    *,
    source: str,
    seed: int,
    templates: Mapping[str, Templates] | None = None,
) -> Row:
    """The row of an example, by other templates than the package's if given; BadItem where it lacks
    what it needs."""
    recording = example.recording
    rng = random.Random(f"{seed}/{task}/{example.key}")
    language = rng.choice(sorted({recording.language, example.target or recording.language}))
    question, answer = _WORDERS[task](
        example, templates[language] if templates else load_templates(language), rng
    )
    category, source = f"pretraining/{task}", f"{source}_{recording.language}"
    if task == "speech_to_speech":
        return _lay_out_speech(example, category, question, source)
    return lay_out_row(
        (recording.id,),
        category,
        question,
        answer,
        data_source=source,
        draw=f"{seed}/{category}/{recording.id}",
    )


def _lay_out_speech(example: Example, category: str, question: str, source: str) -> Row:
    """A row of its own id: a record that holds both recordings, of which the other tasks of either
    need one."""
    speech = _require(example, example.speech, "no spoken translation")
    heard, spoken = (
        {"audio_path": f"/path/to/{recording.id}.wav"} for recording in (example.recording, speech)
    )
    messages: list[Message] = [
        {"role": "user", "content": [heard, {"text": question}]},
        {"role": "assistant", "content": [spoken]},
    ]
    return Row(
        id=f"translation_{example.recording.id}__{speech.id}",
        messages=messages,
        task=category.split("/")[0],
        data_source=source,
    )


Worded = tuple[str, str | None]


def _word_asr(example: Example, templates: Templates, rng: random.Random) -> Worded:
    return rng.choice(templates["asr"]), _require_transcript(example)


def _word_tts(example: Example, templates: Templates, rng: random.Random) -> Worded:
    return rng.choice(templates["tts"]).replace("{text}", _require_transcript(example)), None


def _word_translation(example: Example, templates: Templates, rng: random.Random) -> Worded:
    answer = _require(example, example.translation, "no translation")
    target = _require(example, example.target, "no translation")
    return _name_languages("translation", example, templates, rng), space_signs(answer, target)


def _word_speech_to_speech(example: Example, templates: Templates, rng: random.Random) -> Worded:
    _require(example, example.speech, "no spoken translation")
    return _name_languages("speech_to_speech", example, templates, rng), None


def _name_languages(task: str, example: Example, templates: Templates, rng: random.Random) -> str:
    target = _require(example, example.target, "no translation")
    slots = {
        "from": templates["from"][example.recording.language],
        "into": templates["into"][target],
        "in": templates["in"][target],
    }
    return rng.choice(templates[task]).format(**slots)


def _word_emotion(example: Example, templates: Templates, rng: random.Random) -> Worded:
    words = templates["emotions"]
    if _require(example, example.emotion, "no emotion") not in words:
        raise BadItem(
            "unknown emotion",
            f"{example.emotion}, not one of {', '.join(words)}",
            example.recording.id,
        )
    # In any order: the place of a word says nothing.
    *most, last = rng.sample(list(words.values()), len(words))
    labels = ", ".join(most) + templates["or"] + last
    return rng.choice(templates["emotion"]).format(labels=labels), words[example.emotion]


def _word_speaker_asr(example: Example, templates: Templates, rng: random.Random) -> Worded:
    numbers: dict[str, int] = {}
    for speaker, _ in _require(example, example.turns, "no turns"):
        numbers.setdefault(speaker, len(numbers) + 1)
    language = example.recording.language
    lines = [
        templates["speaker"].format(number=numbers[speaker], text=space_signs(text, language))
        for speaker, text in example.turns
    ]
    return rng.choice(templates["speaker_asr"]), "\n".join(lines)


def _word_intent(example: Example, templates: Templates, rng: random.Random) -> Worded:
    intent = _require(example, example.intent, "no intent")
    options = [intent, *_require(example, example.others[: len(_LETTERS) - 1], "no other intents")]
    order = zip(_LETTERS, rng.sample(options, len(options)), strict=False)
    lines = {option: f"{letter}. {option}" for letter, option in order}
    return rng.choice(templates["intent"]).format(options="\n".join(lines.values())), lines[intent]


def _word_slots(example: Example, templates: Templates, rng: random.Random) -> Worded:
    lines = [f"{name}: {value}" for name, value in example.entities]
    return rng.choice(templates["slots"]), "\n".join(lines) or templates["no_slots"]


def _require_transcript(example: Example) -> str:
    return space_signs(
        _require(example, example.recording.transcript, "no transcript"), example.recording.language
    )


def _require(example: Example, value: Any, reason: str) -> Any:
    if not value:
        raise BadItem(reason, "", example.recording.id)
    return value


_WORDERS: dict[str, Callable[[Example, Templates, random.Random], Worded]] = {
    "asr": _word_asr,
    "translation": _word_translation,
    "emotion": _word_emotion,
    "speaker_asr": _word_speaker_asr,
    "intent": _word_intent,
    "slots": _word_slots,
    "tts": _word_tts,
    "speech_to_speech": _word_speech_to_speech,
}
