"""What a wheel brings along: every file that the code reads at run time."""

import ast
import fnmatch
from pathlib import Path

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


def test_every_data_file_is_in_the_wheel():
    packed = {
        path
        for package, patterns in read_package_data().items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    there = {
        path
        for package in ("sift_jax", "data_prep")
        for path in (ROOT / package).rglob("*")
        if path.is_file()
        and path.suffix not in {".py", ".pyc", *DOCUMENTS}
        and "__pycache__" not in path.parts
    }
    assert there and sorted(there - packed) == []


def test_no_pattern_is_left_over():
    for package, patterns in read_package_data().items():
        folder = ROOT / package.replace(".", "/")
        names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
        assert all(fnmatch.filter(names, pattern) for pattern in patterns), package
