"""Bindings on the command line, in one word or two."""

import pytest

from sift_jax.gin_flags import join_values, make_gin_parser, read_gin_flags


@pytest.mark.parametrize(
    ("words", "bindings"),
    [
        (["--gin.STEPS=3"], ["STEPS=3"]),
        (["--gin.STEPS", "3"], ["STEPS=3"]),
        (["--gin.PEAK_LR", "-1e-3", "--gin.SEED", "1"], ["PEAK_LR=-1e-3", "SEED=1"]),
        (["--gin.NAME", "a=b"], ["NAME=a=b"]),
        (["--gin.LANGUAGES", "('en',)", "--dry_run"], ["LANGUAGES=('en',)"]),
    ],
)
def test_a_value_may_stand_in_a_word_of_its_own(words, bindings):
    parser = make_gin_parser("sift_jax.train", description="Trains.")
    flags = read_gin_flags(parser, ["--gin_file=x.gin", *words])
    assert flags.bindings == bindings
    assert flags.dry_run == ("--dry_run" in words)


def test_a_flag_is_no_value():
    assert join_values(["--gin.STEPS", "--gin.SEED=1"]) == ["--gin.STEPS", "--gin.SEED=1"]
    parser = make_gin_parser("sift_jax.train", description="Trains.")
    with pytest.raises(SystemExit):
        read_gin_flags(parser, ["--gin_file=x.gin", "--gin.STEPS", "--gin.SEED=1"])
    with pytest.raises(SystemExit):
        read_gin_flags(parser, ["--gin_file=x.gin", "--gin.STEPS=1", "2"])
