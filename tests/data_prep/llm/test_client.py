"""The client against a real HTTP server: what is retried, skipped or stops the run, and who sees
the key."""

import copy
import pickle
import time

import pytest
from chat_server import fail, say, serve

from data_prep.llm.chat_client import ChatClient, Endpoint
from data_prep.recognition.asr_endpoint import parse_transcription
from sift_jax.endpoints.client import CallError, EndpointError, parse_completion, parse_retry_after
from sift_jax.endpoints.secret import Secret, read_secret

KEY = "sk-not-to-be-seen/42"
BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def make_client(url, **changes):
    settings = {
        "url": url,
        "model": "m",
        "seconds": 0.4,
        "attempts": 4,
        "longest_wait": 0.02,
    } | changes
    return ChatClient(Endpoint(**settings), Secret(KEY))


def cut(answer):
    return {**answer, "missing": 5}


PASSING = [
    (fail(429), "http 429"),
    (fail(500), "http 500"),
    (fail(503, **{"Retry-After": "0"}), "http 503"),
    (cut(say("good")), "broken answer"),
    ({"status": 200, "body": b'{"choices": [{"mes'}, "broken answer"),
    (say(""), "empty answer"),
    ({"status": 200, "body": b""}, "broken answer"),
    ({**say("late"), "seconds": 0.7}, "slow"),
    ({**say("drips"), "drop_bytes": 8, "drop_seconds": 0.1}, "slow"),
    ({"status": 200, "body": b'{"choices": []}'}, "broken answer"),
]


@pytest.mark.parametrize("answer, name", PASSING)
def test_what_may_pass_is_tried_again(answer, name):
    with serve(lambda number, body: answer if number == 0 else say("good")) as server:
        client = make_client(server.url)
        reply = client.complete(BODY)
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ("good", 100, 10)
    assert client.outcomes == {name: 1, "ok": 1} and server.bodies == [BODY, BODY]


def test_attempts_end():
    with (
        serve(lambda *_: fail(500, f"down; your key is {KEY}")) as server,
        pytest.raises(CallError) as stop,
    ):
        make_client(server.url).complete(BODY)
    assert (
        stop.value.reason == "http 500"
        and "at attempt 4" in str(stop.value)
        and len(server.bodies) == 4
    )
    assert KEY not in repr(stop.value) and "***" in str(stop.value)


def test_a_call_that_is_refused_is_not_repeated():
    with (
        serve(lambda *_: fail(400, "too long")) as server,
        pytest.raises(CallError, match="http 400: too long"),
    ):
        make_client(server.url).complete(BODY)
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "status, remedy",
    [
        (401, "SIFT_LLM_KEY"),
        (403, "SIFT_LLM_KEY"),
        (404, "--model"),
        (302, "has moved"),
        (402, "account"),
    ],
)
def test_what_no_call_can_pass_stops_the_run(status, remedy):
    with (
        serve(lambda *_: fail(status, f"bad key {KEY}", Location="/elsewhere")) as server,
        pytest.raises(EndpointError, match=remedy) as stop,
    ):
        make_client(server.url).complete(BODY)
    assert (
        len(server.bodies) == 1
        and KEY not in str(stop.value)
        and len(str(stop.value).splitlines()) == 1
    )


def test_retries_of_a_run_are_limited():
    with serve(lambda *_: fail(500)) as server:
        client = make_client(server.url, attempts=100, retries=5)
        with pytest.raises(EndpointError, match="5 retries are spent"):
            client.complete(BODY)
    assert len(server.bodies) == 6


def test_retry_after_is_obeyed_by_all_calls_up_to_the_longest_wait():
    answers = [
        fail(429, **{"Retry-After": "0.3"}),
        say("one"),
        fail(429, **{"Retry-After": "99"}),
        say("two"),
    ]
    with serve(lambda number, body: answers[number]) as server:
        client = make_client(server.url, longest_wait=5)
        start = time.monotonic()
        client.complete(BODY)
        assert server.times[1] - start >= 0.3
        start = time.monotonic()
        make_client(server.url, longest_wait=0.01).complete(BODY)
        assert time.monotonic() - start < 3
    assert [parse_retry_after(text) for text in ("2", "-1", "soon", "", None, "nan")] == [
        2,
        0,
        None,
        None,
        None,
        None,
    ]
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_nobody_there():
    with serve(lambda *_: say("x")) as server:
        pass
    with pytest.raises(CallError) as stop:
        make_client(server.url, attempts=2).complete(BODY)
    assert stop.value.reason == "no connection"


def test_the_key_travels_only_in_its_header(monkeypatch):
    with serve(lambda *_: say(f"your key is {KEY}")) as server:
        reply = make_client(server.url).complete(BODY)
        ChatClient(Endpoint(url=server.url, model="m"), Secret("")).complete(BODY)
    assert (
        server.headers[0]["Authorization"] == f"Bearer {KEY}"
        and "Authorization" not in server.headers[1]
    )
    assert reply.text == "your key is ***"
    secret = Secret(KEY)
    for shown in (repr(secret), str(secret), f"{secret}", repr(vars(make_client("http://h/v1")))):
        assert KEY not in shown
    for spread in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            spread(secret)
    assert (
        secret.scrub("a sk-not-to-be-seen%2F42 b") == "a *** b"
        and Secret("EMPTY").scrub("EMPTY") == "EMPTY"
    )
    monkeypatch.setenv("A_KEY", f"{KEY}\n")
    assert read_secret("A_KEY").reveal() == KEY and not read_secret("NO_SUCH_KEY")
    monkeypatch.setenv("A_KEY", f"{KEY}\r\nX-Other: 1")
    with pytest.raises(ValueError, match="A_KEY holds a space") as stop:
        read_secret("A_KEY")
    assert KEY not in str(stop.value)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"url": "localhost:8000"}, "http://localhost:8000/v1"),
        ({"url": "file:///etc/passwd"}, "no http address"),
        ({"url": f"http://me:{KEY}@host/v1"}, r"put the key into \$SIFT_LLM_KEY"),
        ({"model": ""}, "no model"),
        ({"concurrency": 0}, "concurrency=0"),
        ({"attempts": 0}, "attempts=0"),
    ],
)
def test_a_wrong_endpoint_is_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as stop:
        Endpoint(**({"url": "http://h/v1", "model": "m"} | changes))
    assert KEY not in str(stop.value)


# bodies that hold the key where a detail is cut: at 40, 80 and 200 letters
@pytest.mark.parametrize("before", [30, 61, 70, 185, 195])
@pytest.mark.parametrize(
    "path, parse",
    [("/chat/completions", parse_completion), ("/audio/transcriptions", parse_transcription)],
)
@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_no_piece_of_the_key_outlives_a_cut(before, path, parse, status):
    with (
        serve(
            lambda *_: {"status": status, "body": (" x" * before)[:before].encode() + KEY.encode()}
        ) as server,
        pytest.raises((CallError, EndpointError)) as stop,
    ):
        make_client(server.url, attempts=1).call(path, b"{}", "application/json", parse)
    shown = str(stop.value)
    assert not any(KEY[i : i + 8] in shown for i in range(len(KEY) - 7)), shown
