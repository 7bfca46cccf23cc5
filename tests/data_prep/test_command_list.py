"""`python -m data_prep` lists what can be run."""

from data_prep.__main__ import list_commands, main


def test_every_command_is_listed_with_what_it_does(capsys):
    commands = list_commands()
    assert {
        "data_prep.build",
        "data_prep.tasks",
        "data_prep.instruct",
        "data_prep.synthesis",
    } <= commands.keys()
    assert all(commands.values()), "a command says in its first line what it does"
    main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(commands) + 2 and lines[0].startswith("python -m data_prep.")
