"""python -m data_prep.subset: parts of a SIFT folder lie in each other, and what is for testing
stays whole."""

from fractions import Fraction

import pytest

from data_prep.subset import is_taken, main
from sift_jax.sift.rows import list_files, read_rows


def read_ids(sift, split):
    return {
        path.relative_to(sift): [row["id"] for row in read_rows(path)]
        for path in list_files(sift, split)
    }


def test_parts_lie_in_each_other_and_hold_whole_utterances(corpus, tmp_path, capsys):
    whole = read_ids(corpus.sift, "train")
    found = {}
    for share in ("1/2", "0.25"):
        out = tmp_path / share.replace("/", "_")
        main([f"--sift={corpus.sift}", f"--share={share}", f"--out={out}"])
        part = found[share] = read_ids(out, "train")
        assert part.keys() == whole.keys()
        for path, ids in part.items():
            assert ids == [
                identity for identity in whole[path] if is_taken(identity, Fraction(share))
            ]
        for split in ("dev", "EvalSIFT"):
            assert read_ids(out, split) == read_ids(corpus.sift, split)
    halves, quarters = (
        {identity for ids in part.values() for identity in ids} for part in found.values()
    )
    assert quarters <= halves < {identity for ids in whole.values() for identity in ids}
    assert "dev and EvalSIFT are whole" in capsys.readouterr().out


def test_a_share_is_what_it_says():
    ids = [f"common_voice_de_{number}" for number in range(4_000)]
    for share in (Fraction(1, 8), Fraction(1, 2)):
        assert abs(sum(is_taken(identity, share) for identity in ids) / len(ids) - share) < 0.025


@pytest.mark.parametrize(
    "share, place, message",
    [
        ("1/0", "out", "is no part of a whole"),
        ("2", "out", "is no part of a whole"),
        ("half", "out", "is no part"),
        ("1/2", "sift", "is not empty"),
        ("1/2", "none", "no training rows under"),
    ],
)
def test_what_cannot_be_taken_is_one_line(corpus, tmp_path, share, place, message):
    sift = tmp_path / "none" if place == "none" else corpus.sift
    out = corpus.sift if place == "sift" else tmp_path / "out"
    with pytest.raises(SystemExit, match=message) as stop:
        main([f"--sift={sift}", f"--share={share}", f"--out={out}"])
    assert len(str(stop.value.code).splitlines()) == 1
