"""A corpus of a second's noises and tones with SIFT rows of two languages, as data_prep would leave
it on disk.

root/audio/<id>.flac   root/sift/{train,dev,EvalSIFT}/{category}/{en,de}/split0.jsonl   root/records/   root/tokenizer/
"""

import dataclasses
from pathlib import Path

import numpy as np

from sift_jax.audio.files import write_audio
from sift_jax.data.records.record_audio import FLAC
from sift_jax.data.records.record_writer import index_audio, list_languages, write_language
from sift_jax.sift.rows import CATEGORIES, write_rows
from sift_jax.text.tokenizers import train_tokenizer

LANGUAGES = ("en", "de")
SIZES = {"train": 6, "dev": 3, "EvalSIFT": 2}
WORDS = {
    "en": (
        ("Is it loud?", "It is loud.", "It is soft."),
        "What is this?",
        "Which one is louder?",
        "Read this loudly: ",
    ),
    "de": (
        ("Ist es laut?", "Es ist laut.", "Es ist leise."),
        "Was ist das?",
        "Was ist lauter?",
        "Lies das laut: ",
    ),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Corpus:
    root: Path
    counts: dict

    @property
    def audio(self) -> Path:
        return self.root / "audio"

    @property
    def sift(self) -> Path:
        return self.root / "sift"

    @property
    def records(self) -> Path:
        return self.root / "records"

    @property
    def tokenizer(self) -> Path:
        return self.root / "tokenizer"


def make_noise(seed: int, seconds: float = 0.8, loudness: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * 16_000)) / 16_000
    return loudness * (
        0.7 * np.sin(2 * np.pi * (150 + 40 * (seed % 9)) * time) + 0.1 * rng.normal(size=len(time))
    )


def make_row(
    identity: str, question: list[dict], answer: list[dict], category: str, language: str
) -> dict:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {
        "id": identity,
        "messages": messages,
        "task": category.split("/")[0],
        "data_source": f"embedded_{language}",
    }


def make_rows(ids: list[str], language: str) -> dict[str, list[dict]]:
    """Category to rows: audio first, text first, two clips, and an answer that is audio."""
    (question, loud, soft), what, which, read = WORDS[language]
    rows: dict[str, list[dict]] = {category: [] for category in CATEGORIES}

    def put(category: str, identity: str, parts: list[dict], *answer: dict) -> None:
        rows[category].append(make_row(identity, parts, list(answer), category, language))

    for place, name in enumerate(ids):
        clip = {"audio_path": f"/path/to/{name}.wav"}
        other = ids[(place + 1) % len(ids)]
        answer = {"text": soft if place % 2 else loud}
        put("closed_ended/acoustic_level", name, [clip, {"text": question}], answer)
        put(
            "closed_ended/acoustic_level", name, [clip, {"text": what}], {"text": f"{place} {loud}"}
        )
        put("closed_ended/content_level", name, [{"text": what}, clip], answer)
        put("closed_ended/word_align", name, [clip, {"text": which}], answer)
        put("open_ended", name, [clip, {"text": what}], {"text": f"{what} {loud}"})
        put("controllable_generation", name, [{"text": read + loud}], clip)
        pair = [clip, {"audio_path": f"/path/to/{other}.wav"}, {"text": which}]
        put("closed_ended/comparison", f"comparison_{name}__{other}", pair, answer)
    return rows


def write_sift(root: Path) -> None:
    (root / "audio").mkdir(parents=True)
    for language in LANGUAGES:
        for split, size in SIZES.items():
            ids = [f"{split.lower()}_{language}_{i}" for i in range(size)]
            for place, name in enumerate(ids):
                loudness = 0.02 if place % 2 else 0.5
                seconds = 0.5 + 0.2 * (place % 4)
                write_audio(
                    root / "audio" / f"{name}.flac",
                    make_noise(sum(name.encode()), seconds, loudness),
                )
            for category, rows in make_rows(ids, language).items():
                write_rows(root / "sift" / split / category / language / "split0.jsonl", rows)


def write_records(
    sift: Path, audio: Path, out: Path, compression: str = FLAC
) -> tuple[dict, list[dict]]:
    """All languages of a folder, as a build does it: {language: {split: records}}, and what was set
    aside."""
    files, counts, rejected = index_audio(audio), {}, []
    for language in list_languages(sift):
        counts[language], aside = write_language(sift, files, out, language, compression)
        rejected += aside
    return counts, rejected


def write_corpus(root: Path) -> Corpus:
    write_sift(root)
    texts = [text for words in WORDS.values() for text in (*words[0], *words[1:])]
    train_tokenizer([*texts, "user\n", "assistant\n"] * 4, 384, root / "tokenizer")
    counts, _ = write_records(root / "sift", root / "audio", root / "records")
    return Corpus(root=root, counts=counts)
