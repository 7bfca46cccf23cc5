"""The quickstart's end, from a folder shaped like that of a finished run."""

import re
import shutil
from pathlib import Path

from made_evaluation import make_corpus, make_evaluation

from sift_jax.evaluation.report.read_results import read_evaluation
from sift_jax.quickstart.summary import find_answered, finish
from sift_jax.recipes.run import StepTime


def make_run(folder: Path) -> str:
    data = make_corpus(folder / "data")
    made = make_evaluation(folder / "made", data_dir=data)
    for path in made.iterdir():
        shutil.move(path, folder / path.name)
    (folder / "report.html").write_text("<p>here</p>")
    return str(folder)


def test_the_summary_says_what_it_took_and_what_to_try(tmp_path):
    run = make_run(tmp_path)
    said = finish(run, {"hear": StepTime(seconds=100, cpu_seconds=190)})
    assert "finished in 1 min 40 s, 3 CPU-minutes" in said
    assert f"--checkpoint={run}/export" in said and "How high is the voice?" in said
    assert said.endswith(f"{run}/index.html")


def test_only_right_answers_about_one_recording_are_offered(tmp_path):
    run = make_run(tmp_path)
    found = find_answered(read_evaluation(run), run)
    assert 1 <= len(found) <= 4
    assert {each.answer for each in found} == {"slightly low pitch"}
    assert all(Path(each.audio).is_file() for each in found)


def test_the_index_links_the_pages_that_are_there(tmp_path):
    run = make_run(tmp_path)
    finish(run, {})
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'<li><a href="([^"]*)">', page)
    assert links == ["report.html"] and (tmp_path / links[0]).is_file()
    assert "speech.wav" not in page and "<script" not in page
