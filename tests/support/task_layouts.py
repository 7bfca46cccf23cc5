"""Small corpora of stage 1's tasks in their true layouts on disk, a second or so of voice for each
clip.

Every writer leaves whole examples only; what is broken, a test breaks.
"""

import json
from pathlib import Path

from corpus_layouts import GERMAN, make_sentences, write_voice, write_voxpopuli

TRANSLATIONS = {
    "train": ("It rains.", 'He said "no".', "Birds sing."),
    "dev": ("Hills.",),
    "test": ("Below.",),
}


def write_clips(root: Path) -> dict[str, list[str]]:
    """Common Voice's clips of release 4, which CoVoST 2 and CVSS speak of."""
    found, number = {}, 100
    for part, texts in TRANSLATIONS.items():
        for _ in texts:
            number += 1
            write_voice(
                root / "cv-corpus-4-2019-12-10" / "de" / "clips" / f"common_voice_de_{number}.mp3",
                number,
                rate=32_000,
            )
            found.setdefault(part, []).append(f"common_voice_de_{number}")
    return found


def write_covost(root: Path) -> dict[str, list[str]]:
    found, sentences = write_clips(root), make_sentences(GERMAN)
    folder = root / "cv-corpus-4-2019-12-10" / "de"
    for part, texts in TRANSLATIONS.items():
        lines = ["path\tsentence\ttranslation\tclient_id"]
        for identity, text in zip(found[part], texts, strict=True):
            escaped = text.replace('"', '\\"')
            lines.append(f"{identity}.mp3\t{next(sentences)}.\t{escaped}\tclient{identity[-1]}")
        (folder / f"covost_v2.de_en.{part}.tsv").write_text(
            "\n".join(lines) + "\n", encoding="utf-8"
        )
    return found


def write_cvss(root: Path) -> dict[str, list[str]]:
    found, folder = write_clips(root), root / "cvss_c_de_en_v1.0"
    for part, texts in TRANSLATIONS.items():
        lines = []
        for place, (identity, text) in enumerate(zip(found[part], texts, strict=True)):
            write_voice(folder / part / f"{identity}.mp3.wav", 500 + place, rate=24_000)
            lines.append(f"{identity}.mp3\t{text.lower().strip('.')}")
        (folder / f"{part}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return found


def write_pairs(root: Path, *, is_spoken: bool = False) -> dict[str, list[str]]:
    """VoxPopuli's interpreters from German into English."""
    found = write_voxpopuli(root, "de")
    folder = root / "transcribed_data" / "de"
    columns = ["src_id", "src_text", "src_speaker_id", "tgt_id", "tgt_text"]
    lines = ["\t".join(columns)]
    for identity in (identity for ids in found.values() for identity in ids):
        target = identity.replace("-de_", "-en_")
        if is_spoken:
            write_voice(folder / "en" / target[:4] / f"{target}.ogg", len(lines))
        lines.append(
            f"{identity}\tgesagt\tNone\t{target}\t{'' if is_spoken else f'said {len(lines)}'}"
        )
    (folder / "en").mkdir(exist_ok=True)
    (folder / "en" / f"s2s{'' if is_spoken else '_ref'}.tsv").write_text(
        "\n".join(lines) + "\n", encoding="utf-8"
    )
    return found


REQUESTS = (
    ("wake me at nine", "alarm", "set", [{"span": [2, 3], "type": "time"}]),
    (
        "play some jazz by miles davis",
        "play",
        "music",
        [{"span": [4, 5], "type": "artist_name"}, {"span": [2], "type": "music_genre"}],
    ),
    ("what is the weather", "weather", "query", []),
    ("tell me a joke", "general", "joke", []),
    ("switch off the light", "iot", "hue_lightoff", []),
)


def write_slurp(root: Path) -> dict[str, list[str]]:
    found = {}
    (root / "dataset" / "slurp").mkdir(parents=True)
    for place, (part, requests) in enumerate(
        (("train", REQUESTS), ("devel", REQUESTS[:2]), ("test", REQUESTS[1:3]))
    ):
        lines = []
        for number, (sentence, scenario, action, entities) in enumerate(requests):
            files = [f"audio-{1488 + 10 * place}{number}{kind}.flac" for kind in ("", "-headset")]
            for kind, file in enumerate(files):
                write_voice(root / "audio" / "slurp_real" / file, 100 * place + 10 * number + kind)
            tokens = [{"surface": word, "id": n} for n, word in enumerate(sentence.split())]
            lines.append(
                json.dumps(
                    {
                        "slurp_id": 100 * place + number,
                        "sentence": sentence,
                        "scenario": scenario,
                        "action": action,
                        "intent": f"{scenario}_{action}",
                        "tokens": tokens,
                        "entities": entities,
                        "recordings": [
                            {"file": file, "wer": 0.0, "status": "correct"} for file in files
                        ],
                    }
                )
            )
            found.setdefault(part, []).extend(
                f"slurp_{file.removesuffix('.flac')}" for file in files
            )
        (root / "dataset" / "slurp" / f"{part}.jsonl").write_text("\n".join(lines) + "\n")
    return found


def write_msp_podcast(root: Path) -> dict[str, list[str]]:
    found, lines = {}, ["FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"]
    rows = (
        ("Train", "A"),
        ("Train", "H"),
        ("Train", "X"),
        ("Development", "N"),
        ("Test1", "C"),
        ("Test2", "S"),
    )
    for number, (split, emotion) in enumerate(rows):
        name = f"MSP-PODCAST_0001_{number:04d}"
        write_voice(root / "Audios" / f"{name}.wav", 40 + number)
        speaker, gender = (number, "Male") if number % 2 else ("Unknown", "Unknown")
        lines.append(f"{name}.wav,{emotion},2.2,4.0,3.1,{speaker},{gender},{split}")
        found.setdefault(split, []).append(f"msp_{name}")
    (root / "Labels").mkdir()
    (root / "Labels" / "labels_consensus.csv").write_text("\r\n".join(lines) + "\r\n")
    return found


# Who, what, from, to; a mark has the end of its word as both.
_MEETING = (
    ("A", "Good", 1.0, 1.3),
    ("A", "morning", 1.3, 1.8),
    ("A", ".", 1.8, 1.8),
    ("B", "Hi", 2.5, 2.8),
    ("B", ",", 2.8, 2.8),
    ("C", "Mm-hmm", 2.7, 2.9),
    ("B", "all", 2.9, 3.2),
    ("A", "We'll", 16.5, 17.0),
    ("A", "start", 17.0, 17.6),
    ("A", ".", 17.6, 17.6),
    ("B", "Fine", 18.4, 18.9),
    ("A", "So", 21.0, 21.4),
)


def write_ami(root: Path, meetings: tuple[str, ...] = ("ES2002a", "ES2011b", "ES2004c")) -> None:
    folder = root / "ami_public_manual_1.6.2" / "words"
    folder.mkdir(parents=True)
    for place, meeting in enumerate(meetings):
        write_voice(
            root / "amicorpus" / meeting / "audio" / f"{meeting}.Mix-Headset.wav",
            60 + place,
            seconds=23.0,
        )
        for speaker in "ABC":
            lines = [
                '<?xml version="1.0" encoding="ISO-8859-1" standalone="yes"?>',
                (
                    f'<nite:root nite:id="{meeting}.{speaker}.words" '
                    'xmlns:nite="http://nite.sourceforge.net/">'
                ),
            ]
            for number, (who, text, start, end) in enumerate(_MEETING):
                if who == speaker:
                    mark = ' punc="true"' if not text[0].isalnum() else ""
                    name = text.replace("'", "&#39;")
                    times = f'starttime="{start}" endtime="{end}"'
                    lines.append(
                        f'   <w nite:id="{meeting}.{speaker}.words{number}" '
                        f"{times}{mark}>{name}</w>"
                    )
            lines.append(
                f'   <vocalsound nite:id="{meeting}.{speaker}.words99" starttime="19.0" '
                'endtime="19.5" type="laugh"/>'
            )
            (folder / f"{meeting}.{speaker}.words.xml").write_text(
                "\n".join([*lines, "</nite:root>"]) + "\n"
            )
