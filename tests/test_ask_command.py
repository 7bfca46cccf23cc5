"""The command's own part of a chat: questions are read, and answers alone go to standard output."""

import io
import sys

import pytest

from sift_jax.ask import read_lines


class Terminal(io.StringIO):
    """A person who types."""

    def isatty(self):
        return True


@pytest.mark.parametrize("source, prompts", [(Terminal, "> > \n"), (io.StringIO, "")])
def test_a_prompt_is_for_a_person_and_no_answer(monkeypatch, capsys, source, prompts):
    monkeypatch.setattr(sys, "stdin", source("Is it loud?\n"))
    assert list(read_lines()) == ["Is it loud?\n"]
    said = capsys.readouterr()
    assert said.out == "" and said.err == prompts
