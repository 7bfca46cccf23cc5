"""What the commit f1d687e left on disk, under today's code: it goes on, or is refused with the
command that fixes it.

`fixtures/make_at_f1d687e.py` says what there is and how it was made. Everything is done by the
commands, as a user types them. A command that is refused names another one, or flags to add: that
is what `go_on` then does.
"""

import json
import re
import runpy
import shlex
import shutil
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from sift_jax.audio.files import read_audio

ARCHIVE = Path(__file__).parent / "fixtures" / "made_at_f1d687e.tar.xz"
QUESTION = "Is it loud?"
# of losses of one step: float32 on another processor, not another batch or another chat template
NEAR = 2e-3
MOST_REMEDIES = 3
# what a refusal may name, as it is typed in a shell: flags for the same command, or a command to be
# given before it
FLAG = re.compile(r"""'--[^']+'|--[\w.]+=(?:"[^"]*"|'[^']*'|[^\s,;:)'"]+)""")
COMMAND = re.compile(r"`python -m ((?:sift_jax|data_prep)[\w.]* [^`]*)`")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def made(unpacked, tmp_path, monkeypatch) -> Path:
    """A copy of one's own, as the working directory."""
    folder = shutil.copytree(unpacked, tmp_path / "made")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(made, monkeypatch, capsys):
    """(status, standard output, standard error) of a command: run("sift_jax.ask --checkpoint=export
    …")."""

    def call(command: str) -> tuple[int, str, str]:
        module, *flags = shlex.split(command)
        monkeypatch.setattr(sys, "argv", [module, *flags])
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.setattr(sys, "path", list(sys.path))
        capsys.readouterr()
        status = 0
        try:
            runpy.run_module(module, run_name="__main__")
        except SystemExit as stop:
            status = stop.code or 0
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


def find_remedy(error: str) -> tuple[str | None, list[str]]:
    """What a refusal says is to be done: (a command to be given first, flags to be added), of which
    it has one."""
    (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
    command = COMMAND.search(line)
    if command:
        return command.group(1), []
    flags = [shlex.split(flag)[0] for flag in FLAG.findall(line)]
    assert flags, f"it names no command and no flag that fixes it: {line}"
    return None, flags


@pytest.fixture
def go_on(run):
    """The command's output; where it is refused, what the refusal names is done, and it is given
    again."""

    def call(command: str) -> str:
        done = []
        status, out, error = run(command)
        # a config may be of another form, lack a field, and be of a plan that is no longer drawn:
        # told one by one
        while status and len(done) < MOST_REMEDIES:
            assert status == 2, error
            first, flags = find_remedy(error)
            assert (first, flags) not in done, f"what it names does not fix it: {error}"
            done.append((first, flags))
            if first:
                status, _, error = run(first)
                assert status == 0, error
            command = shlex.join([*shlex.split(command), *flags])
            status, out, error = run(command)
        assert status == 0, error
        return out

    return call


def read_losses(folder: Path) -> dict[str, float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {str(line["step"]): line["loss"] for line in lines if "loss" in line}


def read_results(folder: str) -> dict:
    return json.loads((Path(folder) / "results.json").read_text())


@pytest.mark.parametrize(
    "gin_file, name, half, steps",
    [("answering.gin", "answering", 3, 6), ("speaking/config.gin", "speaking", 2, 4)],
    ids=["by the command that began it", "by the config beside it"],
)
def test_a_run_goes_on_from_its_checkpoint(go_on, made, gin_file, name, half, steps):
    """Over the same batches, asked in the same words: with the losses that f1d687e itself went on
    to. A plan that is no longer drawn is refused, and a run in another folder, which the refusal
    names, begins with the old one's weights.
    """
    said, old = go_on(f"sift_jax.train --gin_file={gin_file}"), read_losses(made / name)
    if f"resuming {name} at step {half}, batch {half}" in said:
        found, expected = (
            read_losses(made / name),
            json.loads((made / "figures.json").read_text())[name],
        )
        assert set(expected) == {str(step) for step in range(half + 1, steps + 1)}
        for step, loss in expected.items():
            assert found[step] == pytest.approx(loss, abs=NEAR), (
                f"step {step} is another than it was at f1d687e"
            )
        begun = made / name
    else:
        [begun] = {path.parent for path in made.glob("*/checkpoints")} - {
            made / "answering",
            made / "speaking",
        }
        assert read_losses(begun)["1"] < old["1"] - 5 * NEAR, (
            "it knows nothing of what the old run learnt"
        )
    assert (begun / "checkpoints" / str(steps)).is_dir()


def test_a_run_does_not_go_on_by_another_plan(run, go_on, made):
    """Refused before anything is written, so that it still goes on by the config beside it."""
    go_on("sift_jax.train --gin_file=answering.gin --dry_run")
    other = "sift_jax.train --gin_file=answering.gin --gin.DataConfig.seed=8"
    status, _, error = run(other)
    if "do not bind" in error:
        # fields that came later are asked for before any plan is made
        status, _, error = run(shlex.join([*shlex.split(other), *find_remedy(error)[1]]))
    assert status == 2 and "answering was trained by the plan" in error
    assert [path.name for path in (made / "answering" / "checkpoints").iterdir()] == ["3"]
    go_on("sift_jax.train --gin_file=answering/config.gin")
    assert list(made.glob("*/checkpoints/6"))


def test_a_config_without_fields_that_came_later_says_how_they_are_bound(run, go_on, made):
    """As a config of before f1d687e: its run goes on with the flags that the refusal names."""
    train, config = (
        "sift_jax.train --gin_file=speaking/config.gin",
        made / "speaking" / "config.gin",
    )
    # with all its fields it is read, in whatever form
    go_on(f"{train} --dry_run")
    lines = config.read_text().splitlines()
    later = ("DataConfig.unit_weights", "DataConfig.end_weight")
    config.write_text("\n".join(line for line in lines if not line.startswith(later)) + "\n")
    status, _, error = run(f"{train} --dry_run")
    first, flags = find_remedy(error)
    assert status == 2 and first is None
    assert {"--gin.DataConfig.end_weight=1.0", "--gin.DataConfig.unit_weights={}"} <= set(flags)
    go_on(train)
    assert list(made.glob("*/checkpoints/4"))


def test_a_run_starts_from_an_old_run_and_from_its_export(go_on, made):
    """Both hold the same model, so that both begin with the same loss, and with no one else's."""
    new = "sift_jax.train --gin_file=answering.gin --gin.RunConfig.steps=3 --gin.RunConfig.out_dir="
    go_on(new + "from_run --gin.Sources.run=answering")
    go_on(new + "from_export --gin.Sources.model=export")
    # the old run, over the same first batch, had nothing to begin from
    losses = {
        name: read_losses(made / name)["1"] for name in ("from_run", "from_export", "answering")
    }
    assert losses["from_export"] == pytest.approx(losses["from_run"], abs=1e-4)
    assert losses["answering"] - losses["from_run"] > 5 * NEAR


def test_a_run_and_its_export_answer_alike(go_on):
    ask = f"--audio=data/audio/evalsift_en_0.flac --max_new_tokens=8 '{QUESTION}'"
    answers = [go_on(f"sift_jax.ask --checkpoint={name} {ask}") for name in ("answering", "export")]
    assert answers[0] == answers[1] and answers[0].strip()


def test_a_run_is_exported_again_with_the_same_weights(go_on, made):
    assert "written and read again" in go_on("sift_jax.export --checkpoint=answering --out=again")
    files = sorted(path.relative_to("export") for path in Path("export").rglob("*.safetensors"))
    assert len(files) == 3
    for name in files:
        old, new = load_file(Path("export") / name), load_file(Path("again") / name)
        assert old.keys() == new.keys()
        for key, array in old.items():
            np.testing.assert_allclose(new[key], array, atol=1e-6, err_msg=f"{name}: {key}")


def test_a_run_and_its_export_are_evaluated(go_on):
    flags = (
        "--suite=evalsift --root=data --gin.LANGUAGES=\"('en', 'de')\" --gin.MAX_NEW_TOKENS=8 "
        "--gin.DATA_DIR=data"
    )
    for name in ("answering", "export"):
        go_on(f"sift_jax.evaluate {flags} --checkpoint={name} --out=evaluated/{name}")
    found = [read_results(f"evaluated/{name}") for name in ("answering", "export")]
    (suite,) = found[0]["suites"]
    counts = found[0]["suites"][suite]["counts"]
    assert counts["items"] == 12 and counts["set_aside"] == 0
    assert found[0]["suites"] == found[1]["suites"]


def test_a_run_speaks_and_so_does_its_export(go_on):
    said = "--text='It is loud.' --max_seconds=2"
    assert "run.wav: " in go_on(f"sift_jax.speak --checkpoint=speaking {said} --out=run.wav")
    go_on("sift_jax.export --checkpoint=speaking --out=voice")
    assert "voice.wav: " in go_on(f"sift_jax.speak --checkpoint=voice {said} --out=voice.wav")
    np.testing.assert_array_equal(read_audio("run.wav"), read_audio("voice.wav"))


def test_units_beside_the_records_are_kept(go_on):
    said = go_on("data_prep.units --records=data/records --codec=data/codec")
    assert "14 clips that are answers, 676 units" in said and "; 0 of them made now" in said


@pytest.mark.parametrize(
    "line, remedy",
    [
        ("error: nothing is bound to X.y; add --gin.X.y=3", (None, ["--gin.X.y=3"])),
        (
            "error: of another plan; add --gin.A.b='c d' and --out=new, for a new one",
            (None, ["--gin.A.b=c d", "--out=new"]),
        ),
        (
            "error: old units; `python -m data_prep.units --records=a --codec=b` makes them again",
            ("data_prep.units --records=a --codec=b", []),
        ),
    ],
)
def test_what_a_refusal_names_is_found(line, remedy):
    assert find_remedy(f"a warning\n{line}\n") == remedy


def test_a_refusal_that_names_nothing_is_not_let_through():
    with pytest.raises(AssertionError, match="names no command and no flag"):
        find_remedy("error: this run is of another version; choose another OUT_DIR\n")
