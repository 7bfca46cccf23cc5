"""The report page and its Markdown, from a folder shaped like an evaluation's.

make_evaluation ─► write_report ─► report.html, parsed and searched · report.md, the same figures
"""

import base64
import dataclasses
import html
import json
import re
from html.parser import HTMLParser

import pytest
from made_evaluation import (
    ATTACK,
    LANGUAGES,
    PITCHES,
    make_cell,
    make_corpus,
    make_evaluation,
    make_stage,
)

from sift_jax.evaluation.report.charts import Series, draw_lines, pick_ramp, pick_ticks
from sift_jax.evaluation.report.confusions import describe_hits
from sift_jax.evaluation.report.corpus_section import order_labels
from sift_jax.evaluation.report.number_format import find_metric, minus, name_title
from sift_jax.evaluation.report.page import format_summary, write_report
from sift_jax.evaluation.report.score_index import Board, Place
from sift_jax.evaluation.report.training_section import read_metrics
from sift_jax.evaluation.scores.schema import EvaluationError
from sift_jax.pages.markup import escape_markdown

VOIDS = {"meta"}


class Page(HTMLParser):
    """Collects tags, attributes, text and the cells of tables, and checks that what opens
    closes."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.tags, self.texts, self.rows = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOIDS:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append([])

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1].append(data)


def list_rows(page: str) -> list[list[list[str]]]:
    """The words of the cells of all tables. Small print stands in brackets in Markdown: brackets
    are left out."""
    return [
        [re.sub(r"[();]", " ", " ".join(cell)).split() for cell in row] for row in Page(page).rows
    ]


def list_markdown_rows(text: str) -> list[list[list[str]]]:
    plain = html.unescape(re.sub(r"\*\*|\*|\\", "", text))
    return [
        [re.sub(r"[();]", " ", cell).split() for cell in line[2:-2].split(" | ")]
        for line in plain.splitlines()
        if line.startswith("| ") and "---" not in line
    ]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """An evaluation of a run with everything that a report may have."""
    root = tmp_path_factory.mktemp("run")
    data_dir = make_corpus(root / "data")
    stages = {
        "stage1": str(make_stage(root / "stage1", 400)),
        "stage2": str(make_stage(root / "stage2", 900)),
    }
    folder = make_evaluation(root / "out", data_dir=data_dir, data=str(data_dir), training=stages)
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def page_text(out) -> str:
    return (out / "report.html").read_text(encoding="utf-8")


def test_page_is_well_formed_and_self_contained(page_text):
    page = Page(page_text)
    assert page.open == []
    assert not [t for t, _ in page.tags if t in ("script", "link", "iframe", "img")]
    for tag, attrs in page.tags:
        for key in ("src", "href"):
            assert attrs.get(key, "#").startswith(("#", "data:")), (tag, attrs[key][:60])
    assert "url(" not in page_text and "@import" not in page_text
    assert len(page_text) < 6_000_000


def test_texts_of_models_judges_and_data_stay_texts(out, page_text):
    assert "<script" not in page_text and "<b>so</b>" not in page_text
    assert (
        "&lt;script&gt;alert(1)&lt;/script&gt;" in page_text
        and "because &lt;b&gt;so&lt;/b&gt;" in page_text
    )
    assert "The rain came early &amp; stayed &lt;late&gt;." in page_text
    assert "<script" not in (out / "report.md").read_text()
    assert (
        escape_markdown(ATTACK) == r"moderate \| pitch &lt;script&gt;alert(1)&lt;/script&gt; \`x\`"
    )


def test_the_figures_of_results_page_and_markdown_are_equal(out, page_text):
    results = json.loads((out / "results.json").read_text())
    rows, written = list_rows(page_text), list_markdown_rows((out / "report.md").read_text())
    assert [row for row in written if row not in rows] == [] and len(written) > 40
    for cell in results["cells"]:
        if cell["language"] and cell["subset"] == "closed_ended" and cell["system"] == "model":
            assert any(
                [f"{100 * cell['value']:.1f}", "%"] == found[:2] for row in written for found in row
            ), cell
    for cell in (
        c
        for c in results["cells"]
        if not c["language"] and not c["facet"] and c["system"] == "model"
    ):
        metric = find_metric(cell["metric"])
        row = next(
            r
            for r in written
            if r[0] == name_title(cell["subset"]).split() and r[1] == metric.title.split()
        )
        assert row[2] == metric.write(cell["value"]).split()
        assert row[3] == [metric.write_bare(cell["low"]), "to", metric.write_bare(cell["high"])]
        assert row[-1] == [f"{cell['n']}", "of", f"{cell['of']}"]


def test_what_stands_first_and_last(page_text):
    text = " ".join(Page(page_text).texts)
    for part in (
        "+0.90 ",
        "3.8 ",
        "3.6 ",
        "0.973",
        "4,150,000",
        "No voice of training is heard in Dev or EvalSIFT.",
        "2 of 102 questions have no score",
        "unparsed: 2",
        "abcd",
        "40 of 40 told right from wrong: valid; injected 20 of 20",
        "…: no audio file",
        "80 % on the diagonal of 35, 97 % at most one class away.",
        "2.3 semitones",
    ):
        assert part in text, part


def test_every_picture_player_and_table_has_a_name(page_text):
    tags = Page(page_text).tags
    shown = [a for t, a in tags if t in ("svg", "audio")]
    assert len(shown) > 30 and all(a.get("aria-label") for a in shown)
    figures = [a for t, a in tags if t == "table" and "figures" in a.get("class", "")]
    assert len(figures) == len([t for t, _ in tags if t == "caption"]) > 5
    assert all(a.get("scope") in ("row", "col") for t, a in tags if t == "th")


def test_players_hold_the_recordings(page_text):
    first = re.search(r'src="data:audio/flac;base64,([^"]+)"', page_text).group(1)
    assert base64.b64decode(first)[:4] == b"fLaC"
    assert page_text.count("<audio") >= 18 + 5


def test_a_judge_that_fails_its_planted_answers_is_an_alarm(tmp_path):
    failed = {
        "kind": "injected",
        "question": "?",
        "reference": "low",
        "answer": ATTACK,
        "score": 1.0,
        "reason": "!",
    }
    judge = {
        "name": "endpoint",
        "planted": {"n": 40, "right": 22, "is_valid": False, "failed": [failed]},
    }
    page = write_report(make_evaluation(tmp_path / "out", judge=judge)).read_text(encoding="utf-8")
    alarm = re.search(r'<p class="alarm" role="alert">([^<]+)</p>', page).group(1)
    assert (
        "not valid" in alarm and "22 of 40" in alarm and page.index(alarm) < page.index("<section")
    )
    assert "Planted answers that the judge got wrong" in page and "<script" not in page
    assert "> **These figures are not valid." in (tmp_path / "out" / "report.md").read_text()


def test_missing_inputs_are_said(tmp_path):
    out = make_evaluation(tmp_path / "out", training={"stage1": str(tmp_path / "no")})
    page = Page(write_report(out).read_text(encoding="utf-8"))
    text = " ".join(page.texts)
    assert page.open == []
    for sentence in (
        "no readable metrics.jsonl",
        "The recording embedded_en_f00_0000 cannot be read.",
    ):
        assert sentence in text, sentence


def test_a_suite_of_many_tasks_and_one_without_figures(tmp_path):
    tasks = [
        make_cell(
            [float(i % 2), 1.0],
            system=s,
            suite="dynamic_superb",
            subset=f"Task_{i}",
            metric="exact_match",
        )
        for i in range(52)
        for s in ("model", "majority")
    ]
    whole = [
        make_cell([1.0], system="model", suite="dynamic_superb", metric="exact_match", facet=facet)
        for facet in ("", "dimension=content", "dimension=semantics")
    ]
    out = make_evaluation(
        tmp_path / "out",
        cells=[dataclasses.asdict(c) for c in [*tasks, *whole]],
        confusions=[],
        suites={"dynamic_superb": {"counts": {"items": 104, "scored": 104}}, "fleurs": {}},
    )
    page = Page(write_report(out).read_text(encoding="utf-8"))
    text = " ".join(page.texts)
    assert page.open == [] and "Task 51" in text and "By dimension" in text
    assert "There are no figures of FLEURS." in text and "no counts of this suite" in text


def test_a_folder_that_is_no_evaluation_says_what_to_do(tmp_path):
    with pytest.raises(EvaluationError, match="python -m sift_jax.evaluate"):
        write_report(tmp_path)
    (tmp_path / "results.json").write_text('{"evalsift": {}}')
    with pytest.raises(EvaluationError, match="format None, and format 1 is read; evaluate again"):
        write_report(tmp_path)
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(EvaluationError, match="is not JSON"):
        write_report(tmp_path)


def test_standing_names_what_lies_behind(tmp_path):
    cells = [
        make_cell([value], system=system, subset=subset)
        for subset in ("closed_ended", "closed_ended/word_align")
        for system, value in (("model", 0.2), ("majority", 0.3))
    ]
    cells += [
        make_cell([value], system=system, subset="open_ended", metric="judge_open")
        for system, value in (("model", 2.5), ("majority", 2.46))
    ]
    out = make_evaluation(tmp_path / "out", cells=[dataclasses.asdict(cell) for cell in cells])
    text = write_report(out).read_text(encoding="utf-8")
    assert "10.0 points worse than the majority-class baseline; ahead of it in no part." in text
    assert (
        "Open-ended: 0.0 points better than the majority-class baseline, which may be chance."
        in text
    )


@pytest.mark.parametrize(
    "parts, whole, sentence",
    [
        (
            ((0.5, 0.3), (0.6, 0.2)),
            (0.55, 0.25),
            "30.0 points better than the constant answer, and in each of its 2 parts.",
        ),
        (
            ((0.5, 0.6), (0.6, 0.2)),
            (0.55, 0.4),
            "15.0 points better than the constant answer, but not in Acoustic (−10.0).",
        ),
        (
            ((0.5, 0.2), (0.1, 0.9)),
            (0.3, 0.55),
            "25.0 points worse than the constant answer; ahead of it only in Acoustic (+30.0).",
        ),
        (
            ((0.5, 0.5), (0.1, 0.2)),
            (0.3, 0.3),
            "level with the constant answer; ahead of it in no part.",
        ),
        # a part whose questions all have one answer is neither ahead nor behind
        (
            ((0.5, 1.0), (0.1, 0.2)),
            (0.3, 0.6),
            "30.0 points worse than the constant answer; ahead of it in no part.",
        ),
        (
            ((0.5, 1.0), (0.1, 1.0)),
            (0.3, 1.0),
            "one constant answer is right for all questions, so that nobody can be ahead of it.",
        ),
    ],
)
def test_the_standing_is_a_sentence_that_follows(tmp_path, parts, whole, sentence):
    subsets = ("closed_ended/acoustic_level", "closed_ended/word_align", "closed_ended")
    cells = [
        {
            **dataclasses.asdict(make_cell([value], system=system, subset=subset)),
            "low": None,
            "high": None,
        }
        for subset, values in zip(subsets, (*parts, whole), strict=True)
        for system, value in zip(("model", "constant"), values, strict=True)
    ]
    out = make_evaluation(tmp_path / "out", cells=cells)
    text = " ".join(Page(write_report(out).read_text(encoding="utf-8")).texts)
    assert f"Closed-ended: {sentence}" in text


def test_a_kind_of_question_with_one_answer_is_told(tmp_path):
    cells = [
        make_cell([value], system=system, subset=subset, facet=facet)
        for subset, facet in (
            ("closed_ended", ""),
            ("closed_ended/content_level", ""),
            ("closed_ended/content_level", "kind=sentence_type"),
            ("closed_ended/content_level", "kind=gender"),
        )
        for system, value in (("model", 0.9), ("majority", 1.0 if "type" in facet else 0.4))
    ]
    out = make_evaluation(tmp_path / "out", cells=[dataclasses.asdict(cell) for cell in cells])
    write_report(out)
    rows = [
        line
        for line in (out / "report.md").read_text().splitlines()
        if line.startswith("| Sentence type")
    ]
    assert len(rows) == 1 and "100.0 % (all have one answer)" in rows[0]


def test_metrics_merge_by_step_and_pass_over_a_torn_line(tmp_path):
    lines = [
        '{"step": 20, "loss": 2.0}',
        '{"step": 10, "loss": 3.0}',
        '{"step": 20, "dev_loss": 1.5}',
        '{"step": 3',
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert read_metrics(tmp_path) == [
        {"step": 10, "loss": 3.0},
        {"step": 20, "loss": 2.0, "dev_loss": 1.5},
    ]


def test_labels_run_from_low_to_high():
    assert order_labels("average_pitch", {"en": dict.fromkeys(reversed(PITCHES), 1)}) == list(
        PITCHES
    )
    noise = (
        "very noisy",
        "noisy",
        "slightly noisy",
        "balanced in clarity",
        "slightly clean",
        "clean",
        "very clean",
    )
    assert order_labels("noise_level", {"en": dict.fromkeys(sorted(noise), 1)}) == list(noise)
    assert order_labels("gender", {"en": {"male": 1}, "de": {"male": 1, "female": 3}}) == [
        "female",
        "male",
    ]


def test_near_misses_count_where_classes_stand_on_a_scale():
    counts = [[5, 1, 0, 0], [0, 2, 2, 0], [1, 0, 4, 5]]
    assert describe_hits(("softly", "moderate volume", "loudly"), counts) == (
        "55 % on the diagonal of 20, 70 % at most one class away."
    )
    assert describe_hits(("cat", "dog", "cow"), counts) == "55 % on the diagonal of 20."


def test_figures_are_written_by_their_kind():
    wer, bleu, score = (find_metric(name) for name in ("wer", "bleu", "judge_open"))
    assert (wer.write(0.0624), bleu.write(33.333), score.write(7.85)) == ("6.2 %", "33.3", "7.8")
    assert wer.write_gap(0.05, 0.07) == "−2.0" and wer.write(None) == wer.write(float("nan")) == "–"
    assert (minus("-0.0"), minus("-0.05 %"), minus("a-b -3")) == ("0.0", "−0.05 %", "a-b −3")


def test_ticks_and_ramp():
    assert pick_ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert pick_ticks(-0.1, 0.9)[0] <= -0.1 and pick_ticks(-0.1, 0.9)[-1] >= 0.9
    for count in range(1, 10):
        assert len(set(pick_ramp(count))) == count


def test_a_flat_line_at_zero_can_be_drawn():
    assert "polyline" in draw_lines([Series(name="g", css="gain", points=[(0, 0.0)])], label="gain")


def test_summary_is_a_table_of_all_systems(out):
    results = json.loads((out / "results.json").read_text())
    lines = format_summary(results).splitlines()
    assert len(set(map(len, lines[:9]))) == 1
    value = next(
        c["value"] for c in results["cells"] if c["subset"] == "closed_ended" and not c["language"]
    )
    assert any(
        x.startswith("  Closed-ended, Judged right") and f"{100 * value:.1f} %" in x for x in lines
    )
    assert any("+0.90 nats" in x for x in lines) and any("3.8 min" in x for x in lines)
    assert "no figures yet" in format_summary({})


def test_a_suite_of_one_part_is_one_row():
    cells = [
        make_cell([1.0], system="model", suite="fleurs", metric="wer", **place)
        for place in (
            {"subset": "test"},
            {"subset": "test", "language": "de"},
            {},
            {"language": "de"},
        )
    ]
    assert Board(cells).places("fleurs") == [Place(subset="", metric="wer")]
    assert Board(cells[:2]).places("fleurs") == [Place(subset="test", metric="wer")]


def test_facets_that_split_are_shown_and_those_of_a_scale_in_its_order(tmp_path):
    def cell(facet, value, system="model"):
        return dataclasses.asdict(
            make_cell([value], system=system, subset="closed_ended/acoustic_level", facet=facet)
        )

    cells = [
        cell("", 0.5),
        cell("room=hall", 0.5),
        *(cell(f"average_pitch={label}", 0.5) for label in PITCHES[::-1]),
        cell("kind=a", 0.1),
        cell("kind=b", 0.2),
    ]
    # what its parts have, a sum has not
    cells += [{**c, "subset": "closed_ended"} for c in cells[-2:]] + [
        {**cells[0], "subset": "closed_ended"}
    ]
    text = write_report(make_evaluation(tmp_path / "out", cells=cells)).read_text(encoding="utf-8")
    assert (
        "hall" not in text and "By kind: Acoustic" in text and "By kind: Closed-ended" not in text
    )
    table = text[text.index("By average pitch: Acoustic") :]
    places = [table.index(label[1:]) for label in PITCHES]
    assert places == sorted(places)


def test_languages_are_a_table(page_text):
    rows = [[" ".join(cell) for cell in row] for row in Page(page_text).rows]
    assert {name_title(x) for x in LANGUAGES} <= {row[0] for row in rows if row and len(row) == 7}


def test_a_page_says_that_a_limit_made_a_sample(tmp_path):
    counts = {
        "items": 100,
        "set_aside": 3,
        "left_out": 9900,
        "answered": 100,
        "empty": 7,
        "scored": 100,
    }
    out = make_evaluation(
        tmp_path / "out", suites={"evalsift": {"counts": counts, "set_aside": []}}
    )
    write_report(out)
    written = (out / "report.md").read_text()
    assert "EvalSIFT: a limit leaves out 9,900 questions." in written
    assert ["EvalSIFT", "9,900", "3", "100", "100", "7", "100"] in [
        [" ".join(cell) for cell in row] for row in list_markdown_rows(written)
    ]
