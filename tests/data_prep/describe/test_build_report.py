"""The card that the hub reads, and the page with figures and sound."""

import json
import re
import shutil

import pytest
import yaml

from data_prep.describe.card import make_card
from data_prep.describe.count_rows import survey_files
from data_prep.describe.html_charts import make_stacks
from data_prep.describe.page import Recordings, make_page
from data_prep.describe.paper import PAPER_ROWS, share_rows
from data_prep.report import describe_files, main
from sift_jax.sift.rows import CATEGORIES, SPLITS, list_files

REPORT = {
    "labels": {"noise_level": {"en": {"very noisy": 3, "clean": 1}}},
    "durations": {"en": {"hours": 0.25, "histogram": {"edges": [0.0, 0.5, 1.0], "counts": [1, 3]}}},
    "speakers": {"train": ["a", "b"]},
    "sentences": {"train": 4},
    "utterances": {"train": {"en": 4}},
    "in_doubt": {"en": {"pitch_variation": 17}},
    "rank_correlation": {"noise_level": {"rho": 0.97, "n": 4}},
    "accounts": {
        "decode": {"unit": "recordings", "in": 5, "out": 4, "rejected": {"too long <script>": 1}}
    },
}


def make_report(survey):
    return {**REPORT, "counts": survey.counts, "sources": survey.sources}


def read_front(card):
    return yaml.safe_load(re.fullmatch(r"---\n(.*?)---\n.*", card, re.DOTALL)[1])


def test_the_survey_counts_every_row(corpus):
    survey = survey_files(corpus.sift)
    assert survey.counts["train"]["open_ended"] == {"de": 6, "en": 6} and list(
        survey.counts
    ) == list(SPLITS)
    assert survey.sources["EvalSIFT"]["closed_ended/acoustic_level"] == {
        "embedded_de": 4,
        "embedded_en": 4,
    }
    assert set(survey.samples) == {
        (category, language) for category in CATEGORIES for language in ("de", "en")
    }
    assert all("evalsift" in row["id"] for row in survey.samples.values())
    assert survey_files(corpus.sift).samples == survey.samples


def test_the_card_names_files_that_are_there(corpus):
    card = make_card("tiny", make_report(survey_files(corpus.sift)))
    front = read_front(card)
    assert front["language"] == ["en", "de"] and front["size_categories"] == ["n<1K"]
    globs = [entry["path"] for config in front["configs"] for entry in config["data_files"]]
    found = sorted(path for glob in globs for path in corpus.root.glob(glob))
    assert found == sorted(path for split in SPLITS for path in list_files(corpus.sift, split))
    names = [entry["split"] for entry in front["configs"][0]["data_files"]]
    assert names == ["train", "validation", "EvalSIFT"]


def test_a_category_without_rows_is_not_offered(corpus):
    survey = survey_files(corpus.sift)
    survey.counts["train"]["open_ended"] = {"de": 0, "en": 0}
    for split in SPLITS:
        survey.counts[split]["closed_ended/word_align"] = {"de": 0}
    configs = {
        entry["config_name"]: [file["split"] for file in entry["data_files"]]
        for entry in read_front(make_card("tiny", make_report(survey)))["configs"]
    }
    assert (
        configs["open_ended"] == ["validation", "EvalSIFT"]
        and "closed_ended_word_align" not in configs
    )


def test_the_columns_of_the_card_are_those_of_the_files(corpus):
    from pyarrow import json as arrow_json

    info = read_front(make_card("tiny", make_report(survey_files(corpus.sift))))["dataset_info"]
    columns = {feature["name"]: feature for feature in info[0]["features"]}
    assert [entry["config_name"] for entry in info] == [
        category.replace("/", "_") for category in CATEGORIES
    ]
    for path in list_files(corpus.sift, "train"):
        schema = arrow_json.read_json(path).schema
        assert schema.names == list(columns)
        message = schema.field("messages").type.value_type
        assert {field.name for field in message} == {
            entry["name"] for entry in columns["messages"]["list"]
        }
        parts = message.field("content").type.value_type
        assert {field.name for field in parts} <= {
            entry["name"] for entry in columns["messages"]["list"][1]["list"]
        }


def test_names_of_anybodys_are_text_in_the_card(corpus):
    survey = survey_files(corpus.sift)
    survey.sources["train"]["open_ended"] = {
        "<script>alert(1)</script>_en": 6,
        "[x](javascript:alert(2))_de": 6,
    }
    card = make_card("<img src=x onerror=alert(3)>", make_report(survey))
    assert "<script>" not in card and r"\](javascript" in card and "\n# <img" not in card
    assert read_front(card)["pretty_name"] == "<img src=x onerror=alert(3)>"


def test_the_card_sets_the_rows_beside_the_papers(corpus):
    card = make_card("tiny", make_report(survey_files(corpus.sift)))
    assert "| open_ended | 12 | 4,300,000 | 6 | 100,000 | 4 | 10,000 |" in card
    assert "about 0.2 hours of recordings" in card
    assert "| decode, recordings | 5 | 4 | too long &lt;script&gt; 1 |" in card
    assert "synthesized for this dataset" in card and "Common Voice" not in card


def test_the_page_can_be_listened_to_and_runs_nothing(corpus, tmp_path):
    survey = survey_files(corpus.sift)
    (tmp_path / "rejected.jsonl").write_text(
        json.dumps(
            {
                "stage": "decode",
                "reason": "too long",
                "detail": "<img onerror=x>",
                "id": "u9",
                "file": "a.wav",
                "line": 3,
            }
        )
    )
    page = make_page(
        "<tiny>",
        make_report(survey),
        survey.samples,
        tmp_path / "rejected.jsonl",
        Recordings(lambda name: corpus.audio / f"{name}.flac"),
    )
    assert page.count("<audio ") == sum(
        2 if "comparison" in category else 1 for category, _ in survey.samples
    )
    assert (
        "<script" not in page
        and "<img" not in page
        and "&lt;tiny&gt;" in page
        and "a.wav:3" in page
    )
    # 84 rows of training, of which the paper would have 17.8 of 55.6 about acoustics
    for text in (
        "17,800,000",
        "<td>27</td>",
        "embedded_de",
        "Labels",
        "Durations",
        "0.970",
        "pitch variation</th><td>17</td>",
        "too long",
    ):
        assert text in page


def test_audio_stays_within_its_budget(corpus):
    survey = survey_files(corpus.sift)
    size = max(path.stat().st_size for path in corpus.audio.iterdir())
    players = Recordings(lambda name: corpus.audio / f"{name}.flac", budget=3 * size)
    page = make_page("tiny", make_report(survey), survey.samples, corpus.root / "none", players)
    assert 0 < page.count("<audio ") <= 6 and "is left out to keep the page small" in page
    assert "Nothing was skipped" not in page and len(page) < 4 * size + 100_000


def test_labels_beyond_ten_are_drawn_as_one():
    page = make_stacks("accent", {"en": {f"accent {n}": n + 1 for n in range(20)}})
    assert (
        page.count("<i ") == 10
        and "others" in page
        and "accent 19" in page
        and "accent 3<" not in page
    )


def test_shares_of_the_paper_add_up():
    shares = share_rows({category: rows["train"] for category, rows in PAPER_ROWS.items()})
    assert (
        sum(shares.values()) == pytest.approx(1)
        and max(shares, key=shares.get) == "closed_ended/acoustic_level"
    )
    assert set(share_rows({}).values()) == {0.0}


def test_any_sift_files_are_described(corpus, tmp_path, capsys):
    shutil.copytree(corpus.sift, tmp_path / "rows/sift")
    main(
        [
            f"--sift={tmp_path / 'rows/sift'}",
            f"--out={tmp_path}",
            f"--audio={corpus.audio}",
            "--name=any",
        ]
    )
    assert "page" in capsys.readouterr().out
    card = (tmp_path / "README.md").read_text()
    assert "# any\n" in card and "path: rows/sift/train/open_ended/*/split*.jsonl" in card
    assert "<audio " in (tmp_path / "report.html").read_text()


def test_a_split_is_loaded_from_where_it_is(corpus, tmp_path):
    shutil.copytree(corpus.sift, tmp_path / "sift")
    dev = tmp_path / "sift/dev"
    shutil.copytree(dev / "open_ended", tmp_path / "sift/validation/open_ended")
    for is_both in (True, False):
        describe_files(tmp_path / "sift", tmp_path, [], "x")
        (config,) = (
            config
            for config in read_front((tmp_path / "README.md").read_text())["configs"]
            if config["config_name"] == "open_ended"
        )
        (paths,) = (
            entry["path"] for entry in config["data_files"] if entry["split"] == "validation"
        )
        expected = [f"sift/{name}/open_ended/*/split*.jsonl" for name in ("dev", "validation")]
        assert paths == (expected if is_both else expected[1])
        shutil.rmtree(dev, ignore_errors=True)


def test_wrong_folders_are_one_line(corpus, tmp_path):
    with pytest.raises(ValueError, match="is not below --out="):
        describe_files(corpus.sift, tmp_path, [], "x")
    for flags in ([], ["--sift=/none", "--out=/none"], ["--build=/none"]):
        with pytest.raises(SystemExit) as stop:
            main(flags)
        assert stop.value.code == 2
        assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
