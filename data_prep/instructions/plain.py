"""Plain answers, for models that nothing is pretrained of: a line for each thing that is said.

    "How fast does she speak?"      Speed 6: quite fast          what it is about · number on its scale · label
    "Wie hoch ist die Stimme?"      Pitch 1: in sehr tiefer Tonlage
    "Is the recording noisy?"       Clarity 6: clean             evidence before the verdict
                                    No
    "Which one is faster?"          Faster 2: second recording
    "Could a learner follow this?"  Speed 7: very fast          and before what it lets one infer
                                    Clarity 6: clean
                                    A learner would find this hard

Names and numbers are the same in all languages: what links them to the sound is learnt once, and
not once a language. Which line a question asks for, and which word a number has, are matters of
text alone.
"""

from typing import Any

from sift_jax.sift.labels import LABELS, name_label

# what an answer is about, by form of question: each begins a line, as one token of its own
NAMES = {
    "gender": "Gender",
    "language": "Language",
    "age_category": "Age",
    "accent": "Accent",
    "topic": "Topic",
    "sentence_length": "Length",
    "sentence_type": "Sentence",
    "average_pitch": "Pitch",
    "pitch_variation": "Intonation",
    "speaking_rate": "Speed",
    "average_intensity": "Volume",
    "noise_level": "Clarity",
    "reverberation": "Distance",
    "distortion_level": "Purity",
    "speech_quality": "Quality",
    "pitch_contour": "Melody",
    "intensity_contour": "Strength",
    "highest_word": "Highest",
    "loudest_word": "Loudest",
}
# which of two recordings has more of a key, or less
POLES = {
    "average_pitch": {"high": "Higher", "low": "Deeper"},
    "pitch_variation": {"high": "Livelier", "low": "Flatter"},
    "speaking_rate": {"high": "Faster", "low": "Slower"},
    "average_intensity": {"high": "Stronger", "low": "Weaker"},
    "noise_level": {"high": "Cleaner", "low": "Noisier"},
    "reverberation": {"high": "Closer", "low": "Farther"},
    "distortion_level": {"high": "Purer", "low": "Harsher"},
    "speech_quality": {"high": "Better", "low": "Worse"},
    "gender": {"female": "Lady", "male": "Gentleman"},
}
_ONE_LABEL = ("pitch_contour", "intensity_contour", "highest_word", "loudest_word")
_ANSWERS = ("answers", "yes", "no")
# Lists whose places mean something are kept whole.
_WHOLE = ("ordinals", "inferences")


def number_label(key: str, label: str) -> int:
    """The place of a label on its scale, from 1, the lowest."""
    return LABELS[key].index(label) + 1


def write_line(name: str, key: str, label: str, language: str) -> str:
    return f"{name} {number_label(key, label)}: {name_label(key, label, language)}"


def make_plain(templates: dict[str, Any]) -> dict[str, Any]:
    """The templates of a language with one short wording of each answer, and no openings."""
    plain = {
        name: value if name == "clauses" else _shorten(value) for name, value in templates.items()
    }
    lines = {form: ["{line}"] for form in _ONE_LABEL}
    changed = {
        form: {**plain[form], "answers": answers}
        for form, answers in {
            **lines,
            "pair": ["{Clause_a}\n{Clause_b}"],
            "which": ["{line}"],
            "compare": ["{line_a}\n{line_b}"],
        }.items()
    }
    both = ["{line_a}\n{line_b}\n{Same}"]
    changed["same_gender"] = {**plain["same_gender"], "same": both, "different": both}
    return {**plain, **changed, "is_plain": True, "openings": [], "openings_two": []}


def _shorten(value: Any, *, is_answer: bool = False) -> Any:
    if isinstance(value, dict):
        return {
            name: item if name in _WHOLE else _shorten(item, is_answer=name in _ANSWERS)
            for name, item in value.items()
        }
    if not is_answer or not isinstance(value, list):
        return value
    shortest = min(value, key=len)
    if "{label}" in shortest:
        return ["{Label}"]
    # "Yes, I hear "{word}"." is "Yes"
    return [shortest.split(",")[0]] if "{word}" in shortest else [shortest]
