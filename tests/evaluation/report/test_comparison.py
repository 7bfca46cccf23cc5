"""Evaluations side by side: what is shared, what flipped, what is published, what must be warned
of."""

import dataclasses
import html
import json
import re
import shutil
import sys
import urllib.parse
from pathlib import Path

import pytest
from made_evaluation import make_cell, make_corpus, make_evaluation
from test_report_page import Page, list_markdown_rows, list_rows

from sift_jax import compare
from sift_jax.evaluation.report.comparison import find_shares, make_comparison
from sift_jax.evaluation.report.comparison_page import choose_flips, write_comparison, write_p
from sift_jax.evaluation.report.page import write_report
from sift_jax.evaluation.report.published_figures import read_paper
from sift_jax.evaluation.report.read_results import read_evaluation
from sift_jax.evaluation.report.score_index import Place
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.evaluation.scores.paired import find_mcnemar
from sift_jax.evaluation.scores.schema import MODEL, EvaluationError

BOOTSTRAP = BootstrapConfig(samples=50, confidence=0.95, seed=0)
TAG = '"><script>alert(1)</script><i onclick=1'
# what a program reads of results.json, and of that what it takes as it is
PROGRAMS = {
    "format",
    "metric",
    "system",
    "value",
    "low",
    "high",
    "n",
    "of",
    "planted",
    "counts",
    "training",
}
KEPT = PROGRAMS | {
    "cells",
    "suites",
    "confusions",
    "judge",
    "model",
    "name",
    "suite",
    "subset",
    "language",
    "facet",
    "labels",
    "set_aside",
    "id",
    "reason",
    "seconds",
    "audio_gain",
    "checkpoint",
    "step",
    "weights",
    "decoding",
    "metrics",
    "parameters",
    "prompt_hash",
}
ACOUSTIC = Place(subset="closed_ended/acoustic_level", metric="judge_closed")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two evaluations of the same questions, one of other questions, and the comparison of the
    first two."""
    root = tmp_path_factory.mktemp("runs")
    data_dir = make_corpus(root / "data")
    make_evaluation(root / "first", data_dir=data_dir, data=str(data_dir))
    make_evaluation(root / "second", data_dir=data_dir, data=str(data_dir), seed=8)
    make_evaluation(root / "fewer", data_dir=data_dir, seed=9, skip=frozenset(range(0, 20, 4)))
    write_comparison(make_comparison([root / "first", root / "second"], BOOTSTRAP), root / "both")
    return root


def read_scores(folder):
    """id → score of the model's closed-ended answers."""
    lines = (folder / "verdicts" / "model.offline.jsonl").read_text().splitlines()
    return {v["id"]: v["score"] for v in map(json.loads, lines) if v["metric"] == "judge_closed"}


def test_flips_and_the_test_are_those_of_the_verdicts(root):
    first, second = read_scores(root / "first"), read_scores(root / "second")
    lost = {name for name in first if first[name] > second[name]}
    gained = {name for name in first if first[name] < second[name]}
    comparison = json.loads((root / "both" / "compare.json").read_text())
    flips = [f for f in comparison["flips"] if f["metric"] == "judge_closed"]
    assert {f["id"] for f in flips if f["first"] > f["second"]} == lost and len(lost) > 5
    assert {f["id"] for f in flips if f["first"] < f["second"]} == gained and len(gained) > 5
    whole = next(p for p in comparison["pairs"] if not p["subset"])
    assert (whole["only_first"], whole["only_second"], whole["n"]) == (
        len(lost),
        len(gained),
        len(first),
    )
    assert whole["p"] == find_mcnemar(len(lost), len(gained)) and whole["test"] == "exact McNemar"
    assert whole["difference"] == pytest.approx((len(gained) - len(lost)) / len(first))


def test_page_is_well_formed_escaped_and_names_the_published(root):
    text = (root / "both" / "compare.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == [] and "<script" not in text and "<b>so</b>" not in text
    assert not [t for t, _ in page.tags if t in ("link", "iframe", "img")] and len(text) < 6_000_000
    rows = [[" ".join(cell) for cell in row] for row in page.rows]
    assert [
        "SIFT-LLM",
        "57.4 %",
        "46.1 %",
        "58.4 %",
        "41.9 %",
        "28.6 %",
        "55.5 %",
        "7.3",
        "7.8",
    ] in rows
    assert "arXiv 2504.09081v2" in text and "<audio" in text
    quoted = [a for t, a in page.tags if t == "td" and a.get("class") == "quoted"]
    assert len(quoted) == sum(len(table.columns) * len(table.rows) for table in read_paper()[1])


def test_json_markdown_and_page_have_the_same_figures(root):
    comparison = json.loads((root / "both" / "compare.json").read_text())
    rows = list_rows((root / "both" / "compare.html").read_text())
    written = list_markdown_rows((root / "both" / "compare.md").read_text())
    assert [row for row in written if row not in rows] == [] and len(written) > 40
    figures = {" ".join(cell[:2]) for row in written for cell in row if cell}
    for run in comparison["runs"]:
        for cell in run["cells"]:
            if cell["metric"] == "judge_closed" and cell["value"] is not None:
                assert f"{100 * cell['value']:.1f} %" in figures, cell
    for pair in comparison["pairs"]:
        assert any(
            row[-1] == [str(pair["n"])] and row[-2] == write_p(pair["p"]).split() for row in written
        ), pair


def test_of_runs_on_different_questions_only_the_shared_ones_count(root):
    comparison = make_comparison([root / "first", root / "fewer"], BOOTSTRAP)
    assert [(len(s.ids), s.sizes) for s in comparison.shares] == [(75, (100, 75))]
    cells = [board.find("evalsift", ACOUSTIC)[MODEL] for board in comparison.boards]
    assert [cell.n for cell in cells] == [15, 15]
    scores = read_scores(root / "first")
    kept = [scores[name] for name in comparison.shares[0].ids if name.startswith(ACOUSTIC.subset)]
    assert cells[0].value == pytest.approx(sum(kept) / 15)
    assert all(pair.n <= 75 for pair in comparison.pairs)
    warning = " ".join(text for _, text in comparison.warnings)
    assert "75 questions are shared by 100 of first, 75 of fewer" in warning


def test_runs_that_share_nothing_are_not_compared(root, tmp_path):
    runs = [
        make_evaluation(tmp_path / "even", skip=frozenset(range(0, 20, 2))),
        make_evaluation(tmp_path / "odd", skip=frozenset(range(1, 20, 2))),
    ]
    page = write_comparison(make_comparison(runs, BOOTSTRAP), tmp_path / "out").read_text()
    assert Page(page).open == [] and "EvalSIFT: the runs share no question" in page
    assert json.loads((tmp_path / "out" / "compare.json").read_text())["pairs"] == []


def test_runs_on_the_same_questions_keep_their_own_figures(root):
    comparison = make_comparison([root / "first", root / "second"], BOOTSTRAP)
    own = read_evaluation(root / "first").cells
    assert comparison.boards[0].cells == tuple(cell for cell in own if cell.system == MODEL)
    assert comparison.warnings == ()


def test_another_reference_makes_another_question_and_another_wording_does_not(root, tmp_path):
    other = make_evaluation(tmp_path / "other", data_dir=root / "data")
    path = other / "predictions" / "model.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    lines[0] = lines[0].replace('"references": ["slightly', '"references": ["very')
    lines[1] = lines[1].replace("How high is", "Say how high")
    path.write_text("".join(lines))
    (share,) = find_shares([read_evaluation(root / "first"), read_evaluation(other)])
    assert len(share.ids) == 99 and share.reworded == 1 and not share.is_whole
    warnings = " ".join(
        text for _, text in make_comparison([root / "first", other], BOOTSTRAP).warnings
    )
    assert "the prompts differ. 1 of 99 shared questions are worded otherwise" in warnings


def test_other_judges_and_decoding_are_warned_of(root, tmp_path):
    planted = {"n": 4, "right": 1, "is_valid": False}
    other = make_evaluation(
        tmp_path / "other",
        data_dir=root / "data",
        model={"decoding": {"temperature": 0.8}},
        judge={"name": "endpoint", "model": "judge-9b", "prompt_hash": "ffff", "planted": planted},
    )
    warnings = make_comparison([root / "first", other], BOOTSTRAP).warnings
    kinds = [kind for kind, _ in warnings]
    texts = " ".join(text for _, text in warnings)
    assert kinds == ["alarm", "alarm", "warning"]
    for part in (
        "figures of other are not valid",
        "different judges",
        "judge-9b",
        "different decoding",
        "ture 0.8",
    ):
        assert part in texts, part
    page = write_comparison(
        make_comparison([root / "first", other], BOOTSTRAP), tmp_path / "out"
    ).read_text()
    assert page.index('class="alarm" role="alert"') < page.index("<section")


def test_three_runs_are_each_compared_with_the_first(root, tmp_path):
    runs = [root / "first", root / "second", root / "fewer"]
    comparison = make_comparison(runs, BOOTSTRAP)
    assert {pair.run for pair in comparison.pairs} == {1, 2} and comparison.flips == ()
    text = write_comparison(make_comparison(runs, BOOTSTRAP), tmp_path).read_text()
    assert Page(text).open == [] and "fewer against first, question by question" in text


def test_a_suite_of_one_run_alone_stands_by_itself(root, tmp_path):
    cell = make_cell(
        [1.0, 0.0], system="model", suite="librispeech", subset="test_clean", metric="wer"
    )
    alone = make_evaluation(
        tmp_path / "alone", data_dir=root / "data", cells=[dataclasses.asdict(cell)]
    )
    text = write_comparison(
        make_comparison([root / "first", alone], BOOTSTRAP), tmp_path / "out"
    ).read_text()
    rows = [[" ".join(cell) for cell in row] for row in Page(text).rows]
    assert "One run alone has answers to this suite" in text
    assert any(
        row[0] == "Test clean, WER" and row[1] == "–" and row[2].startswith("50.0 %")
        for row in rows
        if row
    )


def make_hostile(value):
    """Every text of a results.json with a tag in it, but for what programs read."""
    if isinstance(value, dict):
        return {
            key if key in KEPT else f"{key}{TAG}": inner if key in PROGRAMS else make_hostile(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [make_hostile(inner) for inner in value]
    return f"{value}{TAG}" if isinstance(value, str) and value else value


def test_whatever_the_results_say_stays_text(root, tmp_path):
    out = make_evaluation(tmp_path / "out", training={"stage1": "/no"}, metrics={"wer": "jiwer"})
    results = json.loads((out / "results.json").read_text())
    (out / "results.json").write_text(json.dumps(make_hostile(results)))
    pages = [
        write_report(out),
        write_comparison(make_comparison([out, root / "first"], BOOTSTRAP), tmp_path / "both"),
    ]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        parsed = Page(text)
        assert parsed.open == [] and "<script" not in text and "&lt;script" in text
        assert not any(
            name.startswith("on") for _, attributes in parsed.tags for name in attributes
        )
        assert "<script" not in page.with_suffix(".md").read_text()


def test_shown_flips_are_the_largest_and_mixed(root):
    flips = [
        f for f in make_comparison([root / "first", root / "second"], BOOTSTRAP).flips if f.gain > 0
    ]
    chosen = choose_flips(flips, 4)
    assert [abs(f.gain) for f in chosen] == [1.0] * 4 and len(
        {f.first.item.subset for f in chosen}
    ) == 4
    assert chosen == choose_flips(list(reversed(flips)), 4)


def test_published_figures_have_a_column_each_and_a_source():
    _, tables = read_paper()
    for table in tables:
        assert all(len(values) == len(table.columns) for values in table.rows.values())
        assert table.rows and table.source.startswith("arXiv ")
    assert tables[0].rows["SIFT-LLM"][:2] == (0.574, 0.461) and tables[2].rows["SIFT-LLM"][1] == 6.6


def test_runs_of_one_name_are_told_apart_and_one_alone_is_refused(root, tmp_path):
    first = make_evaluation(tmp_path / "a" / "eval")
    comparison = make_comparison(
        [first, make_evaluation(tmp_path / "b" / "eval", seed=5)], BOOTSTRAP
    )
    assert comparison.names == (str(tmp_path / "a" / "eval"), str(tmp_path / "b" / "eval"))
    with pytest.raises(EvaluationError, match="give the folders of two or more"):
        make_comparison([first], BOOTSTRAP)


def test_the_command_writes_all_three_and_says_what_is_missing(root, tmp_path, monkeypatch, capsys):
    command = ["compare", str(root / "first"), "--samples=20", f"--out={tmp_path}"]
    monkeypatch.setattr(sys, "argv", [*command, str(root / "second")])
    compare.main()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "compare.html",
        "compare.json",
        "compare.md",
    ]
    said = capsys.readouterr().out
    written = json.loads((tmp_path / "compare.json").read_text())
    (pair,) = [p for p in written["pairs"] if p["subset"] == ACOUSTIC.subset]
    line = next(line for line in said.splitlines() if "Acoustic" in line)
    figures = [f"{100 * pair[name]:.1f}" for name in ("first", "second")]
    assert all(figure in line for figure in figures)
    assert f"{100 * (pair['second'] - pair['first']):+.1f}".replace("-", "\u2212") in line
    assert said.splitlines()[-1] == f"comparison: {tmp_path / 'compare.html'}"
    monkeypatch.setattr(sys, "argv", [*command, str(root / "no")])
    with pytest.raises(SystemExit) as end:
        compare.main()
    error = capsys.readouterr().err
    assert (
        end.value.code == 2
        and error.startswith("error: ")
        and "python -m sift_jax.evaluate" in error
    )


def test_pairs_are_named_by_the_run_that_they_are_measured_against(root, tmp_path):
    """The first run has another suite, so that the second is the base of the third."""
    alone = make_evaluation(tmp_path / "alone", data_dir=root / "data")
    lines = (
        (alone / "predictions" / "model.jsonl")
        .read_text()
        .replace('"suite": "evalsift"', '"suite": "jsonl:own"')
    )
    (alone / "predictions" / "model.jsonl").write_text(lines)
    write_comparison(
        make_comparison([alone, root / "first", root / "second"], BOOTSTRAP), tmp_path / "out"
    )
    pairs = json.loads((tmp_path / "out" / "compare.json").read_text())["pairs"]
    assert {(pair["base"], pair["run"]) for pair in pairs} == {("first", "second")}
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "second against first, question by question" in page and "against alone" not in page


@pytest.mark.parametrize("name", ["javascript:alert(9)#x?y%41", "a run, 50% of it"])
def test_a_link_leads_to_the_report_whatever_the_folder_is_called(root, name):
    run = root / name
    shutil.copytree(root / "second", run)
    (run / "report.html").write_text("there")
    write_comparison(make_comparison([root / "first", run], BOOTSTRAP), root)
    links = re.findall(r'<li><a href="([^"]*)"', (root / "compare.html").read_text())
    assert links[-1].startswith("./")
    # as a browser resolves it against the page's own address
    address = urllib.parse.urlsplit(
        urllib.parse.urljoin((root / "compare.html").as_uri(), html.unescape(links[-1]))
    )
    assert (address.scheme, address.query, address.fragment) == ("file", "", "")
    assert Path(urllib.parse.unquote(address.path)).read_text() == "there"


def find_published(title):
    return next(table for table in read_paper()[1] if table.title.startswith(title))


def test_the_published_tables_are_whole():
    assert [(len(table.rows), len(table.columns)) for table in read_paper()[1]] == [
        (4, 8),
        (4, 6),
        (3, 8),
        (6, 5),
        (6, 8),
        (3, 7),
        (8, 3),
        (1, 2),
    ]
    # a mean that a table prints is the mean of what another prints
    categories, sizes = find_published("Dynamic-SUPERB"), (7, 7, 3, 19, 11, 5)
    english = find_published("English")
    for name, values in categories.rows.items():
        mean = sum(value * size for value, size in zip(values, sizes, strict=True)) / 52
        assert mean == pytest.approx(english.rows[name][0], abs=0.006), name
    for name, (_, closed, *parts, _, _) in english.rows.items():
        assert sum(parts) / 4 == pytest.approx(closed, abs=0.006), name


@pytest.mark.parametrize("protocol", ["official", "paper"])
def test_a_figure_stands_beside_the_published_only_by_the_same_protocol(tmp_path, protocol):
    cell = make_cell([1.0, 0.0], system="model", suite="dynamic_superb", metric="judge_closed")
    suites = {"dynamic_superb": {"counts": {"items": 2, "scored": 2}, "protocol": protocol}}
    out = make_evaluation(tmp_path / "ours", cells=[dataclasses.asdict(cell)], suites=suites)
    rows = list_rows(write_report(out).read_text(encoding="utf-8"))
    text = (out / "report.md").read_text(encoding="utf-8")
    ours = [row for row in rows if row and row[0] == ["ours"]]
    if protocol == "paper":
        assert len(ours) == 2 and all("50.0" in row[1] for row in ours)
    assert (
        bool(ours)
        == (protocol == "paper")
        != ("asked Dynamic-SUPERB by the official protocol" in text)
    )
    assert f"Protocol: {protocol} (" in text and "SALMONN-7B" in text
