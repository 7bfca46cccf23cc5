"""A study from a folder of an evaluation to what simulated raters gave."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from accessibility import dump_dom
from made_evaluation import make_corpus, make_evaluation

from sift_jax.human_eval.__main__ import make_parser, run
from sift_jax.human_eval.read_ratings import read_study
from sift_jax.human_eval.report import compute_results
from sift_jax.human_eval.tasks import HumanEvalError


def call(*words):
    run(make_parser().parse_args([str(word) for word in words]))


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    data = make_corpus(folder / "data")
    return make_evaluation(folder / "first", data_dir=data, data=str(data))


@pytest.fixture(scope="module")
def other(evaluation) -> Path:
    data = evaluation.parent / "data"
    return make_evaluation(evaluation.parent / "second", data_dir=data, seed=5, data=str(data))


def read_page(out):
    page = (out / "page.html").read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return page, json.loads(found[1].replace("<\\/", "</"))


def write_ratings(out, rater, rate):
    """As the page saves them; `rate` says what is given to a task."""
    key = json.loads((out / "key.json").read_text(encoding="utf-8"))
    told = {
        "study": key["study"],
        "rater": rater,
        "ratings": {name: rate(name, task) for name, task in key["tasks"].items()},
    }
    path = out / f"ratings-{rater}.json"
    path.write_text(json.dumps(told))
    return path


def test_the_page_is_blind_and_whole(evaluation, tmp_path):
    call("score", f"--evaluation={evaluation}", f"--out={tmp_path}", "--systems=model,majority")
    page, told = read_page(tmp_path)
    key = json.loads((tmp_path / "key.json").read_text(encoding="utf-8"))
    assert len(told["tasks"]) == len(key["tasks"]) == 40
    assert {task["systems"][0] for task in key["tasks"].values()} == {"model", "majority"}
    assert not re.search(r"majority|\bmodel\b|judge|\.flac|https?://", page)
    assert all(audio.startswith("data:audio/flac;base64,") for audio in told["tasks"][0]["audio"])


def test_the_seed_alone_decides_the_order(evaluation, tmp_path):
    keys = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        call("score", f"--evaluation={evaluation}", f"--out={tmp_path / name}", f"--seed={seed}")
        keys.append((tmp_path / name / "key.json").read_text(encoding="utf-8"))
    assert keys[0] == keys[1] != keys[2]


def test_what_raters_gave_comes_back_with_the_judge_beside_it(evaluation, tmp_path):
    call("score", f"--evaluation={evaluation}", f"--out={tmp_path}", "--systems=model,majority")
    rng = np.random.default_rng(0)

    def rate(name, task):
        # near what the judge gave, which a correlation must then see
        given = 10 * task["judged"][0] if task["judged"][0] <= 1 else task["judged"][0]
        return {"score": int(np.clip(round(given + rng.normal()), 0, 10))}

    files = [write_ratings(tmp_path, rater, rate) for rater in ("anna", "ben", "cleo")]
    results = compute_results(read_study(tmp_path / "key.json", files))
    found = results["scales"]["score"]
    assert found["alpha"] > 0.8 and found["judge"]["spearman"] > 0.5
    model, majority = (found["systems"][name] for name in ("model", "majority"))
    assert model["low"] <= model["mean"] <= model["high"] and model["mean"] > majority["mean"]
    call("read", f"--key={tmp_path}/key.json", f"--out={tmp_path}/results", *files)
    assert "Krippendorff’s alpha" in (tmp_path / "results" / "report.html").read_text()


def test_a_preference_is_of_a_system_wherever_it_stood(evaluation, other, tmp_path):
    call("ab", f"--evaluation={evaluation}", f"--other={other}", f"--out={tmp_path}", "--count=0")
    files = [
        write_ratings(
            tmp_path,
            rater,
            lambda _, task: {"preference": 1 if task["systems"][0] == "first" else -1},
        )
        for rater in ("anna", "ben")
    ]
    found = compute_results(read_study(tmp_path / "key.json", files))["scales"]["preference"]
    assert found["systems"]["first over second"]["mean"] == 1.0
    key = json.loads((tmp_path / "key.json").read_text())
    assert {task["systems"][0] for task in key["tasks"].values()} == {"first", "second"}


def test_spoken_folders_and_triples_have_their_scales(evaluation, tmp_path):
    audio = evaluation.parent / "data" / "audio"
    recordings = sorted(audio.iterdir())[:3]
    spoken = tmp_path / "voice"
    (spoken / "audio").mkdir(parents=True)
    lines = []
    for path in recordings:
        shutil.copy(path, spoken / "audio" / path.name)
        line = {"id": path.stem, "language": "en", "text": "Hello.", "audio": f"audio/{path.name}"}
        lines.append(json.dumps(line))
    (spoken / "spoken.jsonl").write_text("\n".join(lines) + "\n")
    call("mos", f"--spoken={spoken}", f"--out={tmp_path / 'mos'}")
    assert read_page(tmp_path / "mos")[1]["scales"] == {"naturalness": [1, 5]}
    triples = tmp_path / "triples.jsonl"
    triples.write_text(
        json.dumps(
            {
                "id": recordings[0].stem,
                "key": "k1",
                "language": "en",
                "question": "Who?",
                "answer": "</script>she",
            }
        )
    )
    # as a synthesis lays them out: in folders
    deep = tmp_path / "deep" / "3f"
    deep.mkdir(parents=True)
    shutil.copy(recordings[0], deep)
    call(
        "triple", f"--triples={triples}", f"--audio={deep.parent}", f"--out={tmp_path / 'triples'}"
    )
    told = read_page(tmp_path / "triples")[1]
    assert list(told["scales"]) == ["factual", "relevant", "answerable"]
    assert told["tasks"][0]["answers"] == ["</script>she"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"study": "x"}, "is of the study x"),
        ({"rater": " "}, "names no rater"),
        ({"ratings": {"t999": {"score": 1}}}, "no task t999"),
        ({"ratings": {"t001": {"score": 11}}}, "score = 11, which is on no scale"),
        ({"ratings": {"t001": {"mood": 1}}}, "mood = 1, which is on no scale"),
        ({"ratings": {"t001": {"score": True}}}, "score = True"),
        ({"ratings": {"t001": 5}}, "t001 holds 5, and no ratings"),
    ],
)
def test_files_that_fit_no_study_are_named(change, message, evaluation, tmp_path):
    call("score", f"--evaluation={evaluation}", f"--out={tmp_path}", "--count=3")
    path = write_ratings(tmp_path, "anna", lambda *_: {"score": 5})
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(HumanEvalError, match=f"ratings-anna.json.*{message}"):
        read_study(tmp_path / "key.json", [path])


def test_a_second_file_of_a_rater_is_refused_and_open_tasks_are_counted(evaluation, tmp_path):
    call("score", f"--evaluation={evaluation}", f"--out={tmp_path}", "--count=3")
    path = write_ratings(tmp_path, "anna", lambda name, _: {"score": 5} if name == "t001" else {})
    assert read_study(tmp_path / "key.json", [path]).left_open == {"anna": 2}
    with pytest.raises(HumanEvalError, match="second file of anna"):
        read_study(tmp_path / "key.json", [path, path])


def test_what_is_no_key_and_what_is_no_count_are_told(evaluation, tmp_path):
    call("score", f"--evaluation={evaluation}", f"--out={tmp_path}", "--count=3")
    path = write_ratings(tmp_path, "anna", lambda *_: {"score": 5})
    with pytest.raises(
        HumanEvalError, match="ratings-anna.json has no 'title', so it is not a key"
    ):
        read_study(path, [path])
    with pytest.raises(HumanEvalError, match="--count=-1 is not a number of tasks; give 1 or more"):
        call("score", f"--evaluation={evaluation}", f"--out={tmp_path}", "--count=-1")


DRIVE = """
<script>
const pressed = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key }));
URL.createObjectURL = (blob) => { blob.text().then((text) => {
  document.body.setAttribute("data-saved", text); }); return "about:blank"; };
HTMLAnchorElement.prototype.click = () => {};
const name = document.getElementById("rater");
name.value = "anna"; name.dispatchEvent(new Event("input"));
const player = document.querySelector("#task audio");
pressed("2"); pressed("7");
document.body.setAttribute("data-same", player === document.querySelector("#task audio"));
document.body.setAttribute("data-pressed", document.querySelectorAll('#task [aria-pressed="true"]').length);
pressed("ArrowRight"); pressed("3"); pressed("ArrowRight");
document.querySelector('button[data-value="10"]').click();
document.getElementById("save").click();
</script></body>
"""


@pytest.mark.extras
def test_a_real_browser_rates_by_keys_and_saves_what_was_given(evaluation, tmp_path):
    call("score", f"--evaluation={evaluation}", f"--out={tmp_path}", "--count=3")
    page = tmp_path / "page.html"
    driven = tmp_path / "driven.html"
    driven.write_text(page.read_text(encoding="utf-8").replace("</body>", DRIVE), encoding="utf-8")
    shown = dump_dom(driven, tmp_path)
    saved = re.search(r'data-saved="([^"]*)"', shown)[1].replace("&quot;", '"')
    told = json.loads(saved)
    assert told["rater"] == "anna"
    # the player stays while its recording is rated, and one value is pressed at a time
    assert 'data-same="true"' in shown and 'data-pressed="1"' in shown
    assert told["ratings"] == {"t001": {"score": 7}, "t002": {"score": 3}, "t003": {"score": 10}}
    path = tmp_path / "ratings-anna.json"
    path.write_text(saved)
    assert read_study(tmp_path / "key.json", [path]).left_open == {"anna": 0}
