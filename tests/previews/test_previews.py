"""A mixture looked at: what is shown of it is what training reads."""

import itertools
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tiny_run import RATES, SPOKEN, make_data, make_run, write_gin

import sift_jax
from sift_jax.data.batch_stream import BatchStream
from sift_jax.models.presets import make_model_config
from sift_jax.previews.page import make_page
from sift_jax.text.chat import make_question, render_chat
from sift_jax.training.job import make_geometry

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def gin_file(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("previews")
    return write_gin(folder / "run.gin", make_run(corpus, folder / "run"))


@pytest.fixture(scope="module")
def stream(corpus):
    arguments = make_run(corpus, Path("nowhere"))
    geometry = make_geometry(make_model_config(arguments["model"]))
    return BatchStream(arguments["data"], geometry, split="train", is_endless=True)


def test_examples_of_a_gin_file_are_those_of_its_batches(gin_file, stream):
    found = list(itertools.islice(sift_jax.read_mixture(str(gin_file)), 12))
    planned = stream.plan.get_batch(0)
    names = [
        stream.plan.draws.tasks[planned.groups.task[group]].name
        for row in planned.rows
        for group in row
        for _ in planned.groups.numbers[group]
    ]
    assert [example["task"] for example in found][: len(names)] == names[:12]
    for example in found:
        (asked,) = make_question(example["question"], ["x"] * len(example["audio"]))
        answer = {"role": "assistant", "content": [{"text": example["answer"]}]}
        # the text is before its recordings or behind them
        orders = (asked["content"], [asked["content"][-1], *asked["content"][:-1]])
        rendered = [
            render_chat([{**asked, "content": order}, answer], stream.tokenizer) for order in orders
        ]
        tokens = [(one.tokens, one.is_target) for one in rendered]
        assert (example["tokens"], example["is_target"]) in tokens
        assert example["question"] in example["prompt"] and "<|AUDIO|>" in example["prompt"]
        for clip in example["audio"]:
            assert clip["array"].dtype == np.float32 and clip["sampling_rate"] == 16_000
            assert 0 < np.abs(clip["array"]).max() <= 1


def test_a_name_a_pattern_and_a_table_need_records_and_a_tokenizer(corpus):
    where = {"records": corpus.records, "tokenizer": corpus.tokenizer, "split": "dev"}
    by_pattern = list(sift_jax.read_mixture("sift.open_ended.*", **where))
    assert {example["task"] for example in by_pattern} == {
        "sift.open_ended.de",
        "sift.open_ended.en",
    }
    german = list(sift_jax.read_mixture("sift.open_ended.*", languages=["de"], **where))
    assert {example["task"] for example in german} == {"sift.open_ended.de"}
    table = sift_jax.read_mixture(RATES, **where)
    assert len({example["task"] for example in table}) > 2
    with pytest.raises(ValueError, match="give records= and tokenizer=, or a run's gin file"):
        sift_jax.read_mixture("understanding")
    with pytest.raises(ValueError, match="bindings change a gin file"):
        sift_jax.read_mixture("understanding", bindings=["SEED=1"], **where)


def test_an_unknown_mixture_is_refused_by_the_names_of_arguments(corpus):
    where = {"records": corpus.records, "tokenizer": corpus.tokenizer, "split": "dev"}
    with pytest.raises(ValueError, match="no mixture 'understandin'; did you mean") as refusal:
        sift_jax.read_mixture("understandin", **where)
    said = str(refusal.value)
    assert "'understanding'?" in said and "modules=" in said
    # a caller from Python has neither knobs nor flags
    assert "MIXTURE" not in said and "--" not in said


def test_a_gin_file_takes_bindings_and_nothing_that_it_says_itself(gin_file, corpus):
    split = {"split": "dev", "bindings": ["MixtureConfig.languages=('en',)"]}
    found = list(sift_jax.read_mixture(gin_file, **split))
    assert found and all(example["task"].endswith(".en") for example in found)
    with pytest.raises(ValueError, match="says which records, tokenizer, codec"):
        sift_jax.read_mixture(gin_file, records=corpus.records)


class Page(HTMLParser):
    """The tokens of a page by role, its players, and every tag closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tokens, self.players, self.rows = [], [], 0, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "audio":
            self.players += given["src"].startswith("data:audio/")
        if tag == "span" and given.get("title"):
            self.tokens.append((given["class"], given["title"], given.get("style") or ""))
        if tag not in ("meta", "br", "circle", "path", "line", "rect", "polyline", "polygon"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag


def test_the_page_shows_each_token_of_the_first_groups(stream):
    text = make_page(stream, name="tiny", split="train", count=4).write_html()
    page = Page(text)
    assert page.open == [] and page.players >= 4
    assert "http" not in text.replace("http://www.w3.org", "")
    _, batch = next(iter(stream.batches()))
    groups = [(0, n) for n in range(1, 5) if (batch["group_bt"][0] == n).any()]
    learnt = [title for css, title, _ in page.tokens if "learnt" in css]
    assert len(learnt) >= sum(_count_learnt(batch, row, group) for row, group in groups) > 0
    first = _count_learnt(batch, 0, 1)
    card = re.search(r'<article class="card example">.*?</article>', text, re.DOTALL)[0]
    assert card.count("· learnt, weight 1") == first
    frames = int(((batch["slot_bt"][0] >= 0) & (batch["group_bt"][0] == 1)).sum())
    assert sum(int(n) for n in re.findall(r"♪ (\d+) frames", card)) == frames
    assert card.count("<h4>Shared by all questions") == 1


def _count_learnt(batch, row, group):
    group_bm = batch["group_bt"][row][batch["predict_bm"][row]]
    return int(((batch["weight_bm"][row] > 0) & (group_bm == group)).sum())


def test_weights_of_the_loss_are_shown(corpus, codec_folder, spoken_records):
    arguments = make_run(corpus, Path("nowhere"))
    data = make_data(
        corpus, records=str(spoken_records), codec=str(codec_folder), end_weight=15.0, **SPOKEN
    )
    geometry = make_geometry(make_model_config(arguments["model"]))
    stream = BatchStream(data, geometry, split="train", is_endless=True)
    page = Page(make_page(stream, name="spoken", split="train", count=2).write_html())
    styles = {
        re.search(r"weight (\S+)", title)[1]: style
        for _, title, style in page.tokens
        if "weight" in title
    }
    assert styles["15"] == "--weight:1.000" and styles["1"] == "--weight:0.067"


def run(*words):
    return subprocess.run(
        [sys.executable, "-m", "sift_jax.preview", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )


def test_the_command_writes_the_page_and_says_what_is_wrong(gin_file, tmp_path):
    out = tmp_path / "preview.html"
    done = run(f"--gin_file={gin_file}", f"--out={out}", "--examples=2", "--split=dev")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(out)
    assert out.read_text().count('<article class="card example">') == 2
    done = run(f"--gin_file={gin_file}", f"--out={out}", "--examples=0")
    assert done.returncode == 2 and "error: --examples=0 is too few" in done.stderr
    done = run(f"--gin_file={gin_file}", "--out=preview.txt")
    assert done.returncode == 2 and "error: --out=preview.txt is not an .html file" in done.stderr
    done = run(f"--gin_file={gin_file}", f"--out={out}", "--module_import=no_tasks")
    assert done.returncode == 2
    assert done.stderr == (
        "error: --module_import: No module named 'no_tasks'; it must be importable from here\n"
    )
