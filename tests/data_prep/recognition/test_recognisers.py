"""Recognisers: a real HTTP server that hears what it is sent, one that fails, the sentences of a
build."""

import contextlib
import email
import http.server
import io
import json
import threading

import numpy as np
import pytest
import soundfile

from data_prep.generation.__main__ import make_hearing, parse_flags
from data_prep.instructions.memory_shares import _REQUIRED
from data_prep.llm import chat_client
from data_prep.llm.chat_client import Endpoint
from data_prep.recognition.bigram_lm import make_arpa, write_build_model
from data_prep.recognition.recognisers import Recognising, get_recogniser
from sift_jax.audio.files import write_audio
from sift_jax.endpoints.client import CallError, EndpointError

WAVE = (0.3 * np.sin(np.arange(16_000) / 9)).astype(np.float32)


@contextlib.contextmanager
def serve(answers):
    """Answers with these (status, body) in turn, the last for ever; what came is kept."""
    came = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            parts = email.message_from_bytes(
                head + self.rfile.read(int(self.headers["Content-Length"]))
            ).get_payload()
            fields = {
                part.get_param("name", header="Content-Disposition"): part.get_payload(decode=True)
                for part in parts
            }
            came.append({"path": self.path, "key": self.headers.get("Authorization"), **fields})
            status, body = answers[min(len(came), len(answers)) - 1]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", came
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def hear(monkeypatch, tmp_path):
    monkeypatch.setattr(chat_client, "_FIRST_WAIT", 0.01)
    monkeypatch.setenv("A_KEY", "sk-very-secret")
    write_audio(tmp_path / "a.wav", WAVE)

    def recognise(url, language):
        endpoint = Endpoint(url=url, model="whisper-1", key_variable="A_KEY", attempts=3)
        asr = Recognising(recogniser="endpoint", endpoint=endpoint)
        return get_recogniser(asr).recognise(tmp_path / "a.wav", language).text

    return recognise


def test_a_server_is_sent_the_wave_and_its_words_come_back(hear):
    with serve(
        [(503, b"busy"), (200, b"no json"), (200, json.dumps({"text": "Rain falls."}).encode())]
    ) as (url, came):
        assert hear(url, "de") == "Rain falls."
    assert len(came) == 3 and came[2]["path"] == "/v1/audio/transcriptions"
    assert (came[2]["model"], came[2]["language"], came[2]["key"]) == (
        b"whisper-1",
        b"de",
        "Bearer sk-very-secret",
    )
    heard, rate = soundfile.read(io.BytesIO(came[2]["file"]))
    assert rate == 16_000 and np.abs(heard - WAVE).max() < 1e-4


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        ((401, b"bad key sk-very-secret"), EndpointError, "refuses the key"),
        ((404, b"no"), EndpointError, "no such path"),
        ((500, b"down sk-very-secret"), CallError, "500"),
    ],
)
def test_a_server_of_no_use_is_named_without_telling_the_key(hear, answer, kind, message):
    with serve([answer]) as (url, _), pytest.raises(kind, match=message) as error:
        hear(url, "en")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "flags",
    [
        ["pocketsphinx:en"],
        ["whisper"],
        ["endpoint"],
        ["endpoint", "--endpoint=nowhere"],
        ["endpoint", "--endpoint=http://user:word@host/v1", "--asr_model=m"],
    ],
)
def test_recognisers_that_are_none(flags, capsys, tmp_path):
    with pytest.raises((ValueError, SystemExit)) as error:
        words = [
            "score",
            "--spoken=x",
            "--build=y",
            f"--out={tmp_path}",
            f"--asr={flags[0]}",
            *flags[1:],
        ]
        make_hearing(parse_flags(words))
    assert "user:word" not in str(error.value) + capsys.readouterr().err


def test_a_language_model_is_made_of_a_builds_sentences(tmp_path):
    built = tmp_path / "built"
    row = dict.fromkeys(_REQUIRED) | {"language": "en", "transcript": "Rain falls."}
    built.mkdir()
    (built / "metadata.jsonl").write_text(json.dumps(row) + "\n")
    path = write_build_model(built, tmp_path, "en")
    assert path == write_build_model(built, tmp_path, "en") and path.read_text().startswith(
        "\\data\\\nngram 1="
    )
    lines = make_arpa([["rain", "falls"], ["rain", "stops"]]).splitlines()
    # half of 60 % of what follows "rain"; eight words and marks in all
    assert (
        "-0.5229 rain falls" in lines and "-0.6021 rain -0.3979" in lines and lines[-1] == "\\end\\"
    )
    with pytest.raises(ValueError, match="has no recording in fr"):
        write_build_model(built, tmp_path, "fr")
