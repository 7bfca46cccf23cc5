"""What a wheel brings along: every file that the code reads at run time."""

import ast
import fnmatch
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from sift_jax.extras import EXTRAS, MissingExtraError, import_extra, say_install

ROOT = Path(__file__).parent.parent
# what people read, and programs do not
DOCUMENTS = {".md"}


def read_package_data():
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (found,) = [
        word.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for word in node.keywords
        if word.arg == "package_data"
    ]
    return ast.literal_eval(found)


def find_folder(package):
    return ROOT / {"sift_jax.configs": "configs"}.get(package, package.replace(".", "/"))


def test_every_data_file_is_in_the_wheel():
    packed = {
        path
        for package, patterns in read_package_data().items()
        for pattern in patterns
        for path in find_folder(package).glob(pattern)
    }
    there = {
        path
        for package in ("sift_jax", "data_prep", "configs")
        for path in (ROOT / package).rglob("*")
        if path.is_file()
        and path.suffix not in {".py", ".pyc", *DOCUMENTS}
        and "__pycache__" not in path.parts
    }
    assert there and sorted(there - packed) == []


def test_no_pattern_is_left_over():
    for package, patterns in read_package_data().items():
        folder = find_folder(package)
        names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
        assert all(fnmatch.filter(names, pattern) for pattern in patterns), package


FIND_ALL = """
import sys
from pathlib import Path
from sift_jax import config_files
assert config_files.ROOT == Path(sys.argv[1]) / "sift_jax", config_files.ROOT
for name in sys.argv[2:]:
    assert any(text for _, _, text in config_files.list_pieces(config_files.find_gin_file(name)))
"""


def test_a_wheel_brings_the_configs_and_finds_them_from_anywhere(tmp_path):
    lib = tmp_path / "lib"
    subprocess.run(
        [
            sys.executable,
            "setup.py",
            "-q",
            "build",
            f"--build-base={tmp_path}",
            f"--build-lib={lib}",
        ]
        + ["egg_info", f"--egg-base={tmp_path}"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    names = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "configs").rglob("*.gin"))
    assert "configs/stage2.gin" in names
    done = subprocess.run(
        [sys.executable, "-c", FIND_ALL, str(lib), *names],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(lib)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_the_core_brings_the_packages_that_everybody_needs():
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (core,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "TRAIN"
    ]
    names = {Requirement(text).name for text in core}
    assert names >= {
        "jax",
        "flax",
        "optax",
        "orbax-checkpoint",
        "tensorflow-datasets",
        "transformers",
        "seqio",
        "librosa",
        "numpy",
        "gin-config",
    }
    # what another extra brings is none of the core's
    optional = {Requirement(text).name for texts in EXTRAS.values() for text in texts}
    assert names & optional == {"jax"}


def test_a_missing_package_is_named_with_its_install_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MissingExtraError, match="^jiwer is not installed; pip install 'jiwer>=4,<5'"
    ):
        import_extra("jiwer", "eval")


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_install_line_holds_what_pip_reads(extra):
    assert say_install(extra).startswith("pip install ")
    assert all(Requirement(text).name for text in EXTRAS[extra])
