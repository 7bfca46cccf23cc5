"""Sets side by side: links, without what is tested."""

import pytest

from data_prep.synthesis.join import join_sets, main
from sift_jax.sift.rows import list_files


def make_set(folder, split: str, category: str, text: str):
    place = folder / split / category / "en"
    place.mkdir(parents=True, exist_ok=True)
    (place / "split0.jsonl").write_text(text)


def test_sets_are_joined_as_links(tmp_path, capsys):
    one, two, out = tmp_path / "one", tmp_path / "two", tmp_path / "out"
    make_set(one, "train", "open_ended", "a")
    make_set(one, "EvalSIFT", "open_ended", "tested")
    make_set(two, "train", "open_ended", "b")
    make_set(two, "dev", "pretraining/asr", "c")
    for _ in range(2):
        main([f"--sift={one},{two}", f"--out={out}"])
        assert "3 files" in capsys.readouterr().out
    assert [path.read_text() for path in list_files(out, "train")] == ["a", "b"]
    assert [path.read_text() for path in list_files(out, "dev")] == ["c"] and not (
        out / "EvalSIFT"
    ).exists()
    with pytest.raises(ValueError, match="files of its own"):
        join_sets([one], two)
    with pytest.raises(SystemExit, match="no SIFT files to train on"):
        main([f"--sift={tmp_path / 'none'}", f"--out={out}"])
