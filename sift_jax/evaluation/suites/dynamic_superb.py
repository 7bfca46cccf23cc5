"""Dynamic-SUPERB phase 1: 52 task instances of 200 rows.

    <Instance>/data/test-00000-of-00001.parquet      file, audio {bytes, path}, instruction, label
                                                     [, text] [, file2, audio2]
    <Instance>/{test/,}metadata.json                 {"a.wav": {"instruction": …, "label": …}, …} with a.wav beside it,
                                                     and the second of two as a_pair.wav
    datasets--DynamicSuperb--<Instance>/snapshots/*/…                     where the hub's own cache is the root

The layouts are those of the hub's `DynamicSuperb/<Instance>` and of the benchmark's own loaders.
The question is the row's instruction, which names the answers to choose from, and its text in a
line below. Dimensions are those of the SIFT paper's appendix, sound and music among them: they make
up its 52. Phase 1 has three more, of FluentSpeechCommands, which may be asked for by name. A task
is a part; the labels of a task are those that its rows have. The official score is exact match
after lower-casing and stripping; by the paper's protocol a judge says right or wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from sift_jax.evaluation.scores.schema import EvaluationError, Suite
from sift_jax.evaluation.suites.prompts import Prompts, word_prompt
from sift_jax.evaluation.suites.protocols import OFFICIAL, PAPER
from sift_jax.evaluation.suites.row_files import (
    Row,
    find_folder,
    read_json,
    read_parquet,
    write_clip,
)
from sift_jax.evaluation.suites.suite_builder import Gathering

_ESC50 = (
    "Animals",
    "ExteriorAndUrbanNoises",
    "HumanAndNonSpeechSounds",
    "InteriorAndDomesticSounds",
    "NaturalSoundscapesAndWaterSounds",
)
_READ = ("LJSpeech", "LibriSpeech-TestClean", "LibriSpeech-TestOther")
_NOISES = ("Gaussian", "Music", "Noise", "Speech")
_ROOMS = ("LargeRoom", "MediumRoom", "SmallRoom")
_SPEAKERS = ("LibriSpeech-TestClean", "VCTK")

DIMENSIONS: dict[str, tuple[str, ...]] = {
    "content": (
        "LanguageIdentification_VoxForge",
        "SpeechCommandRecognition_GoogleSpeechCommandsV1",
        *(f"SpeechDetection_{data}" for data in _READ),
        *(f"SpeechTextMatching_{data}" for data in _READ),
        *(f"SpokenTermDetection_{data}" for data in _READ),
    ),
    "semantics": (
        "DialogueActClassification_DailyTalk",
        "DialogueActPairing_DailyTalk",
        "SarcasmDetection_Mustard",
    ),
    "paralinguistics": (
        "AccentClassification_AccentdbExtended",
        "DialogueEmotionClassification_DailyTalk",
        "EmotionRecognition_MultimodalEmotionlinesDataset",
        "HowFarAreYou_3DSpeaker",
        "SpoofDetection_ASVspoof2015",
        "SpoofDetection_ASVspoof2017",
        "StressDetection_MIRSD",
    ),
    "degradation": (
        "EnhancementDetection_LibriTTS-TestClean_WHAM",
        *(f"NoiseDetection_LJSpeech_MUSAN-{noise}" for noise in _NOISES),
        # so it is spelt on the hub
        "NoiseDetection_VCTK-MUSAN-Gaussian",
        *(f"NoiseDetection_VCTK_MUSAN-{noise}" for noise in _NOISES[1:]),
        *(f"NoiseSNRLevelPrediction_VCTK_MUSAN-{noise}" for noise in _NOISES),
        *(
            f"ReverberationDetection_{data}_RirsNoises-{room}"
            for data in ("LJSpeech", "VCTK")
            for room in _ROOMS
        ),
    ),
    "speaker": (
        *(f"MultiSpeakerDetection_{data}" for data in _SPEAKERS),
        "SpeakerCounting_LibriTTS-TestClean",
        *(f"SpeakerVerification_{data}" for data in _SPEAKERS),
    ),
    "audio": (
        "BirdSoundDetection_Warblrb10k",
        "ChordClassification_AcousticGuitarAndPiano",
        *(f"EnvironmentalSoundClassification_ESC50-{sounds}" for sounds in _ESC50),
    ),
}
SUBSETS = tuple(instance for instances in DIMENSIONS.values() for instance in instances)
# Of phase 1, and not among the SIFT paper's 52.
EXTRA = tuple(
    f"IntentClassification_FluentSpeechCommands-{slot}" for slot in ("Action", "Location", "Object")
)
_DIMENSION_OF = {
    instance: dimension for dimension, instances in DIMENSIONS.items() for instance in instances
}
_DIMENSION_OF |= dict.fromkeys(EXTRA, "semantics")
_METRICS = {OFFICIAL: ("exact_match", "accuracy"), PAPER: ("judge_closed", "exact_match")}
_REQUIRED, _OPTIONAL = ("file", "audio", "instruction", "label"), ("text", "file2", "audio2")


def read_dynamic_superb(
    root: Path,
    *,
    name: str = "dynamic_superb",
    subsets: Sequence[str] = SUBSETS,
    cache_dir: Path | None = None,
    prompts: Prompts,
    protocol: str = OFFICIAL,
) -> Suite:
    gathering = Gathering(name)
    folders = _index_folders(root)
    if unknown := [instance for instance in subsets if instance not in _DIMENSION_OF]:
        names = ", ".join(_DIMENSION_OF)
        raise EvaluationError(f"{name}: no task instance {', '.join(unknown)}; they are {names}")
    for instance in subsets:
        folder = folders.get(_simplify(instance))
        if folder is None:
            gathering.leave("all of its rows", instance, f"no folder {instance} under {root}")
            continue
        rows = list(_read_rows(folder, cache_dir))
        if not rows:
            gathering.leave(
                "all of its rows", instance, f"no test Parquet file or metadata.json under {folder}"
            )
        labels = sorted({str(row["label"]) for row in rows if row.get("label")})
        for number, row in enumerate(rows):
            instruction = "\n".join(
                str(row[key]) for key in ("instruction", "text") if row.get(key)
            )
            gathering.ask(
                # One file may be asked about in several rows.
                f"{number:03d}_{Path(str(row['file'])).stem}",
                subset=instance,
                language="en",
                audio=row["clips"],
                question=word_prompt(prompts, "instruction", "en", instruction=instruction),
                references=[str(row.get("label") or "")],
                labels=labels,
                metrics=_METRICS[protocol],
                facets={"dimension": _DIMENSION_OF[instance]},
            )
    return gathering.finish()


def _simplify(name: str) -> str:
    """Releases differ in dashes and underscores."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _index_folders(root: Path) -> dict[str, Path]:
    folder = find_folder(root, ["DynamicSuperb", "."], "the task instances of Dynamic-SUPERB")
    found = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            found[_simplify(path.name.removeprefix("datasets--DynamicSuperb--"))] = path
    return found


def _read_rows(folder: Path, cache_dir: Path | None) -> Iterator[Row]:
    """The rows of an instance, with the files of their clips and without the bytes."""
    tables = sorted(
        path
        for path in folder.rglob("*.parquet")
        if "test" in path.relative_to(folder).as_posix().lower()
    )
    if len({path.parent for path in tables}) > 1:
        raise EvaluationError(
            f"{folder}: Parquet files of its test in several folders; keep those of one revision"
        )
    for path in tables:
        for _, row in read_parquet(path, _REQUIRED, _OPTIONAL):
            held = [
                row.pop(audio, None) or row.get(file)
                for audio, file in (("audio", "file"), ("audio2", "file2"))
            ]
            clips = [write_clip(clip, cache_dir, path.parent) for clip in held]
            yield {**row, "clips": [clip for clip in clips if clip]}
    if tables:
        return
    places = (folder / place / "metadata.json" for place in ("test", "."))
    listing = next((path for path in places if path.is_file()), None)
    if listing is None:
        return
    rows = read_json(listing)
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        raise EvaluationError(
            f"{listing}: not an object of file names with their rows; download it again"
        )
    for file, row in rows.items():
        for key in ("instruction", "label"):
            if key not in row:
                names = ", ".join(row)
                raise EvaluationError(
                    f"{listing}: no {key} among the keys of {file} ({names}); take another release"
                )
        clip = listing.parent / file
        pair = clip.with_name(f"{clip.stem}_pair{clip.suffix}")
        second = (
            [pair if pair.is_file() else listing.parent / str(row["file2"])]
            if row.get("file2")
            else []
        )
        yield {**row, "file": file, "clips": [clip, *second]}
