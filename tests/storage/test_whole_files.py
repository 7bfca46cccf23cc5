"""Files that appear whole or not at all."""

import pytest

from sift_jax.storage.whole_files import open_whole, write_whole


def test_half_a_file_is_none(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), open_whole(tmp_path / "a") as draft:
        draft.write("half")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_two_that_write_the_same_do_not_meet(tmp_path):
    with open_whole(tmp_path / "a") as first:
        with open_whole(tmp_path / "a") as second:
            second.write("whole")
        first.write("whole")
    assert (tmp_path / "a").read_text() == "whole" and len(list(tmp_path.iterdir())) == 1


def test_a_text_is_written_as_utf_8_into_a_new_folder(tmp_path):
    path = write_whole(tmp_path / "new" / "a", "é\u2028")
    assert path.read_bytes() == "é\u2028".encode()
    assert [found.name for found in path.parent.iterdir()] == ["a"]
