"""The journal of finished calls: nothing of it is lost, and nothing of it is asked again."""

import os
import random
import threading

import pytest
from chat_server import fail, say, serve

from data_prep.llm.cached_client import CachedClient, Prices, merge_system
from data_prep.llm.chat_client import ChatClient, Endpoint
from data_prep.llm.journal import Journal, JournalError, make_key
from sift_jax.endpoints.client import CallError, EndpointError, Reply
from sift_jax.endpoints.secret import Secret

MESSAGES = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]


def make_reply(text):
    return Reply(text=text, finish="stop", prompt_tokens=3, completion_tokens=None)


def fill_journal(path, count):
    with Journal(path) as journal:
        for number in range(count):
            journal.add(make_key(number), make_reply(f"ré {number}\n"))
    return path.read_bytes()


def test_what_is_added_is_there_again(tmp_path):
    fill_journal(tmp_path / "deep" / "calls.jsonl", 5)
    with Journal(tmp_path / "deep" / "calls.jsonl") as journal:
        assert [journal.get(make_key(n)) for n in range(6)] == [
            *(make_reply(f"ré {n}\n") for n in range(5)),
            None,
        ]
        assert (
            len(journal) == 5
            and journal.prompt_tokens == 15
            and journal.damaged == journal.torn_bytes == 0
        )
        assert journal.add(make_key(2), make_reply("another")) == make_reply("ré 2\n")


def test_a_torn_tail_is_cut_wherever_it_is_torn(tmp_path):
    whole = fill_journal(tmp_path / "calls", 3)
    second = whole.index(b"\n") + 1
    third = whole.index(b"\n", second) + 1
    for end in [*range(third, len(whole), 7), len(whole) - 1]:
        (tmp_path / "calls").write_bytes(whole[:end] + b"x" * 300)
        with Journal(tmp_path / "calls") as journal:
            # shorter than what was torn
            journal.add(make_key("new"), make_reply(""))
        with Journal(tmp_path / "calls") as journal:
            assert len(journal) == 3 and journal.torn_bytes == journal.damaged == 0
        (tmp_path / "calls").write_bytes(whole[:end])
        with Journal(tmp_path / "calls") as journal:
            assert len(journal) == 2 and journal.torn_bytes == end - third
            journal.add(make_key(2), make_reply("ré 2\n"))
        assert (tmp_path / "calls").read_bytes() == whole


def test_a_changed_line_is_asked_again_and_the_others_stay(tmp_path):
    whole = bytearray(fill_journal(tmp_path / "calls", 4))
    rng = random.Random(0)
    for _ in range(20):
        changed = bytearray(whole)
        place = rng.choice([i for i in range(len(whole)) if whole[i] != 10])
        changed[place] ^= 1 << rng.randrange(3)
        (tmp_path / "calls").write_bytes(changed)
        with Journal(tmp_path / "calls") as journal:
            assert (
                len(journal) + journal.damaged + bool(journal.torn_bytes) >= 4 and len(journal) >= 2
            )
            for number in range(4):
                assert journal.get(make_key(number)) in (None, make_reply(f"ré {number}\n"))


def test_a_change_under_way_is_noticed(tmp_path):
    with Journal(tmp_path / "calls") as journal:
        journal.add(make_key(1), make_reply("x"))
        with (tmp_path / "calls").open("r+b") as file:
            file.seek(30)
            file.write(b"#")
        with pytest.raises(JournalError, match="start again"):
            journal.get(make_key(1))


def test_two_runs_cannot_hold_it(tmp_path):
    with Journal(tmp_path / "calls"), pytest.raises(JournalError, match="another run"):
        Journal(tmp_path / "calls")


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    before = fill_journal(tmp_path / "calls", 1)
    with Journal(tmp_path / "calls") as journal:
        real, calls = os.pwrite, []

        def write_half(file, data, place):
            calls.append(len(data))
            if len(calls) > 1:
                raise OSError(28, "No space left on device")
            return real(file, data[: len(data) // 2], place)

        monkeypatch.setattr(os, "pwrite", write_half)
        with pytest.raises(JournalError, match="No space left on device; make room"):
            journal.add(make_key("new"), make_reply("x"))
    assert (tmp_path / "calls").read_bytes() == before


def test_all_that_matters_is_in_the_key_and_order_is_not():
    assert make_key({"a": 1, "b": 2}) == make_key({"b": 2, "a": 1}) != make_key({"a": 1, "b": 3})
    assert make_key("\ud800") != make_key("?")


def make_cached(server, journal, **changes):
    version = changes.pop("version", "1")
    endpoint = Endpoint(
        **(
            {"url": server.url, "model": "m", "attempts": 2, "longest_wait": 0.01, "concurrency": 4}
            | changes
        )
    )
    return CachedClient(ChatClient(endpoint, Secret("")), journal, version=version)


def test_the_same_question_is_asked_once(tmp_path):
    with (
        serve(lambda number, body: say(f"answer {number}")) as server,
        Journal(tmp_path / "calls") as journal,
    ):
        first = make_cached(server, journal)
        assert {first.ask(MESSAGES, {"temperature": 0.7}).text for _ in range(3)} == {"answer 0"}
        assert make_cached(server, journal).ask(MESSAGES, {"temperature": 0.7}).text == "answer 0"
        others = [
            ({"temperature": 0.8}, {}),
            ({"temperature": 0.7}, {"model": "n"}),
            ({"temperature": 0.7}, {"version": "2"}),
            ({"temperature": 0.7}, {"use_system_role": False}),
            ({"temperature": 0.7}, {"extra": {"temperature": None, "seed": 3}}),
        ]
        answers = [
            make_cached(server, journal, **how).ask(MESSAGES, what).text for what, how in others
        ]
        assert answers == [f"answer {number}" for number in range(1, 6)]
    assert (
        server.bodies[4]["messages"]
        == merge_system(MESSAGES)
        == [{"role": "user", "content": "be brief\n\nhi"}]
    )
    assert server.bodies[5] == {"model": "m", "messages": MESSAGES, "seed": 3}
    report = first.report(Prices(prompt=1.0, completion=10.0))
    assert report["this_run"] == {
        "calls": 1,
        "from_journal": 2,
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "calls_without_token_counts": 0,
        "cost": 0.0002,
        "attempts": {"ok": 1},
    }
    assert report["journal"]["calls"] == 6 and report["journal"]["cost"] == 0.0012


def test_results_keep_their_order_and_calls_run_at_once(tmp_path):
    def decide(number, body):
        return {**say(body["messages"][0]["content"]), "seconds": 0.02 * (number % 3)}

    with serve(decide) as server, Journal(tmp_path / "calls") as journal:
        client = make_cached(server, journal)
        asked = [f"question {n}" for n in range(30)]
        replies = client.map(
            lambda text: client.ask([{"role": "user", "content": text}], {}).text, asked
        )
        assert list(replies) == asked
    assert 2 <= server.most_at_once <= 4


def test_an_endpoint_that_is_down_stops_the_run_and_leaves_no_thread(tmp_path):
    before = threading.active_count()
    with serve(lambda *_: fail(500)) as server, Journal(tmp_path / "calls") as journal:
        client = make_cached(server, journal, concurrency=2)

        def ask(number):
            try:
                return client.ask([{"role": "user", "content": str(number)}], {})
            except CallError:
                return None

        with pytest.raises(EndpointError, match="in a row came to nothing"):
            list(client.map(ask, range(1000)))
        assert len(server.bodies) < 30
    assert threading.active_count() <= before + 1
