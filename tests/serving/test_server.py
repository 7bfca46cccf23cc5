"""The server with OpenAI's own client: answers are `ask`'s, whole and streamed, one or sixteen at
once; a client that goes away frees its slot, and a server that is stopped answers what it has."""

import base64
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest
from serving_load import Clients
from tiny_corpus import make_noise
from tiny_server import LIMITS, NAME, make_body, make_clip, make_turn, run_server

import sift_jax
from sift_jax.pretrained import Model

openai = pytest.importorskip("openai")
ROOT = Path(__file__).parents[2]
FIRST, SECOND = (1, 0.6), (2, 1.1)


@pytest.fixture(scope="module")
def model(trained_run):
    return sift_jax.load(trained_run, rows=1)


@pytest.fixture(scope="module")
def server(model):
    with run_server({NAME: model.parts}) as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
        yield client


def complete(client, text, *clips, **fields):
    messages = [make_turn(text, *(make_clip(*clip) for clip in clips))]
    return client.chat.completions.create(model=NAME, messages=messages, **fields)


def read_samples(*clips):
    """What `ask` is given for the same files: 16-bit, as WAV has them."""
    import io

    import soundfile

    return [
        soundfile.read(io.BytesIO(base64.b64decode(make_clip(*clip))), dtype="float32")
        for clip in clips
    ]


def ask(model, text, *clips, **options):
    return model.ask(read_samples(*clips) or None, text, **options)


def test_an_answer_is_that_of_ask(model, client):
    for clips in ((), (FIRST,), (FIRST, SECOND)):
        reply = complete(client, "Is it loud?", *clips, max_tokens=12)
        assert reply.choices[0].message.content == ask(
            model, "Is it loud?", *clips, max_new_tokens=12
        )
        assert reply.model == NAME and reply.choices[0].finish_reason in ("stop", "length")
        assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
        details = reply.usage.prompt_tokens_details
        assert bool(clips) == (details.audio_tokens > 0)


def test_a_draw_is_that_of_ask_with_the_same_seed(model, client):
    for seed, top_p in ((1, 0.9), (2, 1.0)):
        options = {"temperature": 0.9, "top_p": top_p, "seed": seed}
        reply = complete(client, "Is it loud?", FIRST, max_tokens=12, **options)
        told = ask(model, "Is it loud?", FIRST, max_new_tokens=12, **options)
        assert reply.choices[0].message.content == told
    drawn = {
        complete(client, "Is it loud?", max_tokens=12, temperature=2.0).choices[0].message.content
        for _ in range(4)
    }
    assert len(drawn) > 1


def test_a_stream_joins_to_the_answer(client):
    options = {"temperature": 1.5, "seed": 3, "max_tokens": 24}
    whole = complete(client, "Is it loud?", FIRST, **options)
    usage = {"stream_options": {"include_usage": True}}
    chunks = list(complete(client, "Is it loud?", FIRST, stream=True, **usage, **options))
    assert chunks[0].choices[0].delta.role == "assistant"
    said = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(said) == whole.choices[0].message.content and len(said) > 3
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert reasons[-1] == whole.choices[0].finish_reason and not any(reasons[:-1])
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_turns_are_a_conversation(model, client):
    talk = model.chat(max_new_tokens=8)
    talk.hear(read_samples(FIRST)[0])
    first, second = talk.ask("Is it loud?"), talk.ask("And fast?")
    messages = [make_turn("Is it loud?", make_clip(*FIRST))]
    for answer in (first, second):
        reply = client.chat.completions.create(model=NAME, messages=messages, max_tokens=8)
        assert reply.choices[0].message.content == answer
        messages += [
            {"role": "assistant", "content": answer},
            {"role": "user", "content": "And fast?"},
        ]


def test_a_second_question_reuses_the_recording(client):
    clip = (11, 1.5)
    first = complete(client, "Is it loud?", clip, max_tokens=4)
    again = complete(client, "How fast is it?", clip, max_tokens=4)
    assert first.usage.prompt_tokens_details.cached_tokens == 0
    details = again.usage.prompt_tokens_details
    assert details.cached_tokens > details.audio_tokens > 0


def test_a_stop_ends_the_answer_and_is_no_part_of_it(client):
    options = {"temperature": 1.5, "seed": 3, "max_tokens": 24}
    text = complete(client, "Is it loud?", FIRST, **options).choices[0].message.content
    stop = text[len(text) // 2 : len(text) // 2 + 3]
    told = text[: text.index(stop)].rstrip()
    for stops in (stop, ["\x00never", stop]):
        cut = complete(client, "Is it loud?", FIRST, stop=stops, **options)
        assert cut.choices[0].message.content == told and cut.choices[0].finish_reason == "stop"
        chunks = complete(client, "Is it loud?", FIRST, stop=stops, stream=True, **options)
        assert "".join(c.choices[0].delta.content or "" for c in chunks) == told


def test_sixteen_at_once_are_each_answered_as_alone(server, client):
    asked = [
        (f"Question {i}?", ((FIRST,), (), (FIRST, SECOND), (SECOND,))[i % 4], i) for i in range(16)
    ]

    def answer(question):
        text, clips, seed = question
        options = {"temperature": 1.0 * (seed % 2), "seed": seed, "max_tokens": 10 + seed}
        return complete(client, text, *clips, **options).choices[0].message.content

    alone = [answer(question) for question in asked]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(answer, asked)) == alone
    assert server.wait_until_idle()


def test_a_client_that_goes_away_frees_its_slot(server):
    body = json.dumps(make_body("word " * 40, max_tokens=700, temperature=2.0, stream=True))
    before = server.application.metrics.write()
    for is_read in (True, False):
        with socket.create_connection((server.host, server.port)) as raw:
            raw.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                + f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            if is_read:
                assert b"200" in raw.recv(1000)
        assert server.wait_until_idle()
    # in the middle of a body, too
    with socket.create_connection((server.host, server.port)) as raw:
        raw.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n{"
        )
    assert server.wait_until_idle() and before != server.application.metrics.write()


def test_models_health_and_metrics(server, client):
    (listed,) = client.models.list().data
    assert listed.id == NAME and client.models.retrieve(NAME).id == NAME
    assert listed.window_seconds == 2.0 and not listed.speaks
    status, health = server.get("/health")
    assert status == 200 and json.loads(health)["status"] == "ok"
    complete(client, "Is it loud?", max_tokens=2)
    status, page = server.get("/metrics")
    assert status == 200 and "# TYPE sift_tokens_total counter" in page
    for name in ("sift_requests_total", "sift_step_seconds_bucket", "sift_waiting"):
        assert f"\n{name}{{" in page
    assert 'status="200"' in page and 'le="+Inf"' in page


def test_a_full_queue_tells_when_to_come_again(model):
    small = dataclasses.replace(LIMITS, slots=1, queue=1)
    with run_server({NAME: model.parts}, small) as server:
        slow = make_body("word " * 40, max_tokens=700, temperature=2.0)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: server.post("/v1/chat/completions", slow), range(4)))
        refused = [headers for status, headers, _ in found if status == 429]
        assert refused and all(int(headers["retry-after"]) >= 1 for headers in refused)
        assert {status for status, _, _ in found} == {200, 429}
        assert server.post("/v1/chat/completions", make_body(max_tokens=1))[0] == 200


def test_keys_are_asked_for_where_there_are_some(model, monkeypatch):
    monkeypatch.setenv("SIFT_SERVE_KEYS", "first-key, second-key")
    with run_server({NAME: model.parts}) as server:
        for key, status in (("first-key", 200), ("second-key", 200), ("third-key", 401)):
            with openai.OpenAI(base_url=server.url, api_key=key, max_retries=0) as client:
                if status == 200:
                    complete(client, "Is it loud?", max_tokens=1)
                else:
                    with pytest.raises(openai.AuthenticationError):
                        client.models.list()
        assert server.post("/v1/chat/completions", make_body())[0] == 401
        assert server.get("/health")[0] == server.get("/metrics")[0] == 200


def test_what_runs_is_finished_and_nothing_more_is_taken(model):
    with run_server({NAME: model.parts}) as server:
        body = make_body("Is it loud?", max_tokens=200, temperature=2.0, seed=1)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(server.post, "/v1/chat/completions", body)
            while not server.application.gate.inside:
                time.sleep(0.01)
            server.stop()
            assert running.result()[0] == 200
        with pytest.raises(OSError):
            server.post("/v1/chat/completions", body)


def test_what_takes_too_long_to_finish_is_told(model):
    with run_server({NAME: model.parts}, drain_seconds=0.0) as server:
        body = make_body("Is it loud?", max_tokens=900, temperature=2.0, seed=1)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(server.post, "/v1/chat/completions", body)
            while not server.application.gate.inside:
                time.sleep(0.01)
            server.stop()
            status, _, told = running.result()
        assert status == 503 and json.loads(told)["error"]["code"] == "stopping"


def test_a_turn_that_fails_is_an_answer_and_others_go_on(server, client, monkeypatch):
    (service,) = server.application.services.values()

    def fail(seat):
        raise FloatingPointError("no such number")

    monkeypatch.setattr(service._decoder, "step", lambda: fail(None))
    with pytest.raises(openai.InternalServerError, match="the model failed"):
        complete(client, "Is it loud?", max_tokens=4)
    monkeypatch.undo()
    monkeypatch.setattr(service._decoder, "feed", fail)
    with pytest.raises(openai.InternalServerError, match="the model failed"):
        complete(client, "Is it loud?", max_tokens=4)
    monkeypatch.undo()
    assert complete(client, "Is it loud?", max_tokens=4).usage.completion_tokens
    assert server.wait_until_idle()


def test_numbers_that_are_not_finite_end_their_answer_alone(model):
    """A recording that the model hears as NaN: an error with a code, counted; text is answered."""
    projector = jax.tree.map(lambda x: np.full_like(x, np.nan), model.parts.params["projector"])
    params = {**model.parts.params, "projector": projector}
    with (
        run_server({NAME: dataclasses.replace(model.parts, params=params)}) as server,
        openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as client,
    ):
        with ThreadPoolExecutor(2) as pool:
            beside = pool.submit(complete, client, "Is it loud?", max_tokens=12)
            with pytest.raises(openai.InternalServerError, match="not finite") as told:
                complete(client, "Is it loud?", FIRST, max_tokens=4)
            assert told.value.code == "not_finite"
            told = model.ask(None, "Is it loud?", max_new_tokens=12)
            assert beside.result().choices[0].message.content == told
        events = complete(client, "Is it loud?", FIRST, max_tokens=4, stream=True)
        with pytest.raises(openai.APIError, match="not finite"):
            list(events)
        assert server.wait_until_idle()
        assert f'sift_not_finite_total{{model="{NAME}"}} 2' in server.get("/metrics")[1]


def test_a_command_serves_and_a_signal_ends_it_with_status_0(trained_run):
    command = [sys.executable, "-m", "sift_jax.serve", f"--checkpoint={trained_run}", "--name=tiny"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, "--port=0", "--no_warm_up", "--max_length=1000", "--slots=4"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        url = process.stdout.readline().split()[-1]
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
            answers = []
            asking = threading.Thread(
                target=lambda: answers.append(complete(client, "Is it loud?", max_tokens=8))
            )
            asking.start()
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            asking.join(timeout=120)
        _, said = process.communicate(timeout=60)
    assert answers and answers[0].choices
    assert process.returncode == 0 and said.startswith("stopping: ") and "Traceback" not in said


def test_a_port_that_is_taken_is_told_before_a_model_is_loaded(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "sift_jax.serve", f"--checkpoint={tmp_path}", f"--port={port}"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: 127.0.0.1:{port} cannot be listened at")


def test_two_models_are_served_side_by_side(model):
    other = dataclasses.replace(model.parts, params=model.parts.forget().params)
    models: dict[str, Model] = {"one": model.parts, "other": other}
    with (
        run_server(models) as server,
        openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as client,
    ):
        assert [found.id for found in client.models.list().data] == ["one", "other"]
        said = {
            name: client.chat.completions.create(
                model=name, messages=[make_turn("Is it loud?")], max_tokens=12
            )
            .choices[0]
            .message.content
            for name in models
        }
        assert said["one"] == model.ask(None, "Is it loud?", max_new_tokens=12) != said["other"]
        with pytest.raises(openai.NotFoundError, match="did you mean one"):
            client.chat.completions.create(model="oen", messages=[make_turn("Is it?")])


def test_make_noise_is_what_a_client_sends():
    samples, rate = read_samples(FIRST)[0]
    assert rate == 16_000 and np.abs(samples - make_noise(*FIRST)).max() < 1e-4


def test_sixteen_clients_good_and_bad_are_all_answered(server):
    clients = Clients(server.host, server.port, seconds=0.8)
    clients.run(16, 6.0)
    assert not clients.wrong, clients.wrong[:5]
    assert {kind for kind, _ in clients.told} >= {"whole", "stream", "killed", "broken", "huge"}
    assert server.wait_until_idle()
