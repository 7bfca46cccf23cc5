"""Golden parts of a build: a little of what each stage leaves, with the stage's version.

tests/golden/stages.json   {"measure": {"version": 1, "part": {…}}, …}
"""

import json
from pathlib import Path
from typing import Any

from data_prep.build import parse_arguments
from data_prep.pipeline.build_stages import STAGES, build
from sift_jax.audio.files import read_audio

GOLDEN = Path(__file__).parents[1] / "golden" / "stages.json"
FLAGS = ("--languages=en,fr", "--train=12", "--dev=2", "--evaluation=4", "--evaluation_rows=4")
MOST_LINES = 2


def make_parts(out: Path) -> dict[str, Any]:
    """Builds a small corpus, and takes a part of each stage."""
    build(parse_arguments([f"--out={out}", *FLAGS, "--workers=1", "--seed=4"]))
    audio = sorted((out / "audio").iterdir())[0]
    wave = read_audio(audio)
    parts = {
        "corpus": {
            "utterances": _read_lines(out / "utterances.jsonl"),
            "name": audio.name,
            "samples": len(wave),
            "loudness": float((wave**2).mean()),
        },
        "words": _read_folder(out / "parts" / "words"),
        "measure": _read_folder(out / "parts" / "measured"),
        "metadata": _read_lines(out / "metadata.jsonl"),
        "instructions": {
            str(path.relative_to(out / "sift")): _read_lines(path)[:1]
            for path in sorted((out / "sift").rglob("*.jsonl"))
        },
        "records": json.loads((out / "records" / "sift_en" / "index.json").read_text()),
        "report": json.loads((out / "report.json").read_text())["utterances"],
    }
    return {name: {"version": STAGES[name].version, "part": part} for name, part in parts.items()}


def _read_lines(path: Path) -> list[Any]:
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:MOST_LINES] if line]


def _read_folder(folder: Path) -> dict[str, Any]:
    return {path.name: _read_lines(path) for path in sorted(folder.glob("*.jsonl"))[:2]}


def write_golden(out: Path) -> None:
    """Writes the golden parts again."""
    text = json.dumps(make_parts(out), ensure_ascii=False, indent=1)
    GOLDEN.write_text(text + "\n", encoding="utf-8")
