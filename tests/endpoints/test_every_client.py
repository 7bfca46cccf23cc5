"""A key through every client of the project, to a server that fails in every way and repeats it:
nowhere is it seen.

What counts as a client is found in the source: one without a case here fails the test.
"""

import json
import re
import sys
from pathlib import Path

import pytest
from chat_server import serve
from corpus_layouts import write_librispeech
from echo_server import ANSWERS, serve_echo
from fake_metadata import write_metadata
from fake_writer import answer_well
from judge_server import make_config
from question_sets import write_squad
from scored_items import make_item

from data_prep import instruct
from data_prep.synthesis import __main__ as synthesis_command
from data_prep.tasks import write_wordings
from sift_jax.evaluation.judging import JudgingConfig, judge_again
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.evaluation.scores.schema import EvaluationError, Prediction, write_prediction

ROOT = Path(__file__).parents[2]
KEY = "sk-Echo/0+9aZ=7Qw_x4.KjT~b2"
OTHER = "sk-of-the-writer-alone-5150"
SECONDS = 0.4
# What reads a key, speaks HTTP, or has a package do so.
CLIENT = re.compile(
    r"\bread_(?:secret|key)\(|\bhttp\.client\b|\burllib\.request\b|\burlopen\b|"
    r"^ *import (?:requests|httpx\w*|aiohttp|socket|wandb|openai)\b|\bhuggingface_hub\b|"
    r"\bfsspec\b|environ\S*(?:KEY|TOKEN)\b",
    re.MULTILINE,
)
# Clients that the cases of this file do not run: where they are tried, or why there is nothing to
# try.
ELSEWHERE = {
    "sift_jax/endpoints/hub.py": "tests/endpoints/test_hub.py",
    "sift_jax/exporting/push.py": "tests/exporting/test_push.py",
    "sift_jax/training/wandb_writer.py": "tests/training/test_boards.py",
    "sift_jax/models/hf_config.py": "an error's class alone",
    "data_prep/download/fetch.py": "public files, fetched without a key",
    "data_prep/engine/cloud_storage.py": "drivers have keys of their own",
    "sift_jax/endpoints/secret.py": "what reads them",
    "sift_jax/checkpoints/run_bucket.py": "the bucket's library has keys of its own",
    "sift_jax/cli.py": "a variable that keeps a bucket's library from TensorFlow",
    "sift_jax/serving/run_server.py": "it listens, and calls nobody",
    "sift_jax/evaluation/judges/config.py": "the same",
    **dict.fromkeys(
        (
            "sift_jax/training/event_file.py",
            "sift_jax/parallel/abort_handler.py",
            "sift_jax/storage/folder_lock.py",
        ),
        "the name of the machine",
    ),
}
POINT = ["--model=m", f"--seconds={SECONDS}", "--attempts=2", "--retries=0", "--concurrency=1"]
ONE = ["--workers=1", "--train=1", "--dev=0", "--evaluation=0"]


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    """Chunks in this process, one after another: what it says is heard."""

    def run_here(chunks, kind, work, engine):
        for chunk in chunks:
            if not chunk.path(kind).exists():
                work(chunk)

    for module in (
        "synthesis.speak_passages",
        "synthesis.write_questions",
        "synthesis.transcribe",
        "synthesis.grade_triples",
        "tasks.decode",
    ):
        monkeypatch.setattr(f"data_prep.{module}.run_chunks", run_here)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """What the clients work on."""
    folder = tmp_path_factory.mktemp("given")
    write_metadata(folder / "metadata.jsonl", sizes={"train": 1}, languages=("en",))
    write_librispeech(folder)
    write_squad(folder / "train-v1.1.json", "v1.1")
    synthesis_command.main(
        [
            "ask",
            "--corpus=librispeech",
            f"--root={folder}",
            "--writer=rules",
            f"--out={folder / 'asked'}",
            *ONE,
        ]
    )
    (folder / "predictions").mkdir()
    items = [
        make_item(n, word, metrics=("judge_closed",))
        for n, word in enumerate(("slowly", "fast", "faster"))
    ]
    (folder / "predictions" / "model.jsonl").write_text(
        "".join(write_prediction(Prediction(item=item, answer="slowly")) for item in items)
    )
    (folder / "answers.json").write_text(
        json.dumps(
            {
                "name": "mine",
                "model": {"checkpoint": "x"},
                "suites": {"s": {"counts": {"items": 3, "set_aside": 0}, "set_aside": []}},
                "audio_gain": None,
                "training": {},
                "data": "",
                "seconds": {"answer": 1.0},
            }
        )
    )
    return folder


def write(url, given, out):
    instruct.main(
        [
            f"--metadata={given / 'metadata.jsonl'}",
            f"--out={out}",
            f"--endpoint={url}/v1",
            "--languages=en",
            "--splits=train",
            "--sets=open_ended,unrelated",
            "--no_filter",
            *POINT,
        ]
    )


def look_again(url, given, out):
    """The filter at a server of its own, with a key of its own; the writer has another."""
    with serve(lambda number, body: answer_well(body)) as writer:
        instruct.main(
            [
                f"--metadata={given / 'metadata.jsonl'}",
                f"--out={out}",
                f"--endpoint={writer.url}",
                "--key_variable=OTHER_KEY",
                f"--judge_endpoint={url}/v1",
                "--judge_model=j",
                "--judge_key_variable=SIFT_LLM_KEY",
                "--languages=en",
                "--splits=train",
                "--sets=open_ended",
                *POINT,
            ]
        )
    assert {headers["Authorization"] for headers in writer.headers} == {f"Bearer {OTHER}"}


def ask(url, given, out):
    synthesis_command.main(
        [
            "ask",
            "--corpus=librispeech",
            f"--root={given}",
            f"--out={out}",
            f"--endpoint={url}/v1",
            *ONE,
            *POINT,
        ]
    )


def grade(url, given, out):
    synthesis_command.main(
        [
            "filter",
            f"--data={given / 'asked'}",
            f"--out={out}",
            f"--endpoint={url}/v1",
            "--workers=1",
            *POINT,
        ]
    )


def speak(url, given, out):
    synthesis_command.main(
        [
            "speak",
            "--corpus=squad",
            f"--file={given / 'train-v1.1.json'}",
            f"--out={out}",
            "--engine=endpoint",
            "--voices=ash",
            f"--endpoint={url}/v1",
            *ONE,
            *POINT,
        ]
    )


def transcribe(url, given, out):
    synthesis_command.main(
        [
            "transcribe",
            "--corpus=librispeech",
            f"--root={given}",
            f"--out={out}",
            "--asr=endpoint",
            f"--endpoint={url}/v1",
            *ONE,
            *POINT,
        ]
    )


def word(url, given, out):
    write_wordings.main(
        [
            f"--out={out}",
            "--tasks=asr",
            "--languages=en",
            "--count=2",
            "--calls=1",
            f"--endpoint={url}/v1",
            *POINT,
        ]
    )


def judge(url, given, out):
    out.mkdir()
    (out / "predictions").mkdir()
    for name in ("answers.json", "predictions/model.jsonl"):
        (out / name).write_bytes((given / name).read_bytes())
    config = make_config(
        f"{url}/v1",
        key_variable="SIFT_LLM_KEY",
        seconds=SECONDS,
        patience=0.0,
        tries=2,
        planted=0,
        concurrency=1,
    )
    try:
        judge_again(
            run=JudgingConfig(out_dir=str(out), generation_dir=""),
            judge=config,
            bootstrap=BootstrapConfig(samples=0, confidence=0.95, seed=0),
        )
    except EvaluationError as error:
        sys.exit(str(error))


CASES = {
    "data_prep/tasks/write_wordings.py": (word,),
    "data_prep/instructions/llm/write.py": (write, look_again),
    "data_prep/synthesis/question_writers/llm_writer.py": (ask,),
    "data_prep/synthesis/graders.py": (grade,),
    "data_prep/synthesis/tts/speech_endpoint.py": (speak,),
    "data_prep/recognition/asr_endpoint.py": (transcribe,),
    "sift_jax/evaluation/judges/verdicts.py": (judge,),
    # what the others ask by
    "sift_jax/endpoints/client.py": (write, judge),
}
RUNS = sorted({run for runs in CASES.values() for run in runs}, key=lambda run: run.__name__)


def test_every_client_of_the_source_has_its_case():
    found = {
        str(path.relative_to(ROOT))
        for room in ("sift_jax", "data_prep")
        for path in (ROOT / room).rglob("*.py")
        if CLIENT.search(path.read_text(encoding="utf-8"))
    }
    assert found == CASES.keys() | ELSEWHERE.keys()
    assert all((ROOT / where).is_file() for where in ELSEWHERE.values() if "/" in where)


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)
def test_a_key_is_seen_nowhere(run, answer, given, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("SIFT_LLM_KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", OTHER)
    out = tmp_path / "out"
    with (
        serve_echo(ANSWERS["nothing"]) as stranger,
        serve_echo(ANSWERS[answer], stranger.url) as echo,
    ):
        try:
            run(echo.url, given, out)
        except SystemExit as stop:
            assert "\n" not in str(stop)
            print(stop, file=sys.stderr)
    assert set(echo.keys) == {f"Bearer {KEY}"} and not stranger.keys
    said = capfd.readouterr()
    pieces = [key[i : i + 8] for key in (KEY, OTHER) for i in range(len(key) - 7)]
    texts = {"standard output": said.out, "standard error": said.err} | {
        str(path): path.read_bytes().decode("latin-1")
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    for name, text in texts.items():
        assert not [piece for piece in pieces if piece in text], name
    assert said.err or said.out or out.exists()
