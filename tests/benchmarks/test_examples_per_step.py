"""Examples a step: the stages have the paper's, each hardware file says in how many rows; and how
they are counted."""

import functools
import json
import re

import numpy as np
import pytest
from resolve_configs import CONFIGS

from benchmarks.examples_per_step import CORPORA, DrawnIndex, count_examples, draw_seconds, main
from sift_jax.cli import build_arguments
from sift_jax.data.records.question_index import NEVER
from sift_jax.training.loop import train

CORPUS_FILE = json.loads(CORPORA.read_text())
PAPER = {"stage1": 256, "stage2": 128, "stage2b": 256, "stage3": 128}
HARDWARE = sorted(path.stem for path in (CONFIGS / "hardware").glob("*.gin"))
LINE = re.compile(
    r"^#\s+(?P<stage>stage\w+)\s+(?P<rows>\d+) rows × (?P<positions>\d+) positions on "
    r"(?P<devices>\d+) devices?: "
    r"(?P<examples>\d+) examples a step(?P<larger>, more than the paper's)?(, with "
    r"(?P<knobs>.+))?$",
    re.MULTILINE,
)


# what a file says of a stage that has too few rows for so many devices
ELSEWHERE = re.compile(r"^#\s+(?P<stage>stage\w+)\s+see (?P<file>\w+)\.gin: ", re.MULTILINE)


def list_elsewhere(hardware):
    text = (CONFIGS / "hardware" / f"{hardware}.gin").read_text()
    return {match["stage"]: match["file"] for match in ELSEWHERE.finditer(text)}


@functools.cache
def count(stage, flags=()):
    """Only what the batches depend on is in the key: hardware has no part in it."""
    arguments = build_arguments(train, [f"configs/{stage}.gin"], list(flags))
    return arguments, count_examples(arguments, CORPUS_FILE).examples


def list_lines(hardware):
    return [
        match.groupdict()
        for match in LINE.finditer((CONFIGS / "hardware" / f"{hardware}.gin").read_text())
    ]


@pytest.mark.parametrize(
    "stage, wanted", [*PAPER.items(), ("stage2b_xcodec2", 256), ("stage3_xcodec2", 128)]
)
def test_a_stage_has_the_examples_of_the_paper(stage, wanted):
    _, examples = count(stage)
    assert abs(examples - wanted) <= 0.1 * wanted


@pytest.mark.parametrize("hardware", HARDWARE)
def test_a_hardware_file_says_the_rows_of_each_stage(hardware):
    lines = list_lines(hardware)
    elsewhere = list_elsewhere(hardware)
    assert set(PAPER) <= {line["stage"] for line in lines} | set(elsewhere)
    for stage, file in elsewhere.items():
        assert stage in {line["stage"] for line in list_lines(file)}
    for line in lines:
        rows, positions = int(line["rows"]), int(line["positions"])
        data = build_arguments(train, [f"configs/{line['stage']}.gin"], [])["data"]
        knobs = (line["knobs"] or "").split()
        if (data.rows, data.tokens) != (rows, positions):
            knobs += [f"BATCH_ROWS={rows}", f"POSITIONS={positions}"]
        arguments, examples = count(line["stage"], tuple(knobs))
        data, run = arguments["data"], arguments["run"]
        assert abs(examples - int(line["examples"])) < 1.0, f"{line}: {examples}"
        wanted = PAPER[line["stage"]]
        if line["larger"]:
            assert examples > 1.1 * wanted
        else:
            assert abs(examples - wanted) <= 0.1 * wanted
        mesh = build_arguments(
            train, [f"configs/{line['stage']}.gin", f"configs/hardware/{hardware}.gin"], []
        )["mesh"]
        # each piece of a batch is spread over the devices, but for those that share a row
        spread = int(line["devices"]) // mesh.tensor
        assert -1 in (mesh.data, mesh.fsdp) or mesh.data * mesh.fsdp == spread
        assert data.rows % run.microbatches == 0 and data.rows // run.microbatches % spread == 0, (
            line
        )


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_the_mixtures_rates_are_shares_of_the_examples(stage):
    arguments, _ = count(stage)
    shares = count_examples(arguments, CORPUS_FILE).of_examples
    wanted = {
        "stage1": ("pretraining/translation", 0.2 / 0.7),
        "stage2": ("closed_ended/comparison", 0.1),
    }
    name, share = wanted[stage]
    assert shares[name] == pytest.approx(share, abs=0.01) and sum(shares.values()) == pytest.approx(
        1.0
    )


def test_lengths_are_those_of_their_sources():
    rng = np.random.default_rng(0)
    means = {
        "mls": 15.0,
        "common_voice": 5.0,
        "vctk": 3.6,
        "librispeech": 12.3,
        "fleurs": 11.0,
        "peoples_speech": 14.0,
    }
    means |= {"voxpopuli": 10.2, "msp_podcast": 5.8, "slurp": 2.9, "ami": 18.5}
    assert set(means) == set(CORPUS_FILE["corpora"])
    for name, mean in means.items():
        drawn = draw_seconds({name: 1.0}, CORPUS_FILE, rng, 20_000)
        assert np.mean(drawn) == pytest.approx(mean, rel=0.06), name
    for task in CORPUS_FILE["tasks"].values():
        for part in task.get("parts", [task]):
            for shares in (part["from"], part["questions"]):
                assert sum(shares.values()) == pytest.approx(1.0)


def test_a_drawn_index_is_laid_out_as_one_on_disk():
    index = DrawnIndex(
        CORPUS_FILE["tasks"]["closed_ended/comparison"], CORPUS_FILE, seed=1, items=500
    )
    assert len(index) == 500 and index.items["clip"][-1] == len(index.clips) == 1000
    assert index.items["question"][-1] == len(index.questions) and index.items["marker"][-1] == len(
        index.markers
    )
    place = index.markers["place"].reshape(-1, 2)
    answer = index.questions["answer"]
    assert (place[:, 1] - place[:, 0] == 3).all() and (place[:, 1] < answer).all()
    assert (
        index.questions["answer"] + index.questions["targets"] < index.questions["tokens"]
    ).all()
    first = index.items["question"][:-1]
    assert (index.questions["common"][first] == NEVER).all()
    # of one utterance in five the question comes first, and only what stands before it is shared
    start = CORPUS_FILE["tokens"]["system_turn"] + 3
    assert np.mean(place[first, 0] == start + 1) == pytest.approx(0.8, abs=0.06)
    others = np.setdiff1d(np.arange(len(index.questions)), first)
    is_first = place[others, 0] == start + 1
    assert (index.questions["common"][others] == np.where(is_first, start + 6, start)).all()


def test_the_command(capsys):
    main(["--gin_file=configs/stage3.gin", "--gin.BATCH_ROWS=8"])
    said = capsys.readouterr().out
    first, *table = said.splitlines()
    assert re.fullmatch(
        r"8 rows × 4096 positions: 6\d examples a step \(\d+ to \d+\), rows \d\d% full", first
    )
    assert table[1].split() == ["controllable_generation", "1.000", "1.000", "1.000"]
