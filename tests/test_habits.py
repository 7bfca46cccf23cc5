"""What stands in two places says the same in both: versions, and the parts of what must pass."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def find(pattern, name):
    return re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)[1]


def test_a_commit_is_checked_by_the_linter_of_the_gate():
    pinned = find(r"^ruff==(\S+)", "requirements.lock")
    assert find(r"ruff-pre-commit\n +rev: v(\S+)", ".pre-commit-config.yaml") == pinned


def test_the_version_to_cite_is_the_package_s():
    assert find(r"^version: (\S+)", "CITATION.cff") == find(r'version="([^"]+)"', "setup.py")


def test_every_push_runs_the_parts_of_the_gate():
    parts = find(r"parts=\((test[^)]*)\)", ".ci/run").split()
    assert find(r"part: \[(.+)\]", ".github/workflows/ci.yml").split(", ") == parts
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{part}: ", targets, re.MULTILINE) for part in parts)
