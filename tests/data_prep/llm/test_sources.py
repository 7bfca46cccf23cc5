"""Metadata that is wrong in any way is skipped; what is left can be asked about without an
exception."""

import copy
import json
import random

from fake_metadata import write_metadata

from data_prep.instructions.llm import metadata_reader as sources_module
from data_prep.instructions.llm.briefs import draw_briefs
from data_prep.instructions.llm.instruction_sets import SETS
from data_prep.instructions.llm.metadata_reader import Sources
from data_prep.instructions.llm.prompts import make_messages
from data_prep.instructions.llm.requests import Request, Skipped, list_differences, make_request

JUNK = [
    None,
    "",
    0,
    -1,
    1e300,
    float("inf"),
    True,
    [],
    {},
    [None],
    {"a": 1},
    "\x00",
    "x" * 5000,
    "\ud800",
    "../..",
    ["a", "b"],
    {"average_pitch": "very high pitch"},
    "very high pitch",
    -0.0,
    "ünïcode\u2028",
]
_LINES = 3000


def list_places(value, path=()):
    """The paths of everything in a JSON value."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, item in items for place in list_places(item, (*path, key)))]


def damage(line, rng):
    """A copy with one or two values replaced by junk, or lost."""
    line = copy.deepcopy(line)
    for _ in range(rng.randrange(1, 3)):
        # never the whole; what an earlier damage has removed is not there
        *way, last = rng.choice(list_places(line)[1:])
        holder = line
        for key in way:
            holder = holder[key]
        if rng.random() < 0.3:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(rng.choice(JUNK))
    return line


def test_damaged_metadata_never_stops_the_run(tmp_path):
    rng = random.Random(0)
    good = [
        json.loads(line)
        for line in write_metadata(tmp_path / "good.jsonl", languages=("fr",), sizes={"train": 20})
        .read_text()
        .splitlines()
    ]
    with (tmp_path / "m.jsonl").open("wb") as out:
        for number in range(_LINES):
            line = {**rng.choice(good), "id": f"u{number}"}
            text = json.dumps(damage(line, rng)).encode()
            if rng.random() < 0.1:
                place = rng.randrange(len(text))
                text = (
                    text[:place]
                    + rng.randbytes(2).replace(b"\n", b"")
                    + text[place + rng.randrange(9) :]
                )
            out.write(text + b"\n")
    sources = Sources(tmp_path / "m.jsonl")
    assert len(sources) + len(sources.rejected) == sources.lines == _LINES
    assert len(sources) > 100 and len(sources.rejected) > 500
    places = sources.draw("train", "fr", None, 0)
    asked = 0
    for name in SETS:
        for request in sources.make_requests(name, places, 0):
            assert isinstance(request, Request | Skipped)
            if isinstance(request, Request):
                messages = make_messages(request, draw_briefs(request, 3, rng), salt="")
                json.dumps(messages, ensure_ascii=False).encode()
                asked += 1
    assert asked > 5 * len(places)


def test_pairs_differ_in_something_that_can_be_heard(tmp_path):
    path = write_metadata(tmp_path / "m.jsonl", languages=("en",), sizes={"train": 40})
    sources = Sources(path)
    lines = {line["id"]: line for line in map(json.loads, path.read_text().splitlines())}
    requests = list(
        sources.make_requests("closed_ended/comparison", sources.draw("train", "en", None, 0), 0)
    )
    assert len(requests) == 40 and len({request.ids[0] for request in requests}) == 40
    for request in requests:
        first, second = (lines[identity] for identity in request.ids)
        assert first["id"] != second["id"] and list_differences(first, second)
        assert len(request.data["they differ in"]) == len(list_differences(first, second))
    one = lines[requests[0].ids[0]]
    alike = make_request("closed_ended/comparison", [one, {**one, "id": "twin"}])
    assert alike == Skipped(ids=(one["id"], "twin"), reason="no audible difference")
    # pitch without a frequency or a gender is not compared
    for lost in ({"values": {}}, {"gender": None}):
        assert "average_pitch" not in list_differences({**one, **lost}, lines[requests[0].ids[1]])


def test_a_limit_draws_the_same_utterances_each_time(tmp_path):
    path = write_metadata(tmp_path / "m.jsonl", languages=("en",), sizes={"train": 30})
    drawn = Sources(path).draw("train", "en", 10, 1)
    assert drawn == sorted(drawn) == Sources(path).draw("train", "en", 10, 1)
    assert drawn != Sources(path).draw("train", "en", 10, 2)
    assert (
        len(Sources(path).draw("train", "en", 99, 1)) == 30
        and Sources(path).draw("train", "de", 10, 1) == []
    )


def test_four_neighbours_are_tried_for_a_difference(tmp_path, monkeypatch):
    lines = (
        write_metadata(tmp_path / "m.jsonl", languages=("en",), sizes={"train": 7})
        .read_text()
        .splitlines()
    )
    same = json.loads(lines[0])
    (tmp_path / "m.jsonl").write_text(
        "".join(json.dumps({**same, "id": f"u{i}"}) + "\n" for i in range(7))
    )
    tried = []
    monkeypatch.setattr(
        sources_module, "list_differences", lambda first, other: tried.append(other["id"])
    )
    sources = Sources(tmp_path / "m.jsonl")
    places = sources.draw("train", "en", None, 0)
    assert len(list(sources.make_requests("closed_ended/comparison", places, 0))) == 7
    assert len(tried) == 7 * 4
    tried.clear()
    assert (
        len(list(sources.make_requests("closed_ended/comparison", places[:3], 0))) == 3
        and len(tried) == 3 * 2
    )


def test_languages_that_nobody_asks_about_are_no_fault(tmp_path):
    lines = (
        write_metadata(tmp_path / "m.jsonl", languages=("en",), sizes={"train": 2})
        .read_text()
        .splitlines()
    )
    changed = [
        json.dumps({**json.loads(line), "language": language, "id": language})
        for line, language in zip(lines, ("ca", "tlh"), strict=True)
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(changed))
    sources = Sources(tmp_path / "m.jsonl")
    assert len(sources) == len(sources.rejected) == 1 and "tlh" in sources.rejected[0]["detail"]
