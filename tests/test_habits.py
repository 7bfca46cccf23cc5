"""What stands in two places says the same in both: versions, and the parts of what must pass."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def find(pattern, name):
    return re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)[1]


def test_a_commit_is_checked_by_the_linter_of_the_gate():
    pinned = find(r"^ruff==(\S+)", "requirements.lock")
    assert find(r"ruff-pre-commit\n +rev: v(\S+)", ".pre-commit-config.yaml") == pinned


def test_few_types_are_excused_and_each_says_why():
    excused = []
    for path in sorted(ROOT.glob("sift_jax/**/*.py")) + sorted(ROOT.glob("data_prep/**/*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if "type: ignore" in line:
                excused.append(f"{path.relative_to(ROOT)}:{number + 1}")
                assert re.search(r"# type: ignore\[[a-z-]+\]", line), excused[-1]
                assert lines[number - 1].lstrip().startswith("# "), f"{excused[-1]}: say why above"
    assert len(excused) <= 20, excused


def test_no_module_is_excused_from_the_types():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert settings["files"] == ["sift_jax", "data_prep"]
    assert settings["disallow_untyped_defs"] and settings["warn_unused_ignores"]
    assert not {"exclude", "ignore_errors"} & settings.keys()
    for override in settings["overrides"]:
        assert override.keys() == {"module", "ignore_missing_imports"}
        assert not [name for name in override["module"] if name.startswith(("sift_jax", "data_"))]


def test_the_version_to_cite_is_the_package_s():
    assert find(r"^version: (\S+)", "CITATION.cff") == find(r'version="([^"]+)"', "setup.py")
    # a checkout that is not installed tells its version, too
    assert find(r'^__version__ = "(.+)"', "sift_jax/version.py") == find(
        r'version="([^"]+)"', "setup.py"
    )


def test_every_push_runs_the_parts_of_the_gate():
    parts = find(r"parts=\((test[^)]*)\)", ".ci/run").split()
    assert find(r"part: \[(.+)\]", ".github/workflows/ci.yml").split(", ") == parts
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{part}: ", targets, re.MULTILINE) for part in parts)


def test_no_two_test_files_share_a_name():
    """One process of pytest imports them under their names alone."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
