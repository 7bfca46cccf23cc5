"""/v1/audio/speech: files of every format, the same draw for the same seed, beside chats."""

import io
import json

import numpy as np
import pytest
import soundfile
from tiny_server import LIMITS, NAME, make_body, run_server

import sift_jax

openai = pytest.importorskip("openai")


@pytest.fixture(scope="module")
def model(speaking_run):
    return sift_jax.load(speaking_run, rows=1)


@pytest.fixture(scope="module")
def server(model, codec_folder):
    with run_server({NAME: model.parts}, LIMITS, codec=str(codec_folder)) as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
        yield client


def speak(client, form="wav", **fields):
    said = client.audio.speech.create(
        model=NAME, input="Rain.", voice="default", response_format=form, extra_body=fields
    )
    return said.content


def test_a_text_is_said_as_speak_says_it(model, client):
    content = speak(client, temperature=0.0)
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    told, told_rate = model.speak("Rain.", temperature=0.0)
    assert rate == told_rate and len(samples) == len(told)
    assert np.abs(samples - np.clip(told, -1, 1)).max() < 1e-3


def test_a_seed_makes_it_repeatable(client):
    first = speak(client, seed=1, temperature=1.5)
    assert first == speak(client, seed=1, temperature=1.5)
    assert first != speak(client, seed=2, temperature=1.5)


@pytest.mark.parametrize("form", ["mp3", "wav", "flac", "opus", "pcm"])
def test_every_format_can_be_read(client, form):
    content = speak(client, form, seed=1)
    if form == "pcm":
        assert len(content) % 2 == 0 and content
    else:
        assert len(soundfile.read(io.BytesIO(content))[0])


def test_a_model_that_speaks_answers_in_text_too(server, client):
    assert client.models.retrieve(NAME).speaks
    assert server.post("/v1/chat/completions", make_body(max_tokens=4))[0] == 200


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input": ""}, "input must have 1 to 4096 letters"),
        ({"input": "x" * 5000}, "input must have 1 to 4096 letters"),
        ({"input": "word " * 400}, "cut it into sentences"),
        ({"voice": "alloy"}, "voice must be 'default'"),
        ({"speed": 2}, "say in instructions how it should sound"),
        ({"response_format": "wave"}, "response_format must be one of mp3, wav"),
        ({"language": "xx"}, "xx"),
        ({"speeed": 1}, "did you mean speed"),
    ],
)
def test_what_cannot_be_said_is_refused(server, fields, message):
    body = {"model": NAME, "input": "Rain.", **fields}
    status, _, told = server.post("/v1/audio/speech", body)
    assert status == 400 and message in json.loads(told)["error"]["message"], told
