"""From a build to figures by the commands: a speaker that obeys, one that is deaf, the recordings
themselves."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from obedient_speaker import speak_all

from data_prep.generation import measure_speech
from data_prep.generation.__main__ import main
from data_prep.generation.classify import read_build_bins
from data_prep.generation.report import MISSING
from data_prep.generation.requests import MEASURED, read_items
from data_prep.instructions.templates import SPEECH_KEYS
from sift_jax.sift.labels import LABELS


@pytest.fixture(scope="module")
def work(built, tmp_path_factory):
    """Items of English, and what an obedient and a deaf speaker make of them."""
    out = tmp_path_factory.mktemp("work")
    bins = read_build_bins(built)
    main(["items", f"--build={built}", f"--out={out}/items.jsonl", "--languages=en"])
    main(["items", f"--build={built}", f"--out={out}/untold.jsonl", "--languages=en", "--untold"])
    main(["resynthesize", f"--items={out}/items.jsonl", f"--build={built}", f"--out={out}/true"])
    speak_all(read_items(out / "items.jsonl"), bins, out / "obedient", samples=2)
    speak_all(read_items(out / "untold.jsonl"), {}, out / "deaf", tries=1)
    return out


def run_score(work, built, name, *flags):
    main(
        [
            "score",
            f"--spoken={work / name}",
            f"--build={built}",
            f"--out={work / 'figures' / name}",
            "--workers=1",
            "--resamples=100",
            *flags,
        ]
    )
    return json.loads((work / "figures" / name / "results.json").read_text())


def pick(results, system, metric="qwk", language="en"):
    return {
        cell["key"]: cell
        for cell in results["cells"]
        if (cell["system"], cell["metric"], cell["language"]) == (system, metric, language)
    }


def test_who_obeys_scores_one_and_who_is_deaf_nothing(work, built, capsys):
    results = run_score(
        work, built, "obedient", f"--floor={work / 'deaf'}", f"--recordings={work / 'true'}"
    )
    shown = capsys.readouterr().out
    obedient, deaf, true = (pick(results, system) for system in ("model", "untold", "recordings"))
    for key in SPEECH_KEYS:
        assert obedient[key]["value"] > 0.97, key
        assert true[key]["value"] > 0.8, key
        assert deaf[key]["value"] < 0.6, key
        assert (
            pick(results, "constant")[key]["value"] == 0
            and abs(pick(results, "permuted")[key]["value"]) < 0.2
        )
    # by the pitch that was asked for: the recordings' class is the one in the metadata
    assert (
        true["average_intensity"]["value"] == 1.0
        and pick(results, "model", "mae")["speaking_rate"]["value"] < 0.1
    )
    assert len(obedient["speaking_rate"]["runs"]) == 2 and obedient["speaking_rate"]["std"] == 0.0
    assert results["systems"]["model"]["asked_not_measured"].keys() <= {"age_category", "accent"}
    assert "speaking rate (7)" in shown and "0.24 / 0.73" in shown and "not told" in shown
    page = (work / "figures/obedient/report.html").read_text()
    assert (
        "0.65 / 0.46" in page
        and not re.search(r'(?:src|href)="(?!data:|#)', page)
        and "<script" not in page
    )
    assert "| speaking rate (7) |" in (work / "figures/obedient/report.md").read_text()
    measured = [
        json.loads(line)
        for line in (work / "figures/obedient/measured/model.jsonl").read_text().splitlines()
    ]
    assert len(measured) == 2 * results["systems"]["model"]["items"]
    assert measured[0]["labels"].keys() >= {"speaking_rate", "average_intensity"}


def test_what_is_measured_is_kept_until_a_recording_changes(work, built, monkeypatch):
    folder = work / "again"
    shutil.copytree(work / "deaf", folder)
    first = run_score(work, built, "again")

    def refuse(*_, **__):
        raise AssertionError("measured again")

    with monkeypatch.context() as patch:
        patch.setattr(measure_speech, "measure_line", refuse)
        assert run_score(work, built, "again")["cells"] == first["cells"]
    shutil.copy(folder / "1.wav", folder / "0.wav")
    run_score(work, built, "again")
    assert len(list((work / "figures/again/parts").iterdir())) == 1


def test_what_is_missing_is_counted_and_nothing_at_all_is_an_error(work, built):
    folder = work / "torn"
    shutil.copytree(work / "deaf", folder)
    (folder / "0.wav").unlink()
    (folder / "1.wav").write_bytes(b"")
    results = run_score(work, built, "torn")
    assert results["systems"]["model"]["nothing_measured"] == {"no audio file": 1, "empty file": 1}
    assert "no audio file" in (work / "figures/torn/report.html").read_text()
    for file in folder.glob("*.wav"):
        file.unlink()
    with pytest.raises(
        SystemExit, match=r"none of the 24 recordings that spoken.jsonl names is there"
    ):
        run_score(work, built, "torn")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["score", "--spoken={work}/deaf", "--languages=de"],
            "nothing is spoken in de; give other --languages",
        ),
        (
            ["score", "--spoken={work}/deaf", "--languages=xx"],
            "--languages: 'xx' is none of en, de",
        ),
        (
            ["score", "--spoken={work}/deaf", "--ceiling={work}/none"],
            "none/spoken.jsonl: cannot be read",
        ),
        (["score", "--spoken={work}/deaf", "--asr=siri"], "--asr=siri: no such recogniser"),
        (
            ["score", "--spoken={work}/deaf", "--asr=endpoint"],
            "needs --endpoint=<address with /v1> and --asr_model",
        ),
        (
            ["score", "--spoken={work}/deaf", "--gender_model={work}/none"],
            "is not a folder; fetch an audio classifier",
        ),
        (["page", "--spoken={work}/deaf"], "nothing of a sweep is spoken there"),
        (["items", "--languages=es"], "no controllable_generation rows of EvalSIFT in es"),
        (["items", "--limit=0"], "--limit=0 leaves nothing"),
        (["resynthesize", "--items={work}/swept.jsonl"], "not that of a sweep"),
        (
            ["resynthesize", "--items={work}/items.jsonl", "--codec={work}/none"],
            "no codec.json there",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(work, built, flags, message):
    main(["items", f"--build={built}", f"--out={work}/swept.jsonl", "--sweep", "--languages=en"])
    with pytest.raises(SystemExit, match=re.escape(message)) as error:
        main([*(flag.format(work=work) for flag in flags), f"--build={built}", f"--out={work}/out"])
    assert str(error.value).startswith("error: ") and "\n" not in str(error.value)


def test_a_build_without_the_language_has_no_say(work, built, tmp_path):
    lines = (built / "metadata.jsonl").read_text().splitlines()
    german = [line for line in lines if json.loads(line)["language"] == "de"]
    (tmp_path / "metadata.jsonl").write_text("\n".join(german) + "\n")
    shutil.copy(built / "bins.json", tmp_path)
    with pytest.raises(SystemExit, match="has no recording in en"):
        run_score(work, tmp_path, "deaf")


def test_the_page_has_a_player_for_each_class(work, built):
    main(["items", f"--build={built}", f"--out={work}/sweep.jsonl", "--sweep", "--languages=en"])
    speak_all(read_items(work / "sweep.jsonl"), read_build_bins(built), work / "swept", tries=5)
    (work / "swept" / "3.wav").unlink()
    main(
        [
            "page",
            f"--spoken={work / 'swept'}",
            f"--build={built}",
            f"--out={work}/page/index.html",
            "--workers=1",
        ]
    )
    page, count = (work / "page/index.html").read_text(), sum(len(LABELS[key]) for key in MEASURED)
    assert page.count("<audio") == count - 1 and page.count('class="recording"') == count - 1
    assert page.count('class="staircase"') == 4 and page.count("not measured: no audio file") == 1
    assert page.count("✓") > 0.8 * count and not re.search(r'(?:src|href)="(?!data:|#)', page)


def test_what_makes_figures_doubtful_is_said(work, built, capsys):
    lines = [json.loads(line) for line in (work / "deaf/spoken.jsonl").read_text().splitlines()]
    for name, units, count in (("fast", 100, len(lines)), ("few", 50, 5)):
        shutil.copytree(work / "deaf", work / name)
        told = [json.dumps({**line, "units": units, "ended": count > 5}) for line in lines[:count]]
        (work / name / "spoken.jsonl").write_text("\n".join(told) + "\n")
    run_score(work, built, "fast", f"--ceiling={work / 'few'}")
    shown = capsys.readouterr().out
    assert "stopped at the limit" in shown
    assert "warning: ceiling: has 5 of the 24 items" in shown and "was it another codec?" in shown
    assert "was it another codec?" in (work / "figures/fast/report.html").read_text()


def test_items_of_which_nothing_can_be_heard_are_refused(work, built, tmp_path):
    line = json.loads((work / "deaf/spoken.jsonl").read_text().splitlines()[0])
    (tmp_path / "spoken.jsonl").write_text(
        json.dumps({**line, "asked": {"age_category": "forties"}}) + "\n"
    )
    shutil.copy(work / "deaf" / line["audio"], tmp_path)
    with pytest.raises(
        SystemExit, match="no item asks for average_pitch, .*gender, and no --asr hears the words"
    ):
        main(
            [
                "score",
                f"--spoken={tmp_path}",
                f"--build={built}",
                f"--out={tmp_path}/out",
                "--workers=1",
            ]
        )


@pytest.mark.parity
def test_a_classifier_may_tell_the_gender(work, built, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "metadata"))
    from test_gender import write_classifier

    folder = write_classifier(work / "classifier")
    results = run_score(work, built, "deaf", f"--gender_model={folder}")
    assert results["settings"]["gender"] == str(folder)
    rows = [
        json.loads(line)
        for file in (work / "figures/deaf/parts").rglob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    assert len(rows) == 24 and all(0 < row["female_share"] < 1 for row in rows)


@pytest.mark.slow
def test_the_ceiling_through_a_codec_is_below_the_recordings(work, built):
    from sift_jax.units.__main__ import main as units

    arguments, sys.argv = (
        sys.argv,
        [
            "units",
            "fit",
            f"--audio={built}/metadata.jsonl",
            f"--out={work}/codec",
            "--tones=64",
            "--sounds=128",
        ],
    )
    try:
        units()
    finally:
        sys.argv = arguments
    main(
        [
            "resynthesize",
            f"--items={work}/items.jsonl",
            f"--codec={work}/codec",
            f"--build={built}",
            f"--out={work}/ceiling",
        ]
    )
    results = run_score(
        work, built, "obedient", f"--ceiling={work / 'ceiling'}", f"--recordings={work / 'true'}"
    )
    ceiling, true = pick(results, "ceiling"), pick(results, "recordings")
    assert all(ceiling[key]["value"] > 0.4 for key in ("speaking_rate", "average_intensity"))
    assert sum(ceiling[key]["value"] for key in SPEECH_KEYS) < sum(
        true[key]["value"] for key in SPEECH_KEYS
    )
    assert (
        MISSING
        not in (work / "figures/obedient/report.md")
        .read_text()
        .split("speaking rate")[1]
        .split("\n")[0]
    )
