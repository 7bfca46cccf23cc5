"""The requests of others' harnesses, of exactly the shape that their clients send, by OpenAI's own
client to a real server."""

import base64
import io

import pytest
import soundfile
from tiny_server import LIMITS, make_clip, run_server

import sift_jax

openai = pytest.importorskip("openai")
# the name that VoiceBench's client has in its code
NAME = "gpt-4o-audio-preview"
CLIP = make_clip(1, 0.6)
HEARD = {"type": "input_audio", "input_audio": {"data": CLIP, "format": "wav"}}
SYSTEM = "You help whoever speaks to you."


@pytest.fixture(scope="module")
def model(trained_run):
    return sift_jax.load(trained_run, rows=1)


@pytest.fixture(scope="module")
def client(model):
    with (
        run_server({NAME: model.parts}) as server,
        openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as client,
    ):
        yield client


def make_voicebench_request(max_tokens):
    """A system turn, then a recording without any text."""
    return {
        "model": NAME,
        "modalities": ["text"],
        "max_tokens": max_tokens,
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": [HEARD]},
        ],
    }


def make_ultraeval_request(**sample_params):
    """What a prompt of its registry holds, in its order; a lone text is a string."""
    return {
        "model": NAME,
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": [HEARD, {"type": "text", "text": "Is it loud?"}]},
        ],
        "modalities": ["text"],
        **sample_params,
    }


def make_lmms_eval_request():
    """The simple variant, of a task that hands over files: the text, then the recording."""
    content = [{"type": "text", "text": "Is it loud?"}, HEARD]
    return {
        "model": NAME,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 12,
        "temperature": 0.0,
    }


def decode():
    return soundfile.read(io.BytesIO(base64.b64decode(CLIP)), dtype="float32")


@pytest.mark.parametrize(
    "request_of",
    [
        lambda: make_voicebench_request(12),
        lambda: make_ultraeval_request(max_tokens=12, temperature=0),
        make_lmms_eval_request,
    ],
    ids=["voicebench", "ultraeval_audio", "lmms_eval"],
)
def test_a_harness_is_answered_and_its_recording_heard(client, request_of):
    reply = client.chat.completions.create(**request_of())
    assert isinstance(reply.choices[0].message.content, str)
    # usage is what lmms-eval counts tokens by
    assert reply.usage.prompt_tokens_details.audio_tokens > 0
    assert 0 < reply.usage.completion_tokens <= 12 and reply.model == NAME


def test_a_recording_without_a_word_beside_it_is_answered(client):
    request = make_voicebench_request(12)
    asked = {**request, "messages": request["messages"][1:]}
    told, again = (client.chat.completions.create(**asked) for _ in range(2))
    assert told.usage.completion_tokens > 0
    assert told.choices[0].message.content == again.choices[0].message.content


def test_an_answer_that_does_not_fit_is_refused_and_not_cut(client):
    with pytest.raises(openai.BadRequestError, match="lower max_tokens") as refused:
        client.chat.completions.create(**make_voicebench_request(2048))
    assert refused.value.code == "context_length_exceeded" and LIMITS.positions < 2048
