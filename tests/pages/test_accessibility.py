"""The pages that the project writes, looked at by axe-core in a real browser: contrast, headers,
labels, what can be reached by keys."""

import shutil

import pytest
from accessibility import WIDTHS, find_violations
from made_evaluation import make_corpus, make_evaluation
from tiny_run import make_run

from data_prep.report import main as describe
from sift_jax.data.batch_stream import BatchStream
from sift_jax.evaluation.report.comparison import make_comparison
from sift_jax.evaluation.report.comparison_page import write_comparison
from sift_jax.evaluation.report.page import write_report
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.human_eval.__main__ import make_parser, run
from sift_jax.models.presets import make_model_config
from sift_jax.previews.page import make_page
from sift_jax.quickstart.summary import finish
from sift_jax.training.job import make_geometry

PAGES = ("report", "compare", "raters", "index", "build", "preview")


@pytest.fixture(scope="module")
def pages(tmp_path_factory, corpus):
    """Name → page."""
    root = tmp_path_factory.mktemp("pages")
    data = make_corpus(root / "data")
    first = make_evaluation(root / "first", data_dir=data, data=str(data))
    second = make_evaluation(root / "second", data_dir=data, data=str(data), seed=8)
    bootstrap = BootstrapConfig(samples=20, confidence=0.95, seed=0)
    compared = write_comparison(make_comparison([first, second], bootstrap), root / "both")
    words = ["score", f"--evaluation={first}", f"--out={root / 'raters'}", "--count=3"]
    run(make_parser().parse_args(words))
    made = shutil.copytree(first, root / "quickstart")
    shutil.copytree(data, made / "data")
    finish(str(made), {})
    built = shutil.copytree(corpus.root, root / "built")
    describe([f"--sift={built / 'sift'}", f"--out={built}"])
    arguments = make_run(corpus, root / "nowhere")
    geometry = make_geometry(make_model_config(arguments["model"]))
    stream = BatchStream(arguments["data"], geometry, split="train", is_endless=True)
    preview = root / "preview.html"
    preview.write_text(
        make_page(stream, name="tiny", split="train", count=3).write_html(), encoding="utf-8"
    )
    return {
        "report": write_report(first),
        "compare": compared,
        "raters": root / "raters" / "page.html",
        "index": made / "index.html",
        "build": built / "report.html",
        "preview": preview,
    }


@pytest.mark.extras
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(pages, name, width, tmp_path):
    assert find_violations(pages[name], tmp_path, WIDTHS[width]) == []


@pytest.mark.extras
def test_axe_finds_what_is_wrong(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(
        '<!doctype html><html lang="en"><head><title>x</title></head><body><main><h1>x</h1>'
        '<p style="color:#999;background:#fff">grey</p><img src="data:,"></main></body></html>'
    )
    rules = {rule for rule, _, _ in find_violations(page, tmp_path, WIDTHS["desktop"])}
    assert {"color-contrast", "image-alt"} <= rules
