"""What every command says of its flags, and of those that it does not have."""

import dataclasses

import pytest

from sift_jax.flags import (
    Parser,
    add_fields,
    call_as,
    is_debug,
    list_options,
    list_subcommands,
    read_fields,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Walk:
    goal: str
    pace: int = 4
    rest: float | None = None
    towns: tuple[str, ...] = ("Ulm", "Aalen")
    mood: str = "good"


def make_parser():
    parser = Parser("package.walk", description="Walks.", examples=("--pace=3 north",))
    parser.add_argument("--pace", type=int, default=4, help="steps a second")
    parser.add_argument("--rest", type=float, default=0.0, help="seconds")
    parser.add_argument("--map", required=True, choices=("hills", "plains"), help="where")
    parser.add_argument("--guide", default="", help="who leads")
    parser.add_argument("--dogs", action="store_true", help="with dogs")
    parser.add_argument("--boots", help="by default those of yesterday")
    parser.add_argument("to", nargs="?", help="the goal")
    return parser


def fail(capsys, parser, *words):
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(words)
    said = capsys.readouterr()
    assert stop.value.code == 2 and not said.out and said.err.count("\n") == 1
    return said.err


def test_help_shows_defaults_that_say_something_and_examples():
    shown = " ".join(make_parser().format_help().split())
    assert "steps a second (default: 4)" in shown and "seconds (default: 0.0)" in shown
    assert shown.count("(default") == 2
    assert shown.endswith("examples: python -m package.walk --pace=3 north")


def test_a_command_is_called_by_the_name_that_was_typed():
    with call_as("sift-jax walk"):
        assert make_parser().prog == "sift-jax walk"
    assert make_parser().prog == "python -m package.walk"
    assert Parser("package.__main__").prog == "python -m package"


@pytest.mark.parametrize(
    "words, said",
    [
        (["--pacee=3"], "unknown flag --pacee; did you mean --pace? See python -m package.walk"),
        (["--zzzz", "--map=hills"], "unknown flag --zzzz; see python -m package.walk --help"),
        (["--map=hills", "a", "b"], "unknown argument b; see "),
        (["--map=hils"], "argument --map: 'hils' is not one of hills, plains; did you mean hills?"),
        (["--map=sea"], "argument --map: 'sea' is not one of hills, plains; see "),
        (["--map=hills", "--pace=fast"], "argument --pace: invalid int value: 'fast'; see "),
        ([], "the following arguments are required: --map; see "),
    ],
)
def test_what_cannot_be_read_is_one_line_with_the_nearest(capsys, words, said):
    assert fail(capsys, make_parser(), *words).startswith(f"error: {said}")


def test_what_follows_two_hyphens_or_holds_a_space_is_no_flag():
    flags = make_parser().parse_args(["--map=hills", "--guide", "--with a rope", "--", "--north"])
    assert flags.guide == "--with a rope" and flags.to == "--north"


def test_subcommands_have_their_own_flags(capsys):
    parser = Parser("package.walk")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in ("climb", "swim"):
        commands.add_parser(name, help="goes").add_argument(f"--{name}_far", help="how far")
    assert list(list_subcommands(parser)) == ["climb", "swim"]
    assert list_options(list_subcommands(parser)["swim"])[-1] == "--swim_far"
    assert "error: unknown command clim; did you mean climb?" in fail(capsys, parser, "clim")
    assert "error: unknown command x; give climb, swim; see " in fail(capsys, parser, "x")
    said = fail(capsys, parser, "swim", "--swim_fra=3")
    assert said.startswith("error: unknown flag --swim_fra; did you mean --swim_far? See ")
    assert "are required: COMMAND" in fail(capsys, parser)


@pytest.mark.parametrize("words", [["--debug", "climb"], ["climb", "--debug"]])
def test_debug_is_read_before_a_subcommand_and_behind_it(words):
    parser = Parser("package.walk")
    parser.add_subparsers(dest="command").add_parser("climb")
    assert is_debug(parser.parse_args(words)) and not is_debug(parser.parse_args(["climb"]))


def test_unknown_flags_are_the_callers_where_it_wants_them(capsys):
    parser = Parser("package.walk", takes_others=True)
    assert parser.parse_known_args(["--gin.X=3"])[1] == ["--gin.X=3"]
    parser = Parser("package.walk", takes_others="--gin.")
    assert parser.parse_known_args(["--gin.X=3"])[1] == ["--gin.X=3"]
    assert "error: unknown flag --gim; see " in fail(capsys, parser, "--gim")


def read_walk(*words):
    parser = Parser("package.walk")
    helps = {"goal": "where to", "pace": "steps a second", "rest": "seconds", "towns": "passed"}
    add_fields(parser, Walk, {**helps, "mood": "of the guide"}, choices={"mood": ("good", "bad")})
    return Walk(**read_fields(Walk, parser.parse_args(words)))


def test_fields_of_a_dataclass_are_flags():
    assert read_walk("--goal=north") == Walk(goal="north")
    given = read_walk("--goal=x", "--pace=3", "--rest=1.5", "--towns=Ulm,,Ulm,Jena", "--mood=bad")
    assert given == Walk(goal="x", pace=3, rest=1.5, towns=("Ulm", "Jena"), mood="bad")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--pace=3",), "--goal"),
        (("--goal=x", "--pace=slow"), "--pace"),
        (("--goal=x", "--mood=sad"), "--mood"),
    ],
)
def test_a_field_that_is_not_of_its_type_is_an_error(words, named, capsys):
    with pytest.raises(SystemExit):
        read_walk(*words)
    assert named in capsys.readouterr().err


def test_only_fields_with_flags_are_read():
    parser = Parser("package.walk")
    add_fields(parser, Walk, {"pace": "steps a second"})
    assert read_fields(Walk, parser.parse_args(["--pace=2"])) == {"pace": 2}
