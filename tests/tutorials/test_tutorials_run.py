"""The tutorials' scripts are run as they are, but smaller: each number that takes time is replaced,
and what would be installed or downloaded is taken to be there."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from chat_server import serve
from fake_writer import answer_well

from docs.tools.make_notebooks import FOLDER

ROOT = Path(__file__).parents[2]
SIFT_JAX = f'#!/bin/sh\nexec "{sys.executable}" -m sift_jax "$@"\n'
NOTHING = "#!/bin/sh\n"
MOST_SECONDS = 1_200
FEW = "--dev=4 --evaluation=4"


def add_program(folder, name, text):
    path = folder / name
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def run_tutorial(tmp_path):
    """Runs a script in an empty folder; returns what it printed."""
    programs = tmp_path / ".programs"
    programs.mkdir()
    add_program(programs, "sift-jax", SIFT_JAX)
    for name in ("pip", "hf"):
        add_program(programs, name, NOTHING)

    def run(name, smaller):
        text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
        for old, new in smaller.items():
            assert old in text, f"{name} does not say {old!r} any more"
            text = text.replace(old, new)
        script = tmp_path / f"{name}.py"
        script.write_text(text, encoding="utf-8")
        path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            [sys.executable, script.name],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
        )
        assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    return run


def test_a_pod_is_asked_for_in_words_alone(run_tutorial, tmp_path):
    (tmp_path / "weights" / "Qwen2.5-7B-Instruct").mkdir(parents=True)
    said = run_tutorial("tpu_pod", {"tpu_scripts/pod.py": str(ROOT / "tpu_scripts" / "pod.py")})
    assert "queued-resources create sift-stage2" in said and "--accelerator-type=v6e-8" in said


@pytest.mark.slow
def test_a_language_model_writes_rows_that_become_records(run_tutorial, tmp_path):
    with serve(lambda number, body: answer_well(body)) as server:
        run_tutorial(
            "language_model_data",
            {
                "http://localhost:8000/v1": server.url,
                "--train=20 --dev=5 --evaluation=5": f"--train=6 {FEW} --workers=1",
                "--utterances=5": "--utterances=2",
                # the stand-in repeats itself, which is a fault
                "validate --sift=runs/tutorial/written/sift": (
                    "validate --sift=runs/tutorial/written/sift || true"
                ),
            },
        )
    written = tmp_path / "runs" / "tutorial" / "written"
    assert server.bodies and json.loads((written / "report.json").read_text())
    assert list((written / "records" / "sift_en").iterdir())


@pytest.mark.slow
def test_a_model_learns_to_speak(run_tutorial, tmp_path):
    run_tutorial(
        "speech_out",
        {
            # enough frames for the codec's 640 codes
            "--train=400 --dev=20 --evaluation=20": f"--train=32 {FEW} --workers=1",
            "stage3.gin ": "stage3.gin --gin.STEPS=2 --gin.WARMUP_STEPS=1 --gin.BATCH_ROWS=2 ",
        },
    )
    for name in ("slow", "fast", "rain"):
        assert (tmp_path / "runs" / "tutorial" / f"{name}.wav").stat().st_size > 44


@pytest.mark.slow
def test_two_evaluations_are_compared(run_tutorial, tmp_path):
    said = run_tutorial(
        "evaluate_and_compare",
        {
            "--train=40 --dev=10 --evaluation=20 --evaluation_rows=20": (
                f"--train=12 {FEW} --evaluation_rows=4 --workers=1"
            ),
            "--limit=10": "--limit=2",
        },
    )
    assert re.search(r"^\S*acoustic\S* \S+ [\d.]+ of 2$", said, re.MULTILINE), said
    compared = tmp_path / "runs" / "tutorial" / "comparison" / "compare.json"
    assert json.loads(compared.read_text(encoding="utf-8"))["runs"]


def write_manifest(folder):
    """Recordings of synthetic voices with their sentences, as somebody's own."""
    build = folder / "recorded"
    command = "-m data_prep.build --corpus=embedded --languages=en --train=30 --workers=1"
    subprocess.run(
        [sys.executable, *command.split(), *FEW.split(), f"--out={build}"], cwd=ROOT, check=True
    )
    with (folder / "mine.jsonl").open("w", encoding="utf-8") as lines:
        for line in (build / "utterances.jsonl").read_text(encoding="utf-8").splitlines():
            utterance = json.loads(line)
            entry = {
                "audio": f"recorded/audio/{utterance['id']}.flac",
                "text": utterance["transcript"],
                "language": "en",
                "speaker": utterance["speaker"],
                "gender": utterance["gender"],
            }
            lines.write(json.dumps(entry) + "\n")


@pytest.mark.slow
def test_recordings_of_ones_own_are_learnt_from(run_tutorial, tmp_path):
    write_manifest(tmp_path)
    small = "--gin.STEPS=2 --gin.WARMUP_STEPS=1 --gin.BATCH_ROWS=2"
    run_tutorial(
        "own_corpus",
        {
            "--phonemes=espeak": f"--phonemes=espeak --max_seconds=6 {FEW} --workers=1",
            "--size=4096": "--size=400",
            "quickstart/hear.gin": f"quickstart/hear.gin {small}",
            # from published weights in the tutorial
            "configs/small/stage2.gin": f"configs/quickstart/stage2.gin {small}",
            "--gin.START_RUN=None --gin.ENCODER=weights/whisper-base "
            "--gin.DECODER=weights/Qwen2.5-0.5B-Instruct": (
                "--gin.START_RUN=runs/mine/hear --gin.TOKENIZER=runs/mine/data/tokenizer"
            ),
            "--gin.DATA_DIR": "--limit=2 --gin.DATA_DIR",
        },
    )
    results = json.loads((tmp_path / "runs" / "mine" / "eval" / "results.json").read_text())
    assert any(cell["system"] == "model" for cell in results["cells"])


@pytest.mark.parity
def test_a_server_and_an_export_answer_alike(run_tutorial):
    said = run_tutorial("serve_and_export", {})
    answers = [line for line in said.splitlines() if line.startswith("Speed")]
    assert len(answers) == 2 and len(set(answers)) == 1, said
