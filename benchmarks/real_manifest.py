"""Five public corpora of recorded voices, small enough for a laptop, as one manifest with splits that
share neither a sentence nor, where a corpus has several speakers, a speaker.

    corpora/LJSpeech-1.1/{metadata.csv,wavs}      English, one woman who reads (the first clips do)
    corpora/ravdess/**/03-01-*.wav                English, 24 actors, eight emotions, two sentences
    corpora/asterisk/{en,es,fr,it}/**/*.flac      prompts of a telephone exchange, one voice each, with
    corpora/asterisk/core-sounds-{…}.txt          their texts; the packages' .g722 as FLAC or WAV
    corpora/kerstin/{metadata.csv,verified}       German, one woman who reads
    corpora/emodb/**/*.wav                        German, ten actors, seven emotions, ten sentences

    python -m benchmarks.real_manifest --root=corpora --out=lists
    lists/all.jsonl           {"audio": "LJSpeech-1.1/wavs/LJ001-0001.wav", "text": "Printing, in …", …}
    lists/recognition.jsonl   of these what recognition is learnt from: no RAVDESS, no EmoDB, no clip of 10 s or more
    lists/questions.jsonl     {"audio": …, "question": "Write down what is said.", "answer": "…", "metric": "wer", …}
    lists/held_out.json       {"LJSpeech": ["and used an exceedingly …", …], …}: the test sentences

A corpus that is not there is left out, and said. Held out are: of RAVDESS actors 19 to 24 and the
second sentence, of EmoDB actors 12, 14, 15 and 16 and the sentences b…, of each single voice 40
sentences (and 20 for the dev split). A training sentence that has four words in a row with a held-out
sentence of its language is left out; RAVDESS and EmoDB say so few sentences that they are
divided by hand.
"""

import argparse
import collections
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import soundfile

from sift_jax.storage.whole_files import write_whole

_HELD_OUT, _DEV = 40, 20
_WORDS = 4
# what recognition is not learnt from: two and ten sentences, said again and again
_ACTED = ("RAVDESS", "EmoDB")
# seconds
_LONGEST = 10.0

_EMOTIONS = dict(
    enumerate("neutral calm happy sad angry fearful disgusted surprised".split(), start=1)
)
_RAVDESS_SENTENCES = ("Kids are talking by the door.", "Dogs are sitting by the door.")
_RAVDESS_UNSEEN = range(19, 25)

_EMODB_SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
_EMODB_EMOTIONS = {
    "W": "angry",
    "L": "bored",
    "E": "disgusted",
    "A": "fearful",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}
_EMODB_AGES = {3: 31, 8: 34, 9: 21, 10: 32, 11: 26, 12: 30, 13: 32, 14: 35, 15: 25, 16: 31}
_EMODB_MEN = {3, 10, 11, 12, 15}
_EMODB_UNSEEN = {12, 14, 15, 16}

# A prompt's voice, and what the package says of it.
_PROMPTS = {"en": "female", "es": "female", "fr": "female", "it": "male"}

Row = dict[str, Any]


def read_ravdess(root: Path) -> Iterator[Row]:
    # Some copies hold a file twice, by actor and by emotion.
    paths = {path.stem: path for path in sorted(root.rglob("03-01-*.wav"), reverse=True)}
    for path in sorted(paths.values(), key=lambda path: path.stem):
        _, _, emotion, _, sentence, _, actor = map(int, path.stem.split("-"))
        if (actor in _RAVDESS_UNSEEN) != (sentence == 2):
            continue
        yield {
            "audio": path,
            "text": _RAVDESS_SENTENCES[sentence - 1],
            "language": "en",
            "speaker": f"ravdess{actor:02d}",
            "gender": "male" if actor % 2 else "female",
            "emotion": _EMOTIONS[emotion],
            "id": f"ravdess_{path.stem}",
            "split": "test" if sentence == 2 else "train",
        }


def read_emodb(root: Path) -> Iterator[Row]:
    for path in sorted(root.rglob("*.wav")):
        actor, sentence = int(path.stem[:2]), path.stem[2:5]
        if (actor in _EMODB_UNSEEN) != sentence.startswith("b"):
            continue
        yield {
            "audio": path,
            "text": _EMODB_SENTENCES[sentence],
            "language": "de",
            "speaker": f"emodb{actor:02d}",
            "gender": "male" if actor in _EMODB_MEN else "female",
            "age": _EMODB_AGES[actor],
            "emotion": _EMODB_EMOTIONS[path.stem[5]],
            "id": f"emodb_{path.stem}",
            "split": "test" if sentence.startswith("b") else "train",
        }


def read_table(root: Path, audio: str, language: str) -> Iterator[Row]:
    """LJSpeech's layout: name|text|…, of which the last column is the one spelt out."""
    for line in (root / "metadata.csv").read_text(encoding="utf-8").splitlines():
        name, *texts = line.split("|")
        if (path := root / audio.format(name)).exists():
            yield {
                "audio": path,
                "text": texts[-1],
                "language": language,
                "gender": "female",
                "id": name,
            }


def read_prompts(root: Path, language: str) -> Iterator[Row]:
    table = root / f"core-sounds-{language}.txt"
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        lines = table.read_text(encoding="latin-1").splitlines()
    # "; a comment" and "name: what it says"
    texts = dict(line.split(": ", 1) for line in lines if ": " in line and line[0] != ";")
    folder = root / language
    for path in sorted([*folder.rglob("*.flac"), *folder.rglob("*.wav")]):
        name = str(path.relative_to(folder).with_suffix(""))
        if name in texts:
            yield {
                "audio": path,
                "text": texts[name].strip(),
                "language": language,
                "gender": _PROMPTS[language],
                "id": f"asterisk_{language}_{name.replace('/', '_')}",
            }


def divide(rows: Sequence[Row], seed: int = 1) -> list[Row]:
    """A single voice's sentences, held out by a draw; who speaks is left out, since it is the same
    person in every split."""
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    splits = {
        place: "test" if rank < _HELD_OUT else "dev" if rank < _HELD_OUT + _DEV else "train"
        for rank, place in enumerate(order)
    }
    return [{**row, "split": splits[place]} for place, row in enumerate(rows)]


def leave_out_shared(rows: Sequence[Row]) -> list[Row]:
    """Without the training and dev sentences that have four words in a row with a held-out one of
    their language, or all of a shorter one."""
    held: dict[str, set[str]] = collections.defaultdict(set)
    for row in rows:
        if row["split"] == "test":
            held[row["language"]] |= _runs(row["text"])
    return [
        row
        for row in rows
        if row["split"] == "test" or not _runs(row["text"]) & held[row["language"]]
    ]


def _runs(text: str) -> set[str]:
    words = re.findall(r"\w+", text.casefold())
    return {
        " ".join(words[start : start + _WORDS]) for start in range(max(len(words) - _WORDS + 1, 1))
    }


def read_corpora(root: Path) -> dict[str, list[Row]]:
    """By corpus; one whose folder is not there has no rows."""
    corpora: dict[str, list[Row]] = {
        "RAVDESS": list(read_ravdess(root / "ravdess")),
        "EmoDB": list(read_emodb(root / "emodb")),
    }
    for name, folder, audio, language in (
        ("LJSpeech", "LJSpeech-1.1", "wavs/{}.wav", "en"),
        ("Kerstin", "kerstin", "verified/{}.flac", "de"),
    ):
        there = (root / folder / "metadata.csv").exists()
        corpora[name] = divide(list(read_table(root / folder, audio, language))) if there else []
    for language in _PROMPTS:
        there = (root / "asterisk" / f"core-sounds-{language}.txt").exists()
        corpora[f"Asterisk {language}"] = (
            divide(list(read_prompts(root / "asterisk", language))) if there else []
        )
    return corpora


def write_lists(out: Path, root: Path, corpora: Mapping[str, Sequence[Row]]) -> None:
    names = {row["id"]: name for name, rows in corpora.items() for row in rows}
    rows = leave_out_shared([row for each in corpora.values() for row in each])
    for name, found in corpora.items():
        counts = collections.Counter(row["split"] for row in rows if names[row["id"]] == name)
        told = ", ".join(f"{split} {counts[split]}" for split in ("train", "dev", "test"))
        lost = len(found) - sum(counts.values())
        print(f"{name}: {told}; {lost} left out" if found else f"{name}: not there")
    _write_lines(out / "all.jsonl", [_name(row, root) for row in rows])
    spoken = [
        row
        for row in rows
        if names[row["id"]] not in _ACTED and soundfile.info(row["audio"]).duration < _LONGEST
    ]
    _write_lines(out / "recognition.jsonl", [_name(row, root) for row in spoken])
    held = [row for row in rows if row["split"] == "test"]
    # Relative names are looked up beside the file of questions, wherever that is.
    _write_lines(
        out / "questions.jsonl",
        [
            {
                "id": row["id"],
                "audio": str(row["audio"].absolute()),
                "question": "Write down what is said.",
                "answer": row["text"],
                "metric": "wer",
                "language": row["language"],
                "subset": names[row["id"]].replace(" ", "_"),
            }
            for row in held
        ],
    )
    sentences: dict[str, list[str]] = {}
    for row in held:
        sentences.setdefault(names[row["id"]], []).append(row["text"])
    unique = {name: sorted(set(texts)) for name, texts in sentences.items()}
    write_whole(out / "held_out.json", json.dumps(unique, ensure_ascii=False, indent=1) + "\n")


def _name(row: Row, root: Path) -> Row:
    return {**row, "audio": str(row["audio"].relative_to(root))}


def _write_lines(path: Path, rows: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="the folder of the corpora")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the lists")
    flags = parser.parse_args()
    corpora = read_corpora(flags.root)
    if not any(corpora.values()):
        parser.error(f"--root={flags.root}: none of the corpora is there")
    write_lists(flags.out, flags.root, corpora)


if __name__ == "__main__":
    main()
