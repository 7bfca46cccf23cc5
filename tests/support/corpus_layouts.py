"""Small corpora in their true layouts on disk: voices are harmonics in the rhythm of syllables, a
second long.

Every writer leaves whole utterances only, and returns the ids of them by the split in which the
corpus holds them.
"""

import itertools
import json
from pathlib import Path

import numpy as np
import soundfile

WORDS = ("rain", "falls", "softly", "over", "hills", "while", "seven", "birds", "sing", "below")
GERMAN = (
    "Regen",
    "fällt",
    "leise",
    "über",
    "Hügel",
    "während",
    "sieben",
    "Vögel",
    "unten",
    "singen",
)


def make_voice(
    seed: int, *, hz: float | None = None, seconds: float = 1.0, rate: int = 16_000
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    track = (hz or rng.uniform(95, 240)) * (
        1 + rng.uniform(0.05, 0.2) * np.sin(2 * np.pi * rng.uniform(0.7, 2) * time)
    )
    phase = 2 * np.pi * np.cumsum(track) / rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 12))
    rhythm = np.clip(np.sin(2 * np.pi * rng.uniform(2.5, 4) * time), 0, None)
    edges = np.clip(np.minimum(time - 0.1, time[-1] - 0.1 - time) / 0.02, 0, 1)
    wave = voice * rhythm * edges * rng.uniform(0.03, 0.2) + rng.normal(
        size=len(time)
    ) * 10 ** rng.uniform(-4, -2.5)
    return wave.astype(np.float32)


def write_voice(path: Path, seed: int, *, rate: int = 16_000, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    form = {
        ".mp3": {"format": "MP3"},
        ".ogg": {"format": "OGG"},
        ".opus": {"format": "OGG", "subtype": "OPUS"},
    }
    soundfile.write(path, make_voice(seed, rate=rate, **options), rate, **form.get(path.suffix, {}))


def make_sentences(words: tuple[str, ...] = WORDS):
    """Different ones, for ever."""
    return (" ".join(order) for order in itertools.permutations(words, 5))


def write_mls(
    root: Path, language: str = "german", *, per_speaker: int = 8, suffix: str = ".flac"
) -> dict[str, list]:
    folder = root / (f"mls_{language}" if suffix == ".flac" else f"mls_{language}_opus")
    found, sentences = {}, make_sentences(GERMAN)
    lines = [
        " SPEAKER   |   GENDER   | PARTITION  |  MINUTES   |  BOOK ID   |  TITLE  |  CHAPTER  "
    ]
    seed = 1_000 * len(language)
    speakers = {"train": (11, 12, 13, 14), "dev": (21,), "test": (31,)}
    for part, names in speakers.items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        with (folder / part / "transcripts.txt").open("w", encoding="utf-8") as out:
            for speaker in names:
                gender = "M" if speaker % 2 else "F"
                lines.append(
                    f"  {speaker}  |  {gender}  |  {part}  |  15.3  |  1001  | Ein Buch | Kapitel 1"
                )
                for number in range(per_speaker):
                    seed += 1
                    identity = f"{speaker}_1001_{number:06d}"
                    hz = 118 if gender == "M" else 205
                    write_voice(
                        folder / part / "audio" / str(speaker) / "1001" / f"{identity}{suffix}",
                        seed,
                        hz=hz,
                        rate=48_000 if suffix == ".opus" else 16_000,
                    )
                    out.write(f"{identity}\t{next(sentences).lower()}\n")
                    found.setdefault(part, []).append(identity)
    (folder / "metainfo.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return found


CV_HEADER = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tvariant\tlocale\tsegment"


def write_common_voice(
    root: Path, language: str = "de", *, per_speaker: int = 3, first: int = 23_905_138
) -> dict[str, list[str]]:
    folder = root / "cv-corpus-15.0-2023-09-08" / language
    found: dict[str, list[str]] = {}
    rows: dict[str, list[str]] = {}
    sentences, number = make_sentences(GERMAN), first
    accents = ("Deutschland Deutsch,Alemannischer Akzent", "Süden (Bayern, Tirol),Wien", "", "")
    for part, count in (("train", 4), ("dev", 1), ("test", 1), ("other", 1)):
        for speaker in range(count):
            gender, age = (
                ("male", "fourties"),
                ("female", "twenties"),
                ("", ""),
                ("other", "teens"),
            )[speaker % 4]
            for _ in range(per_speaker):
                number += 1
                identity = f"common_voice_{language}_{number}"
                write_voice(folder / "clips" / f"{identity}.mp3", number, rate=32_000)
                rows.setdefault(part, []).append(
                    f"{part}{speaker:060x}\t{identity}.mp3\t{next(sentences).capitalize()}.\t2\t0\t{age}\t{gender}\t"
                    f"{accents[speaker]}\t\t{language}\t"
                )
                found.setdefault(part, []).append(identity)
    for name in ("train", "dev", "test"):
        (folder / f"{name}.tsv").write_text(
            "\n".join([CV_HEADER, *rows[name]]) + "\n", encoding="utf-8"
        )
    every = [row for part in rows.values() for row in part]
    (folder / "validated.tsv").write_text("\n".join([CV_HEADER, *every]) + "\n", encoding="utf-8")
    return found


def write_vctk(root: Path, *, per_speaker: int = 8) -> list[str]:
    folder, found, sentences = root / "VCTK-Corpus-0.92", [], make_sentences()
    info = [
        "ID  AGE  GENDER  ACCENTS  REGION COMMENTS ",
        "p225  23  F    English    Southern  England",
        "p226  22  M    English    Surrey",
        "p234  22  F    Scottish  West  Dumfries",
        "p241  21  M    Scottish  Perth",
        "p280  25  F    Unknown   France  (mic2 files are unavailable)",
        "p376  19  M    Indian",
    ]
    for place, line in enumerate(info[1:]):
        speaker, _, gender = line.split()[:3]
        for number in range(1, per_speaker + 1):
            identity = f"{speaker}_{number:03d}"
            # The first sentence is everybody's, as the rainbow passage is.
            text = "Please call Stella." if number == 1 else f"{next(sentences).capitalize()}."
            (folder / "txt" / speaker).mkdir(parents=True, exist_ok=True)
            (folder / "txt" / speaker / f"{identity}.txt").write_text(text + "\n")
            for mic in (1, 2) if speaker != "p280" else (1,):
                write_voice(
                    folder / "wav48_silence_trimmed" / speaker / f"{identity}_mic{mic}.flac",
                    100 * place + number,
                    hz=118 if gender == "M" else 205,
                    rate=48_000,
                )
            found.append(identity)
    (folder / "speaker-info.txt").write_text("\n".join(info) + "\n")
    return found


def write_librispeech(root: Path) -> dict[str, list[str]]:
    folder, found, sentences = root / "LibriSpeech", {}, make_sentences()
    lines = ["; Some pipe (|) separated metadata", ";ID  |SEX| SUBSET           |MINUTES| NAME"]
    for part, speaker, sex in (
        ("train-clean-100", 19, "F"),
        ("train-other-500", 20, "M"),
        ("dev-clean", 84, "F"),
        ("test-other", 367, "M"),
    ):
        lines.append(f"{speaker:<5}| {sex} | {part:<17}| 25.19 | Some Reader")
        chapter = folder / part / str(speaker) / "198"
        chapter.mkdir(parents=True)
        ids = [f"{speaker}-198-{number:04d}" for number in range(4)]
        for identity in ids:
            write_voice(chapter / f"{identity}.flac", 10 * speaker + int(identity[-1]))
        text = "".join(f"{identity} {next(sentences).upper()}\n" for identity in ids)
        (chapter / f"{speaker}-198.trans.txt").write_text(text)
        found[part.split("-")[0]] = [*found.get(part.split("-")[0], []), *ids]
    (folder / "SPEAKERS.TXT").write_text("\n".join(lines) + "\n")
    return found


def write_voxpopuli(root: Path, language: str = "de") -> dict[str, list[str]]:
    folder, found, sentences = root / "transcribed_data" / language, {}, make_sentences(GERMAN)
    for part, year in (("train", 2018), ("dev", 2019), ("test", 2020)):
        rows = [
            "id\traw_text\tnormalized_text\tspeaker_id\tsplit\tgender\tis_gold_transcript\taccent"
        ]
        for number in range(4):
            identity = f"{year}0912-0900-PLENARY-3-{language}_{year}0912-09:06:4{number}_4"
            write_voice(folder / str(year) / f"{identity}.ogg", 10 * year + number)
            text = next(sentences)
            raw = f"{text.capitalize()}?" if number == 0 else ""
            rows.append(
                f"{identity}\t{raw}\t{text}\t{'None' if number == 1 else year}\t{part}\tfemale\tTrue\tNone"
            )
            found.setdefault(part, []).append(identity)
        (folder / f"asr_{part}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return found


def write_fleurs(
    root: Path, locale: str = "es_419", words: tuple[str, ...] = WORDS
) -> dict[str, list[str]]:
    folder, found, sentences = root / locale, {}, make_sentences(words)
    for place, part in enumerate(("train", "dev", "test")):
        rows, text = [], next(sentences)
        # Two readers of one sentence, as there are two or three of most.
        for number in range(2):
            name = f"{10_000 + 10 * place + number}.wav"
            write_voice(folder / "audio" / part / name, 10 * place + number)
            rows.append(
                f"{1600 + place}\t{name}\t{text.capitalize()}.\t{text}\t{' '.join(text)} |\t16000\t"
                f"{('MALE', 'FEMALE')[number]}"
            )
            found.setdefault(part, []).append(f"fleurs_{locale}_{name.removesuffix('.wav')}")
        (folder / f"{part}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return found


def write_peoples_speech(root: Path) -> dict[str, list[str]]:
    found, sentences = {}, make_sentences()
    for part, name in (
        ("train", "clean"),
        ("train", "dirty_sa"),
        ("validation", "validation"),
        ("test", "test"),
    ):
        folder, sources = root / part / name, []
        for talk in range(2):
            clips = [f"{name}{talk}_SLASH_talk_DOT_mp3_{number:05d}.flac" for number in range(2)]
            for number, clip in enumerate(clips):
                write_voice(folder / clip, 7 * len(name) + 2 * talk + number)
            sources.append(
                {
                    "identifier": f"{name}{talk}",
                    "training_data": {
                        "duration_ms": [1000] * 2,
                        "label": [next(sentences) for _ in clips],
                        "name": clips,
                    },
                }
            )
            found.setdefault(part, []).extend(clip.removesuffix(".flac") for clip in clips)
        (root / part / f"{name}.json").write_text(
            "".join(json.dumps(source) + "\n" for source in sources)
        )
    return found
