"""Every suite at small scale, in its official layout: `WRITERS[name](root)` writes one with tones for
audio.

Each folder is whole: its reader asks `ASKED[name]` items of it, and skips what the official
files hold too.
"""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import soundfile

from sift_jax.audio.files import write_audio
from sift_jax.sift.rows import CATEGORIES, write_rows


def make_tone(seed: int) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * (150 + 10 * seed) * np.arange(1_600) / 16_000)


def write_clip(path: Path, seed: int = 0) -> Path:
    """A tenth of a second of a tone, in the container that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".mp3":
        soundfile.write(path, make_tone(seed), 16_000, format="MP3")
    else:
        write_audio(path, make_tone(seed))
    return path


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_json_lines(path: Path, rows: list) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_parquet(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def embed(seed: int, name: str = "audio.wav") -> dict:
    """A clip as the hub's tables hold it."""
    data = io.BytesIO()
    soundfile.write(data, make_tone(seed), 16_000, format="WAV")
    return {"bytes": data.getvalue(), "path": name}


SIFT_ROWS = {
    "closed_ended/acoustic_level": ("How fast does he talk?", "The person speaks very fast."),
    "closed_ended/content_level": ("Is it a question?", "Yes, it is a question."),
    "closed_ended/word_align": ("Which word is loudest?", 'It is the word "rain".'),
    "open_ended": ("What kind of room is this?", "Perhaps a bathroom."),
}


def write_evalsift(root: Path) -> None:
    """Two languages; utterances as VCTK and Common Voice name them."""
    audio = root / "audio"
    write_clip(audio / "wav48_silence_trimmed" / "p234" / "p234_238_mic1.flac")
    write_clip(audio / "wav48_silence_trimmed" / "p234" / "p234_238_mic2.flac", 1)
    write_clip(audio / "clips" / "common_voice_de_23905138.mp3")
    for language, utterance in (("en", "p234_238"), ("de", "common_voice_de_23905138")):
        for category in CATEGORIES:
            clip = {"audio_path": f"/path/to/{utterance}.wav"}
            question, answer = SIFT_ROWS.get(category, ("Which one is louder?", "The first one."))
            parts, reply = [clip, {"text": question}], {"text": answer}
            if category == "closed_ended/comparison":
                parts = [
                    {"text": question},
                    clip,
                    {"audio_path": "/path/to/common_voice_de_23905138.wav"},
                ]
            elif category == "controllable_generation":
                parts, reply = [{"text": "Say this very slowly: Rain falls."}], clip
            messages = [
                {"role": "user", "content": parts},
                {"role": "assistant", "content": [reply]},
            ]
            row = {
                "id": utterance,
                "messages": messages,
                "task": "closed_ended",
                "data_source": f"vctk_{language}",
            }
            write_rows(root / "EvalSIFT" / category / language / "split0.jsonl", [row, row])


def make_instance(
    labels: list[str], *, text: str | None = None, is_pair: bool = False
) -> list[dict]:
    rows = []
    for number, label in enumerate(labels):
        row = {
            "file": "audio.wav",
            "audio": embed(number),
            "label": label,
            "instruction": f"Choose an answer. The answer could be {' or '.join(sorted(set(labels)))}.",
        }
        rows.append(
            row
            | ({"text": text} if text else {})
            | ({"file2": "other.wav", "audio2": embed(number + 50)} if is_pair else {})
        )
    return rows


def write_dynamic_superb(root: Path) -> None:
    """Three instances as the hub has them, one in two files, and one as the benchmark's own loaders
    want it."""
    rows = make_instance(["anger", "joy", "anger"])
    folder = root / "EmotionRecognition_MultimodalEmotionlinesDataset" / "data"
    write_parquet(folder / "test-00000-of-00002.parquet", rows[:2])
    write_parquet(folder / "test-00001-of-00002.parquet", rows[2:])
    write_parquet(
        root / "SpeechTextMatching_LJSpeech" / "data" / "test-00000-of-00001-0a1b2c.parquet",
        make_instance(["yes", "no"], text="Rain falls."),
    )
    write_parquet(
        root / "SpeakerVerification_VCTK" / "data" / "test-00000-of-00001.parquet",
        make_instance(["yes", "no"], is_pair=True),
    )
    folder = root / "DialogueActPairing_DailyTalk" / "test"
    for place, name in enumerate(("a.wav", "a_pair.wav")):
        write_clip(folder / name, place)
    write_text(
        folder / "metadata.json",
        json.dumps(
            {
                "a.wav": {
                    "instruction": "Do they match? True or false.",
                    "label": "True",
                    "file2": "x/b.wav",
                }
            }
        ),
    )


def make_chat_row(number: int, task: str) -> dict:
    return {
        "path": f"{number}.wav",
        "question": "Who speaks?",
        "choice_a": None,
        "answer_gt": "A woman speaks.",
        "task_name": task,
        "dataset_name": "iemocap",
        "meta_info": "Gender: female",
        "uniq_id": number,
    }


def write_air_bench(root: Path) -> None:
    rows = [
        make_chat_row(1, "speech_QA"),
        make_chat_row(2, "speech_dialogue_QA"),
        make_chat_row(3, "music_QA"),
    ]
    write_text(root / "Chat" / "Chat_meta.json", json.dumps(rows))
    for row in rows:
        write_clip(root / "Chat" / f"{row['task_name']}_iemocap" / row["path"], row["uniq_id"])


def write_librispeech(root: Path) -> None:
    for part, speaker in (("test-clean", 1089), ("test-other", 367)):
        folder = root / "LibriSpeech" / part / str(speaker) / "134686"
        names = [f"{speaker}-134686-000{n}" for n in range(2)]
        write_text(
            folder / f"{speaker}-134686.trans.txt",
            "".join(f"{name} HE HOPED FOR STEW\n" for name in names),
        )
        for place, name in enumerate(names):
            write_clip(folder / f"{name}.flac", place)


def write_fleurs(root: Path) -> None:
    for locale in ("en_us", "de_de", "fr_fr", "it_it", "es_419"):
        lines = [
            f"7\t{n}.wav\tEs regnet, am 1. Mai.\tes regnet am 1 mai\te s |\t1600\tFEMALE\n"
            for n in range(2)
        ]
        write_text(root / "data" / locale / "test.tsv", "".join(lines))
        for n in range(2):
            write_clip(root / "data" / locale / "audio" / "test" / f"{n}.wav", n)


def write_peoples_speech(root: Path) -> None:
    names = [f"a_talk_mp3_0000{n}.flac" for n in range(2)]
    data = {"duration_ms": [100, 100], "label": ["so we went", "out for a walk"], "name": names}
    write_json_lines(root / "test" / "test.json", [{"identifier": "a_talk", "training_data": data}])
    for place, name in enumerate(names):
        write_clip(root / "test" / "test" / name, place)


def write_covost2(root: Path) -> None:
    for language in ("de", "fr", "it", "es"):
        folder = root / "cv-corpus-4-2019-12-10" / language
        name = f"common_voice_{language}_1"
        write_text(
            folder / f"covost_v2.{language}_en.test.tsv",
            (
                f'path\tsentence\ttranslation\tclient_id\n{name}.mp3\t"Ja", sagte er.\t\\"Yes\\", '
                "he said.\tf3a\n"
            ),
        )
        write_clip(folder / "clips" / f"{name}.mp3")


def make_command(number: int, scenario: str, action: str, *files: str) -> dict:
    return {
        "slurp_id": number,
        "sentence": "wake me at nine am",
        "scenario": scenario,
        "action": action,
        "tokens": [{"surface": word} for word in "wake me at nine am".split()],
        "entities": [{"span": [3, 4], "type": "time"}] if number % 2 else [],
        "recordings": [{"file": name, "status": "correct"} for name in files],
    }


def write_slurp(root: Path) -> None:
    rows = [
        make_command(1, "alarm", "set", "audio-1.flac", "audio-1-headset.flac"),
        make_command(2, "iot", "hue_lightoff", "audio-2.flac"),
        make_command(3, "play", "music", "audio-3.flac"),
        make_command(4, "email", "query", "audio-4.flac"),
        make_command(5, "news", "query", "audio-5.flac"),
    ]
    write_json_lines(root / "dataset" / "slurp" / "test.jsonl", rows)
    for row in rows:
        for recording in row["recordings"]:
            write_clip(root / "audio" / "slurp_real" / recording["file"], row["slurp_id"])


def write_msp_podcast(root: Path) -> None:
    rows = [
        ("0001", "N", "Test1"),
        ("0002", "A", "Test1"),
        ("0003", "X", "Test1"),
        ("0004", "H", "Test2"),
        ("0005", "O", "Test2"),
        ("0006", "S", "Train"),
    ]
    header = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
    lines = [
        f"MSP-PODCAST_{number}.wav,{letter},2.2,4.0,3.0,Speaker_12,Male,{part}\n"
        for number, letter, part in rows
    ]
    write_text(root / "Labels" / "labels_consensus.csv", header + "".join(lines))
    for number, _, _ in rows:
        write_clip(root / "Audios" / f"MSP-PODCAST_{number}.wav", int(number))


def write_iemocap(root: Path) -> None:
    session = root / "IEMOCAP_full_release" / "Session5"
    lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"]
    for number, code in enumerate(("neu", "ang", "exc", "hap", "sad", "fru", "xxx")):
        turn = f"Ses05F_impro01_F00{number}"
        lines += [
            f"\n[6.2901 - 8.2357]\t{turn}\t{code}\t[2.5000, 2.5000, 2.5000]\n",
            "C-E2:\tNeutral;\t()\n",
        ]
        write_clip(session / "sentences" / "wav" / "Ses05F_impro01" / f"{turn}.wav", number)
    write_text(session / "dialog" / "EmoEvaluation" / "Ses05F_impro01.txt", "".join(lines))
    write_text(
        session / "dialog" / "EmoEvaluation" / "._Ses05F_impro01.txt", "left by an archive\n"
    )


def write_spoken_qa(root: Path) -> None:
    """One set as rows, the other as SIFT files."""
    write_json_lines(
        root / "speech_msmarco.jsonl",
        [
            {
                "audio": "clips/0.wav",
                "question": "Where does it rain?",
                "references": ["In Spain.", "On the plain."],
            }
        ],
    )
    write_clip(root / "clips" / "0.wav")
    messages = [
        {
            "role": "user",
            "content": [{"audio_path": "/path/to/19-198-0000.wav"}, {"text": "Who is hungry?"}],
        },
        {"role": "assistant", "content": [{"text": "He is."}]},
    ]
    row = {
        "id": "19-198-0000",
        "messages": messages,
        "task": "open_ended",
        "data_source": "librispeech_en",
    }
    write_rows(
        root / "spokenqa_ls" / "sift" / "EvalSIFT" / "open_ended" / "en" / "split0.jsonl", [row]
    )
    write_clip(root / "spokenqa_ls" / "audio" / "19-198-0000.flac")


def make_choice_row(number: int, task: str, **changes) -> dict:
    return {
        "id": f"3fe6-{number}",
        "audio_id": f"./test-mini-audios/3fe6-{number}.wav",
        "question": "Based on the given audio, identify the source of the speech.",
        "choices": ["A child", "A woman", "An adult man", "A teenager"],
        "answer": "A woman",
        "dataset": "AudioSet",
        "task": task,
        "split": "test-mini",
        "category": "Reasoning",
        "sub-category": "Acoustic Source Inference",
        "difficulty": "easy",
    } | changes


def write_mmau(root: Path) -> None:
    rows = [
        make_choice_row(1, "sound"),
        make_choice_row(2, "music", difficulty="hard", category=["Reasoning"]),
        make_choice_row(3, "speech", choices=["one", "two", "two"], answer="two"),
    ]
    write_text(root / "mmau-test-mini.json", json.dumps(rows))
    for number, row in enumerate(rows):
        write_clip(root / row["audio_id"], number)


RULES = [
    {"num_words": 3, "relation": "at least", "language": None},
    {"num_words": None, "relation": None, "language": "de"},
    {"num_words": None, "relation": None, "language": "hi"},
]
VOICEBENCH_ROWS = {
    "alpacaeval_full/test": [{}, {}],
    "commoneval/test": [{}],
    "wildvoice/test": [{}],
    "sd-qa/usa": [{"reference": "on the plain"}],
    "sd-qa/gbr": [{"reference": "on the plain"}, {"reference": ""}],
    "mmsu/law": [{"reference": "B"}],
    "openbookqa/test": [{"reference": "D"}],
    "bbh/test": [
        {"id": "navigate_7", "reference": "Yes"},
        {"id": "hyperbaton_8", "reference": "(A)"},
        {"id": "snarks_9", "reference": "(A)"},
    ],
    "ifeval/test": [
        {
            "key": 1000,
            "instruction_id_list": ["length_constraints:number_words", "punctuation:no_comma"],
            "kwargs": [RULES[0], dict.fromkeys(RULES[0])],
        },
        {
            "key": 1001,
            "instruction_id_list": ["language:response_language"],
            "kwargs": [RULES[1]],
        },
        {
            "key": 1002,
            "instruction_id_list": ["language:response_language"],
            "kwargs": [RULES[2]],
        },
    ],
    "advbench/test": [{}],
}


def write_voicebench(root: Path) -> None:
    """All audio is inside but that of the last row, which lies beside its table."""
    for number, (place, rows) in enumerate(VOICEBENCH_ROWS.items()):
        held = [
            {"prompt": f"Where does it rain, {place}?", "audio": embed(number), **row}
            for row in rows
        ]
        if place == "advbench/test":
            held[-1]["audio"] = {"bytes": None, "path": "beside.wav"}
            write_clip(root / "advbench" / "beside.wav")
        write_parquet(root / f"{place}-00000-of-00001.parquet", held)


def write_jsonl(root: Path) -> None:
    write_json_lines(
        root / "rooms.jsonl",
        [
            {
                "audio": "a.wav",
                "question": "Where is this?",
                "answer": "In a hall.",
                "facets": {"room": "hall"},
            },
            {
                "audios": ["a.wav", "b.wav"],
                "question": "Is it one speaker?",
                "answer": "no",
                "labels": ["yes", "no"],
                "language": "de",
                "subset": "speakers",
                "id": "s17",
            },
            {
                "audio": "b.wav",
                "question": "What is said?",
                "references": ["rain"],
                "metric": ["wer", "cer"],
            },
        ],
    )
    for place, name in enumerate(("a.wav", "b.wav")):
        write_clip(root / name, place)


WRITERS = {
    "evalsift": write_evalsift,
    "dynamic_superb": write_dynamic_superb,
    "air_bench": write_air_bench,
    "librispeech": write_librispeech,
    "fleurs": write_fleurs,
    "peoples_speech": write_peoples_speech,
    "covost2": write_covost2,
    "slurp": write_slurp,
    "msp_podcast": write_msp_podcast,
    "iemocap": write_iemocap,
    "spoken_qa": write_spoken_qa,
    "mmau": write_mmau,
    "voicebench": write_voicebench,
    "jsonl": write_jsonl,
}
ASKED = {
    "evalsift": 20,
    "dynamic_superb": 8,
    "air_bench": 2,
    "librispeech": 4,
    "fleurs": 10,
    "peoples_speech": 2,
    "covost2": 4,
    "slurp": 12,
    "msp_podcast": 3,
    "iemocap": 5,
    "spoken_qa": 2,
    "mmau": 3,
    "voicebench": 13,
    "jsonl": 3,
}
