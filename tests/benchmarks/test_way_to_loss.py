"""The way from a record's bytes to the loss is short, and docs/architecture.md names every file on
it."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.way_to_loss import PACKAGE

TESTS = Path(__file__).resolve().parents[1]
PAGE = PACKAGE.parent / "docs" / "architecture.md"
MOST = 15
# in a process of its own: what other tests have left open or set up takes other ways
PROGRAM = """
import sys
from pathlib import Path
from tiny_corpus import Corpus
from tiny_run import make_run
from benchmarks.way_to_loss import list_files
print("\\n".join(list_files(make_run(Corpus(root=Path(sys.argv[1]), counts={}), Path(sys.argv[2])))))
"""


def test_the_way_to_the_loss_is_short_and_described(corpus, tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(TESTS / "support"), str(TESTS.parent)]),
    }
    command = [sys.executable, "-c", PROGRAM, str(corpus.root), str(tmp_path / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    files = done.stdout.split()
    assert 10 < len(files) <= MOST, files
    page = PAGE.read_text()
    assert not [name for name in files if f"`{name}`" not in page]
