"""python -m data_prep.subset: parts of a SIFT folder lie in each other, and what is for testing
stays whole."""

import json
from fractions import Fraction

import pytest

from data_prep.subset import is_taken, main
from sift_jax.sift.rows import audio_ids, list_files, read_rows


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


def write_metadata(corpus, path, seconds):
    """Each recording of the corpus lasts so long."""
    found = {
        identity: (path.parts[-2], split)
        for split in ("train", "dev")
        for path in list_files(corpus.sift, split)
        for row in read_rows(path)
        for identity in audio_ids(row)
    }
    lines = (
        {"id": identity, "language": language, "split": split, "duration": seconds}
        for identity, (language, split) in found.items()
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_hours_are_those_of_whole_recordings_in_each_language(corpus, tmp_path):
    metadata = write_metadata(corpus, tmp_path / "metadata.jsonl", 90.0)
    heard = {}
    # three recordings of 90 s fit into .08 hours (288 s), two into .06 (216 s)
    for hours, count in ((0.08, 3), (0.06, 2)):
        out = tmp_path / f"{hours}"
        main(
            [f"--sift={corpus.sift}", f"--hours={hours}", f"--metadata={metadata}", f"--out={out}"]
        )
        for language in ("en", "de"):
            files = list_files(out, "train", "closed_ended/acoustic_level", language)
            heard[language, count] = {row["id"] for path in files for row in read_rows(path)}
            assert len(heard[language, count]) == count
            taken = [
                set(audio_ids(row))
                for path in list_files(out, "train", None, language)
                for row in read_rows(path)
            ]
            # a comparison is there where both of its recordings are
            assert set.union(*taken) <= heard[language, count]
        assert read_ids(out, "dev") == read_ids(corpus.sift, "dev")
    for language in ("en", "de"):
        assert heard[language, 2] < heard[language, 3]


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--hours=0.08"], "go together"),
        (["--hours=1", "--share=1/2"], "not allowed with"),
        (["--hours=3", "--metadata=M"], "is not part of the 0.15 hours of de"),
        (["--hours=0.02", "--metadata=M"], "is less than the first recording of de lasts"),
        (["--hours=-1", "--metadata=M"], "is less than the first recording of de lasts"),
        (["--hours=nan", "--metadata=M"], "is less than the first recording of de lasts"),
        (["--hours=3", "--metadata=E"], "KeyError: 'split'; give the metadata.jsonl"),
    ],
)
def test_hours_that_cannot_be_taken_are_one_line(corpus, tmp_path, capsys, flags, message):
    write_metadata(corpus, tmp_path / "M", 90.0)
    (tmp_path / "E").write_text("{}\n")
    flags = [flag.replace("--metadata=", f"--metadata={tmp_path}/") for flag in flags]
    with pytest.raises(SystemExit) as stop:
        main([f"--sift={corpus.sift}", f"--out={tmp_path / 'out'}", *flags])
    assert message in f"{stop.value.code}{capsys.readouterr().err}"


@pytest.mark.parametrize(
    "share, place, message",
    [
        ("1/0", "out", "is not part of a whole"),
        ("2", "out", "is not part of a whole"),
        ("half", "out", "is not part"),
        ("1/2", "sift", "is not empty"),
        ("1/2", "none", "no training rows under"),
    ],
)
def test_what_cannot_be_taken_is_one_line(corpus, tmp_path, share, place, message):
    sift = tmp_path / "none" if place == "none" else corpus.sift
    out = corpus.sift if place == "sift" else tmp_path / "out"
    with pytest.raises(SystemExit, match=message) as stop:
        main([f"--sift={sift}", f"--share={share}", f"--out={out}"])
    assert stop.value.code == 2 and len(str(stop.value).splitlines()) == 1
