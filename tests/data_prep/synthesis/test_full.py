"""The full data's commands: each is one that its program takes."""

import shlex

import pytest

from data_prep.synthesis import full
from data_prep.synthesis.__main__ import COMMANDS


def test_the_commands_are_those_of_the_programs(tmp_path, monkeypatch, capsys):
    calls = []
    for name in full.PROGRAMS:
        monkeypatch.setitem(
            full.PROGRAMS, name, lambda words, name=name: calls.append(("-m", name, *words))
        )
    flags = [
        f"--out={tmp_path / 'a b'}",
        "--corpora=/c",
        "--ms_marco=/m",
        "--writer=--writer=rules",
        "--rates=5,30",
    ]
    with pytest.raises(SystemExit):
        full.main(flags[:-2])
    full.main([*flags, "--dry_run"])
    assert not calls and len(capsys.readouterr().out.splitlines()) == 24
    full.main(flags)
    modules = {call[1] for call in calls}
    assert modules == {
        "data_prep.tasks",
        "data_prep.synthesis",
        "data_prep.synthesis.join",
        "data_prep.records",
    }
    joined = [shlex.join(call) for call in calls if call[1] == "data_prep.synthesis.join"]
    assert len(joined) == 7 and all("/asr/sift" in line for line in joined)
    assert {path.name for path in (tmp_path / "a b" / "tests").iterdir()} == {
        "speech_msmarco",
        "spokenqa_ls",
    }
    # and each takes its flags
    for program, words in ((call[1], call[2:]) for call in calls):
        if program == "data_prep.synthesis":
            assert words[0] in COMMANDS
