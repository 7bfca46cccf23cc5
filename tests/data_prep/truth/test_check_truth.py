"""The share of untrue rows: below a hundredth of a sound build, seen where rows, labels or wording
are not true."""

import json
import shutil

import pytest

from data_prep.build import parse_arguments
from data_prep.check_truth import main
from data_prep.pipeline.build_stages import build
from data_prep.truth.tally import ALL, find_interval
from data_prep.truth.texts import Claim, read_claims
from sift_jax.sift.rows import list_files, read_rows, write_rows

BUILT = ("corpus", "words", "measure", "metadata", "instructions", "records", "report")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("truth") / "build"
    build(
        parse_arguments(
            [
                f"--out={out}",
                "--languages=en,it",
                "--train=60",
                "--dev=2",
                "--evaluation=10",
                "--evaluation_rows=20",
                "--workers=1",
                "--seed=3",
            ]
        ),
        BUILT,
    )
    return out


def check(build, tmp_path, *flags):
    """(0, or what is said of what was found, figures)"""
    try:
        main([f"--build={build}", f"--json={tmp_path / 'truth.json'}", *flags])
        status = 0
    except SystemExit as stop:
        status = str(stop)
        assert stop.code == 1
    return status, json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))


def test_a_build_says_next_to_nothing_untrue(built, tmp_path):
    status, found = check(built, tmp_path, "--rows=1500", "--clips=60")
    assert status == 0
    for name, least in (("as built", 800), ("as changed", 300)):
        kinds = found[name]["kinds"]
        assert (
            kinds[ALL]["checked"] >= least and kinds[ALL]["untrue"] / kinds[ALL]["checked"] <= 0.01
        )
        assert {
            "closed_ended/acoustic_level: noise_level",
            "closed_ended/acoustic_level: reverberation",
            "open_ended: place",
        } <= kinds.keys()
    # What nobody can tell from outside is counted.
    assert (
        found["as built"]["kinds"]["closed_ended/content_level: sentence_length"]["not checked"] > 0
    )
    assert any(name.startswith("noise_level by babble") for name in found["as changed"]["sources"])


def change(built, tmp_path, category, edit):
    """A copy of the build in which `edit` has rewritten each answer of a category."""
    copy = tmp_path / "copy"
    shutil.copytree(built, copy)
    for split in ("train", "dev", "EvalSIFT"):
        for path in list_files(copy / "sift", split, category, "en"):
            rows = list(read_rows(path))
            for row in rows:
                part = row["messages"][1]["content"][0]
                part["text"] = edit(part["text"])
            write_rows(path, rows)
    return copy


def test_rows_that_were_made_untrue_are_found(built, tmp_path):
    turned = {
        "very clean": "very noisy",
        "very noisy": "very clean",
        "clean": "noisy",
        "noisy": "clean",
    }

    def lie(text):
        words = sorted(turned, key=len, reverse=True)
        word = next((word for word in words if f" {word}" in text), None)
        return text.replace(f" {word}", f" {turned[word]}") if word else text

    copy = change(built, tmp_path, "closed_ended/acoustic_level", lie)
    status, found = check(copy, tmp_path, "--rows=1500", "--clips=0")
    row = found["as built"]["kinds"]["closed_ended/acoustic_level: noise_level"]
    assert row["untrue"] > 0.25 * row["checked"] and "of the rows as built are untrue" in status
    assert found["as built"]["examples"]["closed_ended/acoustic_level: noise_level"]


def test_a_swapped_gender_and_a_swapped_order_are_found(built, tmp_path):
    def swap(text):
        for a, b in (("first recording", "second recording"), ("female", "male"), ("woman", "man")):
            if a in text or b in text:
                return text.replace(a, "\0").replace(b, a).replace("\0", b)
        return text

    copy = change(built, tmp_path, "closed_ended/comparison", swap)
    for path in (copy / "sift").rglob("comparison/it"):
        shutil.rmtree(path)
    status, found = check(copy, tmp_path, "--rows=1500", "--clips=0", "--most=0.02")
    kinds = found["as built"]["kinds"]
    for kind in ("which noise_level", "which average_intensity"):
        row = kinds[f"closed_ended/comparison: {kind}"]
        assert row["untrue"] == row["checked"] > 0
    assert isinstance(status, str)


def test_absolute_wording_of_relative_classes_is_found(built, tmp_path):
    """As SIFT-50M words them: a seventh of any corpus is "very noisy"."""
    out = tmp_path / "paper"
    shutil.copytree(built, out)
    build(
        parse_arguments(
            [
                f"--out={out}",
                "--languages=en,it",
                "--train=60",
                "--dev=2",
                "--evaluation=10",
                "--evaluation_rows=20",
                "--workers=1",
                "--seed=3",
                "--claims=paper",
            ]
        ),
        BUILT,
    )
    assert json.loads((out / "report.json").read_text())["claims"]["kind"] == "paper"
    status, found = check(out, tmp_path, "--rows=1500", "--clips=60")
    for name in ("as built", "as changed"):
        row = found[name]["kinds"]["closed_ended/acoustic_level: noise_level"]
        assert row["untrue"] > 0.2 * row["checked"]
    assert isinstance(status, str) and "untrue" in status


def test_of_nothing_that_could_be_checked_it_says_so(built, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(built, copy, ignore=shutil.ignore_patterns("audio"))
    lines = (copy / "utterances.jsonl").read_text(encoding="utf-8").splitlines()
    bare = [
        json.dumps(
            {
                **json.loads(line),
                "truth": {},
                "gender": None,
                "age_category": None,
                "accent": None,
                "topic": None,
                "words": [],
                "language": "en",
            }
        )
        for line in lines
    ]
    (copy / "utterances.jsonl").write_text("\n".join(bare) + "\n", encoding="utf-8")
    for path in [*(copy / "sift").rglob("closed_ended"), *(copy / "sift").rglob("open_ended")]:
        shutil.rmtree(path)
    status, _ = check(copy, tmp_path, "--rows=60", "--clips=0")
    assert "none could be checked" in status
    with pytest.raises(SystemExit, match="has none of the recordings"):
        main([f"--build={copy}", "--rows=0", "--clips=5"])


@pytest.mark.parametrize("flag", ["--most=1.5", "--rows=-1", "--most=-0.1"])
def test_bad_flags_are_refused(flag, capsys):
    with pytest.raises(SystemExit):
        main(["--build=x", flag])
    assert "--most is a share" in capsys.readouterr().err


def test_claims_are_read_from_the_words():
    def read(category, question, answer, language="en", transcript="…"):
        return [
            (claim.clip, claim.key, claim.labels)
            for claim in read_claims(category, language, question, answer, transcript)
        ]

    assert read(
        "closed_ended/acoustic_level", "Is the clip noisy?", "No, the clip is very clean."
    ) == [
        (0, "noise_level", ("very clean",)),
        (0, "verdict", ("true",)),
    ]
    assert read(
        "closed_ended/acoustic_level", "Is the clip very clean?", "No, the clip is very clean."
    )[1] == (
        0,
        "verdict",
        ("false",),
    )
    assert read(
        "closed_ended/comparison",
        "Here are two audio clips. Which recording is noisier?",
        "It is the second recording.",
    ) == [(0, "order of noise_level", ("low",))]
    assert read(
        "closed_ended/comparison",
        "Compare the speaking speed in the two clips.",
        "First, the speaker talks very slowly, then quite fast.",
    ) == [(0, "speaking_rate", ("very slowly",)), (1, "speaking_rate", ("quite fast",))]
    # The paper's own: praise of a distant microphone, and a reason that speaks against what it is
    # for.
    praise = read(
        "open_ended",
        "?",
        "The microphone is well placed: the voice in the clip is slightly distant-sounding.",
    )
    assert (0, "reverberation", ("slightly close-sounding", "very close-sounding")) in praise
    hard = read(
        "open_ended",
        "?",
        (
            "A un principiante le costaría seguirlo, porque se habla bastante despacio y la pista "
            "es ruidosa."
        ),
        "es",
    )
    assert (0, "reason", ("false",)) in hard
    assert (0, "mood", ("tired",)) in read(
        "open_ended",
        "?",
        (
            "The speaker seems rather tired or bored, talking at a moderate speed and in a quite "
            "monotone way."
        ),
    )
    assert read(
        "controllable_generation",
        "Say this very slowly: It was noisy.",
        None,
        transcript="It was noisy.",
    ) == [(0, "speaking_rate", ("very slowly",))]
    assert isinstance(read_claims("open_ended", "en", "?", "The clip is noisy.", "")[0], Claim)


def test_intervals_hold_their_share():
    assert find_interval(0, 0) is None
    low, high = find_interval(0, 400)
    assert low == pytest.approx(0.0, abs=1e-9) and high == pytest.approx(0.0095, abs=2e-4)
    low, high = find_interval(10, 100)
    assert low < 0.1 < high and (low, high) == pytest.approx((0.0552, 0.1744), abs=1e-3)
