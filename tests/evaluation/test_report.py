"""The report page and the summary, from inputs shaped like a run's.

    make_corpus, make_results, make_predictions, make_stage ─► write_report ─► the page, parsed and searched
"""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sift_jax.evaluation.report import format_summary, write_report
from sift_jax.evaluation.report_charts import Series, draw_lines, measure_interval, pick_ramp, pick_ticks
from sift_jax.evaluation.report_corpus import order_labels
from sift_jax.evaluation.report_samples import AudioShelf, choose_samples, name_outcome
from sift_jax.evaluation.report_sections import read_metrics

LANGUAGES = ("en", "de", "fr", "it", "es")
KINDS = {
    "acoustic_level": ("average_pitch", "pitch_variation", "speaking_rate", "average_intensity", "noise_level"),
    "content_level": ("gender", "age_category", "accent", "first_word", "language"),
    "word_align": ("loudest_word", "highest_word", "pitch_change"),
    "comparison": ("average_pitch", "speaking_rate", "noise_level", "reverberation"),
}
PITCHES = ("very low pitch", "quite low pitch", "slightly low pitch", "moderate pitch", "slightly high pitch",
           "quite high pitch", "very high pitch")
VOIDS = {"meta"}


def make_corpus(folder: Path, rng: np.random.Generator) -> Path:
    """A data folder of ten short utterances and a report.json of a larger corpus."""
    (folder / "audio").mkdir(parents=True)
    lines = []
    for i, lang in enumerate(LANGUAGES * 2):
        name = f"embedded_{lang}_f0{i // 5}_{i:04d}"
        t = np.arange(20_000 + 4_000 * i) / 16_000
        wave = 0.4 * np.sin(2 * np.pi * (140 + 20 * i) * t) * np.abs(np.sin(2.4 * t))
        wave += 0.003 * rng.standard_normal(t.size)
        soundfile.write(folder / "audio" / f"{name}.flac", wave, 16_000)
        lines.append(json.dumps({
            "id": name, "language": lang, "split": "EvalSIFT", "speaker": f"{lang}_f0{i // 5}", "gender": "female",
            "age_category": "forties", "accent": "Scottish accent",
            "transcript": "The rain came early & stayed <late>.",
            "values": {"average_pitch": 187.2, "speaking_rate": 13.2, "average_intensity": -24.2, "noise_level": 31.0},
            "labels": {"average_pitch": "slightly low pitch", "speaking_rate": "moderate speed",
                       "average_intensity": "moderate volume", "noise_level": "slightly noisy"}}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    edges = np.linspace(1, 9, 17)
    categories = {"train": 700, "dev": 60, "EvalSIFT": 60}
    names = [f"closed_ended/{c}" for c in KINDS] + ["open_ended", "controllable_generation"]
    corpus = {
        "counts": {s: {c: {x: int(n * rng.uniform(.8, 1.2)) for x in LANGUAGES} for c in names}
                   for s, n in categories.items()},
        "labels": {
            "average_pitch": {x: {p: int(rng.uniform(90, 160)) for p in reversed(PITCHES)} for x in LANGUAGES},
            "average_intensity": {x: dict(zip(("loudly", "softly", "moderate volume"), (260, 240, 300), strict=True))
                                  for x in LANGUAGES},
            "gender": {x: {"female": 400, "male": 400} for x in LANGUAGES},
            "accent": {x: {f"accent {i} of {x}": 160 for i in range(5)} for x in LANGUAGES}},
        "durations": {x: {"hours": 0.72, "histogram": {
            "edges": list(edges), "counts": [int(200 * np.exp(-(e - 3.5) ** 2 / 3)) for e in edges[:-1]]}}
            for x in LANGUAGES},
        "rank_correlation": {"average_pitch": {"rho": 0.973, "n": 4000}, "speaking_rate": {"rho": 0.91, "n": 4000},
                             "noise_level": {"rho": 0.95, "n": 4000}, "reverberation": {"rho": -0.2, "n": 4000}},
        "speakers": {"train": ["en_f01", "en_m02"], "dev": ["en_f07"], "EvalSIFT": ["en_f09"]},
        "sentences": {"train": 620, "dev": 65, "EvalSIFT": 70},
        "examples": [json.loads(line)["id"] for line in lines[:5]]}
    (folder / "report.json").write_text(json.dumps(corpus), encoding="utf-8")
    return folder


def make_entry(rng: np.random.Generator, accuracy: float, n: int) -> dict:
    noise = rng.uniform(-.08, .08)
    return {"accuracy": accuracy + noise, "majority": .31 + noise / 2, "untrained": .01, "n": n}


def make_results(rng: np.random.Generator) -> dict:
    closed = {}
    for (name, kinds), accuracy in zip(KINDS.items(), (.64, .58, .42, .71), strict=True):
        closed[name] = {**make_entry(rng, accuracy, 300),
                        "languages": {x: make_entry(rng, accuracy, 60) for x in LANGUAGES},
                        "kinds": {k: make_entry(rng, accuracy, 300 // len(kinds)) for k in kinds}}
    closed["mean"] = {"accuracy": .587, "majority": .312, "untrained": .012, "n": 1200}
    opened = {"score": 6.1, "majority": 3.0, "untrained": 0.0, "n": 150}
    return {"audio_gain": 0.9, "checkpoint": "runs/quickstart/stage2", "step": 900,
            "parameters": {"encoder": 1_200_000, "decoder": 2_900_000, "total": 4_150_000},
            "seconds": {"data": 140.2, "stage1": 161.0, "stage2": 288.0, "evaluate": 64.0},
            "evalsift": {"closed_ended": closed, "open_ended": {**opened, "languages": {
                x: {**opened, "n": 30} for x in LANGUAGES}}}}


def make_predictions(rng: np.random.Generator, data_dir: Path) -> list[dict]:
    ids = sorted(path.stem for path in (data_dir / "audio").iterdir())
    made = []
    for category in (*KINDS, "open_ended"):
        for i in range(40):
            name = ids[i % len(ids)]
            heard = [name, ids[(i + 2) % len(ids)]] if category == "comparison" else [name]
            is_open = category == "open_ended"
            made.append({
                "id": f"{category}_{i}", "category": category, "language": name.split("_")[1], "audio": heard,
                "question": "How high is the voice of the person who speaks in this recording?",
                "reference": "The speaker has a slightly low pitch.",
                "answer": "The speaker has a <script>alert(1)</script> moderate pitch.",
                "untrained": "", "majority": "The speaker has a moderate pitch.",
                "is_correct": None if is_open else bool(rng.random() < .8), "score": 7.0 if is_open else None})
    return made


def make_stage(folder: Path, rng: np.random.Generator, steps: int) -> Path:
    folder.mkdir(parents=True)
    lines = []
    for step in range(20, steps + 1, 10):
        loss = .9 + 5 * np.exp(-step / 90) + .12 * rng.standard_normal()
        lines.append({"step": step, "loss": loss, "tokens_per_second": 9000, "token_efficiency": .93, "seconds": 1.0})
        if step % 100 == 0:
            lines.append({"step": step, "dev_loss": loss + .1, "audio_gain": 1.1 - 1.2 * np.exp(-step / 300)})
    text = "\n".join(json.dumps(line) for line in lines) + '\n{"step": 9999, "lo'
    (folder / "metrics.jsonl").write_text(text, encoding="utf-8")
    return folder


class Page(HTMLParser):
    """Collects tags, attributes and text, and checks that what opens closes."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOIDS:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def make_report(folder: Path) -> Path:
    rng = np.random.default_rng(3)
    data_dir = make_corpus(folder / "data", rng)
    stages = {"stage1": make_stage(folder / "stage1", rng, 400), "stage2": make_stage(folder / "stage2", rng, 900)}
    return write_report(folder / "report.html", data_dir=data_dir, train_dirs=stages, results=make_results(rng),
                        predictions=make_predictions(rng, data_dir))


@pytest.fixture(scope="module")
def page_text(tmp_path_factory) -> str:
    return make_report(tmp_path_factory.mktemp("run")).read_text(encoding="utf-8")


def test_page_is_well_formed_and_self_contained(page_text):
    page = Page(page_text)
    assert page.open == []
    assert not [t for t, _ in page.tags if t in ("script", "link", "iframe", "img")]
    for tag, attrs in page.tags:
        for key in ("src", "href"):
            assert attrs.get(key, "#").startswith(("#", "data:")), (tag, attrs[key][:60])
    assert "url(" not in page_text and "@import" not in page_text
    assert len(page_text) < 6_000_000


def test_texts_of_models_are_escaped(page_text):
    assert "<script" not in page_text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page_text
    assert "The rain came early &amp; stayed &lt;late&gt;." in page_text


def test_figures_stand_on_the_page(page_text):
    text = " ".join(Page(page_text).texts)
    for figure in ("58.7 ", "+27.5 points", "31.2 %", "1,200", "+0.90 ", "3.6 ", "10.9 ", "0.973", "6.1",
                   "4,150,000", "No voice of training is heard in Dev or EvalSIFT."):
        assert figure in text, figure


def test_every_picture_and_player_has_a_label(page_text):
    tags = Page(page_text).tags
    shown = [a for t, a in tags if t in ("svg", "audio")]
    assert len(shown) > 30
    assert all(a.get("aria-label") for a in shown)


def test_players_hold_the_recordings(page_text):
    first = re.search(r'src="data:audio/flac;base64,([^"]+)"', page_text).group(1)
    assert base64.b64decode(first)[:4] == b"fLaC"
    assert page_text.count("<audio") >= 12 + 5


def test_twelve_samples_mix_categories_languages_and_outcomes(tmp_path):
    rng = np.random.default_rng(0)
    predictions = make_predictions(rng, make_corpus(tmp_path / "data", rng))
    chosen = choose_samples(predictions)
    assert len(chosen) == 12
    assert {p["category"] for p in chosen} == {*KINDS, "open_ended"}
    assert {p["language"] for p in chosen} == set(LANGUAGES)
    assert {name_outcome(p) for p in chosen} == {"right", "wrong", "scored"}
    assert chosen == choose_samples(list(reversed(predictions)))


def test_missing_inputs_are_said(tmp_path):
    (tmp_path / "stage1").mkdir()
    predictions = [{"id": "a", "category": "comparison", "language": "en", "question": "?", "reference": "r",
                    "answer": "", "is_correct": False, "audio": ["gone"]}]
    path = write_report(tmp_path / "out" / "r.html", data_dir=tmp_path / "no", results={}, predictions=predictions,
                        train_dirs={"stage1": tmp_path / "stage1"})
    page = Page(path.read_text(encoding="utf-8"))
    text = " ".join(page.texts)
    assert page.open == []
    for sentence in ("no readable report.json", "no readable metrics.jsonl", "no EvalSIFT results",
                     "The recording gone cannot be read"):
        assert sentence in text, sentence


def test_verdict_names_what_lies_behind(tmp_path):
    entry = {"accuracy": .2, "majority": .3, "untrained": 0.0, "n": 10}
    results = {"evalsift": {"closed_ended": {"word_align": entry, "mean": entry}}}
    path = write_report(tmp_path / "r.html", data_dir=tmp_path, train_dirs={}, results=results, predictions=[])
    assert "It does not beat it in Word level (−10)." in path.read_text(encoding="utf-8")


def test_recordings_stop_at_the_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(AudioShelf.__init__, "__defaults__", (10,))
    text = make_report(tmp_path).read_text(encoding="utf-8")
    assert "<audio" not in text and "is left out to keep the page small" in text


def test_metrics_merge_by_step_and_pass_over_a_torn_line(tmp_path):
    lines = ['{"step": 20, "loss": 2.0}', '{"step": 10, "loss": 3.0}', '{"step": 20, "dev_loss": 1.5}', '{"step": 3']
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert read_metrics(tmp_path) == [{"step": 10, "loss": 3.0}, {"step": 20, "loss": 2.0, "dev_loss": 1.5}]


def test_labels_run_from_low_to_high():
    assert order_labels("average_pitch", {"en": dict.fromkeys(reversed(PITCHES), 1)}) == list(PITCHES)
    noise = ("very noisy", "noisy", "slightly noisy", "balanced in clarity", "slightly clean", "clean", "very clean")
    assert order_labels("noise_level", {"en": dict.fromkeys(sorted(noise), 1)}) == list(noise)
    assert order_labels("gender", {"en": {"male": 1}, "de": {"male": 1, "female": 3}}) == ["female", "male"]


def test_ticks_interval_and_ramp():
    assert pick_ticks(0, 1) == [0, .2, .4, .6, .8, 1]
    assert pick_ticks(-.1, .9)[0] <= -.1 and pick_ticks(-.1, .9)[-1] >= .9
    low, high = measure_interval(.5, 100)
    assert low == pytest.approx(.4038, abs=1e-3) and high == pytest.approx(.5962, abs=1e-3)
    for count in range(1, 10):
        assert len(set(pick_ramp(count))) == count


def test_a_flat_line_at_zero_can_be_drawn():
    assert "polyline" in draw_lines([Series(name="g", css="gain", points=[(0, 0.0)])], label="gain")


def test_summary_is_a_table_of_the_headline():
    lines = format_summary(make_results(np.random.default_rng(1))).splitlines()
    assert len(set(map(len, lines[:8]))) == 1
    assert any(x.startswith("Mean of four") and "58.7 %" in x and "31.2 %" in x and "1,200" in x for x in lines)
    assert any(x.startswith("Open-ended, of 10") and "6.1" in x for x in lines)
    assert any("+0.90 nats" in x for x in lines) and any("10.9 min" in x for x in lines)
    assert "no results yet" in format_summary({})
