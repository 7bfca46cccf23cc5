"""Shards side by side through the engine: the same rows as one after another, each finished
once."""

import json

import pytest
from chat_server import serve
from fake_metadata import write_metadata
from fake_writer import answer_well

from data_prep.instruct import main
from data_prep.instructions.llm.shards import add_reports
from data_prep.instructions.llm.write import Plan, write_llm_instructions
from data_prep.llm.chat_client import Endpoint

_PLAN = {
    "languages": ("en",),
    "splits": ("train",),
    "sets": ("open_ended", "closed_ended/comparison"),
    "pairs": 3,
}


@pytest.fixture(scope="module")
def metadata(tmp_path_factory):
    return write_metadata(
        tmp_path_factory.mktemp("metadata") / "metadata.jsonl",
        languages=("en",),
        sizes={"train": 9},
    )


def read_rows(out):
    return {
        str(path.relative_to(out)): path.read_bytes() for path in (out / "sift").rglob("*.jsonl")
    }


def run(metadata, out, server, *more):
    main(
        [
            f"--metadata={metadata}",
            f"--out={out}",
            f"--endpoint={server.url}",
            "--model=m",
            "--pairs=3",
            "--concurrency=4",
            *(f"--{name}={','.join(_PLAN[name])}" for name in ("languages", "splits", "sets")),
            *more,
        ]
    )


def test_side_by_side_is_as_one_after_another(metadata, tmp_path, capsys):
    with serve(lambda number, body: answer_well(body)) as server:
        endpoint = Endpoint(url=server.url, model="m", concurrency=4)
        single = [
            write_llm_instructions(
                metadata,
                tmp_path / "one",
                endpoint=endpoint,
                plan=Plan(**_PLAN, shard=shard, shards=3),
            )
            for shard in range(3)
        ]
        calls = len(server.bodies)
    with serve(lambda number, body: answer_well(body)) as server:
        run(metadata, tmp_path / "two", server, "--shards=3", "--workers=2")
        assert len(server.bodies) == calls
    assert (
        read_rows(tmp_path / "two") == read_rows(tmp_path / "one")
        and len(read_rows(tmp_path / "one")) == 6
    )
    report = json.loads((tmp_path / "two" / "report.json").read_text())
    assert report["rows"]["open_ended"]["train"]["en"] == 27 and report["utterances"] == 9
    assert report["items"] == sum(one["items"] for one in single)
    assert report["ledger"]["writer"]["this_run"]["calls"] == calls
    said = capsys.readouterr().out
    assert f"{report['items']} items = " in said
    # what is finished is not looked at again; what was asked for in another way is, with the calls
    # that are the same
    with serve(lambda number, body: answer_well(body)) as server:
        (tmp_path / "two" / "sift").rename(tmp_path / "two" / "kept")
        run(
            metadata,
            tmp_path / "two",
            server,
            "--shards=3",
            "--workers=1",
            f"--endpoint={server.url}",
        )
        assert not server.bodies and read_rows(tmp_path / "two") == read_rows(tmp_path / "one")


def test_a_shard_that_fails_does_not_stop_the_others(metadata, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "calls-1-of-3.jsonl").mkdir()
    with serve(lambda number, body: answer_well(body)) as server:
        with pytest.raises(SystemExit, match="calls-1-of-3.jsonl.*what is finished is kept"):
            run(metadata, tmp_path / "out", server, "--shards=3", "--workers=1")
        assert len(list((tmp_path / "out" / "parts").rglob("*-of-3.json"))) == 2
        (tmp_path / "out" / "calls-1-of-3.jsonl").rmdir()
        before = len(server.bodies)
        run(metadata, tmp_path / "out", server, "--shards=3", "--workers=1")
        assert len(server.bodies) - before == before // 2


@pytest.mark.parametrize(
    "flags, message",
    [(["--shards=0"], "shard 0 of 0"), (["--shards=2", "--workers=0"], "--workers=0 is too small")],
)
def test_a_wrong_number_is_one_line(metadata, tmp_path, flags, message):
    with (
        serve(lambda number, body: answer_well(body)) as server,
        pytest.raises(SystemExit, match=message),
    ):
        run(metadata, tmp_path, server, *flags)


def test_reports_add_up():
    first = {
        "utterances": 9,
        "items": 3,
        "drops": {"a": 1},
        "ledger": {"price_of_a_million": {"prompt": 2.0}},
    }
    second = {
        "utterances": 9,
        "items": 4,
        "drops": {"b": 2},
        "ledger": {"price_of_a_million": {"prompt": 2.0}},
    }
    assert add_reports(first, second) == {**first, "items": 7, "drops": {"a": 1, "b": 2}}
