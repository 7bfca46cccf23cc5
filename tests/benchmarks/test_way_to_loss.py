"""The way from a record's bytes to the loss is short, and docs/architecture.md names every file on it."""

from tiny_run import make_run

from benchmarks.way_to_loss import PACKAGE, list_files

PAGE = PACKAGE.parent / "docs" / "architecture.md"
MOST = 17


def test_the_way_to_the_loss_is_short_and_described(corpus, tmp_path):
    files = list_files(make_run(corpus, tmp_path / "run"))
    assert len(files) <= MOST, files
    page = PAGE.read_text()
    assert not [name for name in files if f"`{name}`" not in page]
