"""Every inference is supported by every label that it names, in every combination of classes, form
and language."""

import itertools
import random

import pytest

from data_prep.instructions import open_ended, open_ended_paper
from data_prep.instructions.templates import load_templates
from sift_jax.sift.labels import ACOUSTIC_LABELS, LANGUAGES, find_labels, normalise

# What each conclusion may stand on, said here a second time and by name: (form, place) to {key:
# labels}.
SUPPORT = {
    ("place", 0): {"reverberation": ("very distant-sounding", "distant-sounding")},
    ("place", 1): {"reverberation": ("slightly distant-sounding",)},
    ("place", 2): {"reverberation": ("slightly close-sounding", "very close-sounding")},
    ("audiobook", 0): {
        "noise_level": ("very noisy", "noisy", "slightly noisy"),
        "reverberation": ("very distant-sounding", "distant-sounding"),
    },
    ("audiobook", 1): {"noise_level": ("very clean",), "reverberation": ("very close-sounding",)},
    ("learner", 0): {
        "noise_level": ("very noisy", "noisy", "slightly noisy"),
        "speaking_rate": ("quite fast", "very fast"),
    },
    ("learner", 1): {
        "noise_level": ("clean", "very clean"),
        "speaking_rate": ("very slowly", "quite slowly", "slightly slowly"),
    },
    ("noise_level", 0): {"noise_level": ("very noisy", "noisy", "slightly noisy")},
    ("noise_level", 1): {"noise_level": ("clean", "very clean")},
    ("reverberation", 0): {
        "reverberation": ("very distant-sounding", "distant-sounding", "slightly distant-sounding")
    },
    ("reverberation", 1): {"reverberation": ("slightly close-sounding", "very close-sounding")},
}
ABSOLUTE = {"noise_level", "reverberation", "distortion_level", "speech_quality"}
FORMS = ("place", "audiobook", "learner", "improve")


def list_combinations():
    """(labels, values) of all classes that an inference might look at; None: not known."""
    choices = [
        [(key, label) for label in (*ACOUSTIC_LABELS[key], None)]
        for key in ("noise_level", "reverberation", "speaking_rate")
    ]
    for number, combination in enumerate(itertools.product(*choices)):
        for rate in (8.0, 15.0, 22.0):
            labels = {key: label for key, label in combination if label}
            for key in ("average_pitch", "pitch_variation", "average_intensity"):
                labels[key] = ACOUSTIC_LABELS[key][number % len(ACOUSTIC_LABELS[key])]
            yield labels, {"speaking_rate": rate}


def list_conclusions(templates):
    """Phrase to (form or key of an advice, place)."""
    found = {}
    for form in FORMS:
        inferences = templates["open_ended"][form]["inferences"]
        for name, phrases in (
            inferences.items() if isinstance(inferences, dict) else [(form, inferences)]
        ):
            found |= {normalise(phrase): (name, place) for place, phrase in enumerate(phrases)}
    return found


def make_utterance(language, labels, values):
    return {
        "id": "u",
        "language": language,
        "gender": "female",
        "age_category": "forties",
        "labels": labels,
        "values": values,
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_inference_names_only_labels_that_support_it(language):
    templates, rng, seen = load_templates(language), random.Random(language), set()
    conclusions = list_conclusions(templates)
    assert len(conclusions) == len(SUPPORT)
    for labels, values in list_combinations():
        for item in open_ended.make_items(make_utterance(language, labels, values), templates, rng):
            assert item.form != "mood"
            if item.form == "describe":
                continue
            (conclusion,) = [
                place for phrase, place in conclusions.items() if phrase in normalise(item.answer)
            ]
            said = find_labels(item.answer, language)
            assert said and all(label in SUPPORT[conclusion].get(key, ()) for key, label in said), (
                item.answer
            )
            assert all(labels[key] == label for key, label in said)
            # A place in the corpus is a reason only beside a value that is fast, or slow, anywhere.
            for key, label in said:
                assert key in ABSOLUTE or (key == "speaking_rate" and values[key] != 15.0)
                assert key != "speaking_rate" or ("fast" in label) == (values[key] > 15.0)
            seen.add(conclusion)
    assert seen == set(SUPPORT)


@pytest.mark.parametrize("language", LANGUAGES)
def test_plain_lines_lead_where_their_conclusion_goes(language):
    templates, rng, seen = load_templates(language, is_plain=True), random.Random(language), set()
    conclusions = list_conclusions(templates)
    for labels, values in list_combinations():
        for item in open_ended.make_items(make_utterance(language, labels, values), templates, rng):
            if item.form == "describe":
                continue
            lines = item.answer.split("\n")
            said = {key: label for line in lines for key, label in find_labels(line, language)}
            for line in lines[len(said) :]:
                conclusion = conclusions[normalise(line)]
                supporting = [
                    key for key, allowed in SUPPORT[conclusion].items() if said.get(key) in allowed
                ]
                assert supporting and (
                    conclusion[1] == 0 or len(supporting) == len(SUPPORT[conclusion])
                )
                seen.add(conclusion)
    assert len(seen) >= len(SUPPORT) - 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_mood_is_guessed_for_the_paper_alone(language):
    assert "mood" not in load_templates(language)["open_ended"]
    assert "mood" not in open_ended.WEIGHTS
    templates = load_templates(language, is_paper=True)
    utterance = make_utterance(
        language, {key: labels[1] for key, labels in ACOUSTIC_LABELS.items()}, {}
    )
    forms = {
        item.form for item in open_ended_paper.make_items(utterance, templates, random.Random(0))
    }
    assert "mood" in forms and set(open_ended_paper.WEIGHTS) == forms


# Classes, by place on their scale, that speak against what the paper's rows conclude.
AGAINST = {
    ("audiobook", 0): {"pitch_variation": (4, 5, 6), "noise_level": (4, 5, 6)},
    ("audiobook", 1): {"pitch_variation": (0, 1, 2), "noise_level": (0, 1, 2)},
    ("learner", 0): {"speaking_rate": (0, 1, 2), "noise_level": (4, 5, 6)},
    ("learner", 1): {"speaking_rate": (4, 5, 6), "noise_level": (0, 1, 2)},
    ("mood", 0): {"pitch_variation": (4, 5, 6), "speaking_rate": (4, 5, 6)},
    ("mood", 1): {"pitch_variation": (0, 6), "speaking_rate": (5, 6)},
    ("mood", 2): {"pitch_variation": (0, 1, 2), "speaking_rate": (0, 1, 2)},
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_reason_of_the_paper_speaks_against_its_conclusion(language):
    templates, rng = load_templates(language, is_paper=True), random.Random(0)
    seen = set()
    for ranks in itertools.product(range(7), repeat=3):
        keys = ("pitch_variation", "speaking_rate", "noise_level")
        labels = {key: ACOUSTIC_LABELS[key][rank] for key, rank in zip(keys, ranks, strict=True)}
        utterance = make_utterance(language, labels, {})
        for item in open_ended_paper.make_items(utterance, templates, rng):
            if item.form not in ("audiobook", "learner", "mood"):
                continue
            conclusion = item.form, int(item.group)
            texts = templates["open_ended"][item.form]["inferences"]
            assert normalise(texts[conclusion[1]]) in normalise(item.answer)
            told = {key: label for key, label in find_labels(item.answer, language) if key in keys}
            assert told
            for key, label in told.items():
                assert ACOUSTIC_LABELS[key].index(label) not in AGAINST[conclusion].get(key, ()), (
                    item.answer
                )
            seen.add((*conclusion, len(told)))
    assert {form[:2] for form in seen} == AGAINST.keys()
    assert {("audiobook", 0, 1), ("audiobook", 0, 2), ("learner", 0, 1)} <= seen


def test_what_all_recordings_share_is_not_asked(tmp_path):
    """Of absolute classes a clean corpus reaches one: whoever has read one answer would know them
    all."""
    import json

    from fake_metadata import write_metadata

    from data_prep.instructions.write import write_instructions
    from sift_jax.sift.rows import list_files, read_rows

    path = write_metadata(tmp_path / "all.jsonl", languages=("en",))
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["labels"] |= {"noise_level": "very clean", "reverberation": "very close-sounding"}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    write_instructions(path, tmp_path / "sift")
    for category in ("closed_ended/acoustic_level", "closed_ended/comparison", "open_ended"):
        for split in ("train", "EvalSIFT"):
            (file,) = list_files(tmp_path / "sift", split, category, "en")
            texts = [row["messages"][1]["content"][0]["text"] for row in read_rows(file)]
            keys = [{key for key, _ in find_labels(text, "en")} for text in texts]
            assert len(texts) > 20 and not [
                found
                for found in keys
                if found & {"noise_level", "reverberation"} and category != "open_ended"
            ]
            # Advice may say that both are well; where they lead to one conclusion alone, nobody
            # asks.
            questions = {
                row["messages"][0]["content"][-1].get("text")
                or row["messages"][0]["content"][0]["text"]
                for row in read_rows(file)
            }
            assert not [text for text in questions if "room" in text]
