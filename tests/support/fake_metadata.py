"""Metadata lines as the measuring stage writes them: random, but valid, from sentences of the
embedded corpus."""

import json
import random
from pathlib import Path

from sift_jax.sift.labels import ACOUSTIC_LABELS, LANGUAGES, SENTENCE_LENGTHS

SIZES = {"train": 60, "dev": 12, "EvalSIFT": 60}
_SENTENCES = Path(__file__).parents[2] / "data_prep" / "embedded" / "sentences"
_ACCENTS = {
    "en": ("American", "British", "Scottish", "Caribbean"),
    "de": ("German",),
    "fr": ("French",),
    "it": ("Italian",),
    "es": ("Castilian", "Latin American"),
}


def write_metadata(
    path: Path, *, sizes: dict[str, int] = SIZES, languages=LANGUAGES, seed: int = 0
) -> Path:
    rng = random.Random(seed)
    with path.open("w", encoding="utf-8") as out:
        for language in languages:
            lines = (_SENTENCES / f"{language}.tsv").read_text(encoding="utf-8").splitlines()[1:]
            rng.shuffle(lines)
            for split, count in sizes.items():
                for number in range(count):
                    out.write(
                        json.dumps(
                            _make_line(language, split, number, lines[number % len(lines)], rng)
                        )
                        + "\n"
                    )
    return path


def _make_line(language: str, split: str, number: int, sentence: str, rng: random.Random) -> dict:
    topic, transcript = sentence.split("\t")
    gender, pitch = rng.choice([("female", 200.0), ("male", 115.0)])
    pitch *= rng.uniform(0.7, 1.4)
    # A measured value may be rejected: then its label is absent.
    keys = [key for key in ACOUSTIC_LABELS if rng.random() < 0.98]
    texts = transcript.split()
    slopes = rng.choice([-0.3, 0.0, 0.3]), rng.choice([-8.0, 0.0, 8.0])
    # A stressed word gives the peaks their places.
    stressed = rng.randrange(len(texts))
    words = []
    for place, text in enumerate(texts):
        way = place / max(1, len(texts) - 1) - 0.5
        lift = 1.5 if place == stressed else 0.0
        words.append(
            {
                "word": text.strip(".,?¿¡!"),
                "position": place + 1,
                "start": 0.1 + 0.3 * place,
                "end": 0.38 + 0.3 * place,
                "average_pitch": pitch * (1 + slopes[0] * way + 0.1 * lift)
                if rng.random() < 0.9
                else None,
                "pitch_variation": 3.0,
                "average_intensity": -25 + slopes[1] * way + 2 * lift + rng.uniform(-0.2, 0.2),
            }
        )
    row = {
        "id": f"embedded_{language}_{split}_{number:04d}",
        "language": language,
        "split": split,
        "speaker": f"{language}_{gender[0]}{rng.randrange(6)}",
        "duration": 0.3 * len(texts),
        "transcript": transcript,
        "topic": topic,
        "phonemes": "| |".join("|".join(text.lower()) for text in texts),
        "is_question": transcript.endswith("?"),
        "gender": gender,
        "age_category": rng.choice(["twenties", "forties", "seventies"]),
        "accent": rng.choice(_ACCENTS[language]),
        "values": {"average_pitch": pitch},
        "truth": {},
        "words": words,
        "sentence_length": SENTENCE_LENGTHS[(len(texts) > 4) + (len(texts) > 6)],
        "labels": {key: rng.choice(ACOUSTIC_LABELS[key]) for key in keys},
    }
    if "speaking_rate" in row["labels"]:
        # phones a second as its class has them
        place = ACOUSTIC_LABELS["speaking_rate"].index(row["labels"]["speaking_rate"])
        row["values"]["speaking_rate"] = 6.0 + 2.5 * place
    return row
