"""The application without a model: under which names it may be asked, and what of streams is
counted."""

import asyncio
import contextlib
import dataclasses
import json

import pytest
from starlette.testclient import TestClient
from tiny_server import LIMITS

from sift_jax.serving.access import read_host
from sift_jax.serving.app import Application
from sift_jax.serving.errors import RequestError
from sift_jax.serving.metrics import Metrics
from sift_jax.serving.replies import EventStream
from sift_jax.serving.run_server import list_hosts

LOCAL = list_hosts("127.0.0.1", [])


def ask(hosts, name, path="/v1/models"):
    application = Application([], LIMITS, Metrics(), hosts=hosts)
    with TestClient(application.make(), base_url="http://127.0.0.1") as client:
        return client.get(path, headers={"host": name})


@pytest.mark.parametrize("path", ["/", "/v1/models", "/metrics"])
@pytest.mark.parametrize("name", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example"])
def test_a_name_that_others_have_pointed_here_is_refused(name, path):
    reply = ask(LOCAL, name, path)
    assert reply.status_code == 421
    assert "start it with --allow_host=NAME" in reply.json()["error"]["message"]


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST:80", "127.0.0.1:8000", "[::1]:8000"])
def test_names_of_this_machine_are_taken(name):
    assert ask(LOCAL, name).status_code == 200


def test_other_names_are_taken_where_they_are_given_or_the_address_is_open():
    assert ask(list_hosts("127.0.0.1", ["Ask.Example"]), "ask.example:80").status_code == 200
    assert ask(list_hosts("0.0.0.0", []), "any.example").status_code == 200
    assert ask(list_hosts("0.0.0.0", ["ask.example"]), "any.example").status_code == 421


def test_a_host_is_read_without_its_port():
    names = ["a.example", "A.example:80", "[::1]:8000", "[::1]", "", " 127.0.0.1 "]
    assert [read_host(name) for name in names] == [
        "a.example",
        "a.example",
        "::1",
        "::1",
        "",
        "127.0.0.1",
    ]


@dataclasses.dataclass
class Answering:
    """What a stream asks of an answer."""

    is_cancelled: bool = False

    def cancel(self):
        self.is_cancelled = True

    def lose_client(self):
        self.is_cancelled = True


def send_stream(events, *, send_seconds=5.0, send=None):
    """(statuses that were told, bodies that were sent) of a stream of these events."""
    told, sent = [], []

    async def take(message):
        sent.append(message)

    async def receive():
        await asyncio.Event().wait()

    stream = EventStream(
        events, Answering(), send_seconds=send_seconds, held=contextlib.ExitStack()
    )
    stream.tell_end = told.append
    asyncio.run(stream({}, receive, send or take))
    return told, [message.get("body", b"") for message in sent]


async def say_one():
    yield {"said": "one"}


async def say_one_and_fail():
    yield {"said": "one"}
    raise RequestError(500, "the model failed")


def test_a_stream_is_counted_by_how_it_ended():
    told, bodies = send_stream(say_one)
    assert told == [200] and bodies[-1] == b"data: [DONE]\n\n"
    told, bodies = send_stream(say_one_and_fail)
    assert told == [500]
    error = json.loads(bodies[-2].removeprefix(b"data: "))["error"]
    assert error["message"] == "the model failed"


def test_a_stream_that_nobody_takes_is_no_answer():
    async def hang(message):
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    told, _ = send_stream(say_one, send_seconds=0.05, send=hang)
    assert told == [499]
