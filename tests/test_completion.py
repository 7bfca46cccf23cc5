"""Tab completion, as the shells themselves do it."""

import shutil
import subprocess

import pytest

from sift_jax.__main__ import main
from sift_jax.commands import COMMANDS
from sift_jax.completion import list_places, write_script

# what readline hands to a completion: it splits words at =
ASK_BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_sift_jax
printf '%s\\n' "${COMPREPLY[@]}"
"""
ASK_ZSH = """
compdef() { :; }
source "$1"; shift
compset() { :; }
_files() { print -r -- FILES; }
compadd() {
  while [[ "$1" != -- ]]; do shift; done
  shift
  for word in "$@"; do [[ "$word" == "${${words[CURRENT]}##*=}"* ]] && print -r -- "$word"; done
}
words=("$@"); CURRENT=$#
_sift_jax
"""
CASES = [
    (["tr"], ["train", "train-vocoder"]),
    (["data", "che"], ["check-splits", "check-truth"]),
    (["units", "f"], ["fit", "fit_hubert"]),
    (["completion", ""], ["bash", "zsh"]),
    (["ask", "--au"], ["--audio="]),
    (["ask", "--audio=x.wav", "--ch"], ["--checkpoint=", "--chat"]),
    (["data", "build", "--corpus=vo"], ["voxpopuli"]),
    (["units", "fit_hubert", "--dedup"], ["--deduplicate"]),
    (["evaluate", "--suite=flu"], []),
    (["evaluate", "--suite=fle"], ["fleurs"]),
]


@pytest.fixture(scope="module", params=["bash", "zsh"])
def complete(request, tmp_path_factory):
    shell = request.param
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    script = tmp_path_factory.mktemp("completion") / f"sift-jax.{shell}"
    script.write_text(write_script(shell))

    def ask(words):
        split = [part for word in words for part in word.replace("=", " = ").split(" ")]
        given = split if shell == "bash" else words
        plain = ["--norc", "--noprofile"] if shell == "bash" else ["-f"]
        program = ASK_BASH if shell == "bash" else ASK_ZSH
        done = subprocess.run(
            [shell, *plain, "-c", program, shell, str(script), "sift-jax", *given],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert not done.stderr, done.stderr
        return sorted(filter(None, done.stdout.splitlines()))

    return ask


@pytest.mark.parametrize("words, found", CASES, ids=[" ".join(words) for words, _ in CASES])
def test_what_is_begun_is_completed(complete, words, found):
    assert complete(words) == sorted(found)


def test_every_command_and_flag_can_be_completed():
    places = {place.path: place for place in list_places()}
    assert {command.name for command in COMMANDS} <= places.keys()
    assert {"ask", "data", "completion"} <= set(places[""].words)
    assert {"--help", "--debug", "--checkpoint=", "--chat"} <= set(places["ask"].flags)
    assert "--tones=" in places["units fit"].flags and "--tones=" not in places["units"].flags
    assert dict(places["data build"].choices)["--compression"] == ("flac", "opus")


def test_the_script_is_printed(capsys):
    main(["completion", "bash"])
    assert capsys.readouterr().out == f"{write_script('bash')}\n"
