"""Recognizers: a real HTTP server that hears what it is sent, one that fails, pocketsphinx where it is installed."""

import contextlib
import email
import http.server
import io
import json
import threading

import numpy as np
import pytest
import soundfile
from obedient_speaker import speak

from data_prep.generation import transcription
from data_prep.generation.measure import Hearing, measure_line
from data_prep.generation.recognizers import Asr, RecognizerError, make_recognizer
from data_prep.generation.requests import Request, read_known
from data_prep.generation.sentences import make_arpa, split_words, write_build_model
from data_prep.generation.spoken import Spoken
from data_prep.metadata.experts import parse_experts
from sift_jax.audio.files import write_audio

WAVE = (0.3 * np.sin(np.arange(16_000) / 9)).astype(np.float32)


@contextlib.contextmanager
def serve(answers):
    """Answers with these (status, body) in turn, the last for ever; what came is kept."""
    came = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            parts = email.message_from_bytes(head + self.rfile.read(int(self.headers["Content-Length"]))).get_payload()
            fields = {part.get_param("name", header="Content-Disposition"): part.get_payload(decode=True)
                      for part in parts}
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


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(transcription, "_FIRST_WAIT", 0.01)
    monkeypatch.setenv("A_KEY", "sk-very-secret")


def make_asr(url):
    return Asr(name=url, model="whisper-1", key_variable="A_KEY")


def test_a_server_is_sent_the_wave_and_its_words_come_back():
    with serve([(503, b"busy"), (200, b"no json"), (200, json.dumps({"text": "Rain falls."}).encode())]) as (url, came):
        assert make_recognizer(make_asr(url))(WAVE, "de") == "Rain falls."
    assert len(came) == 3 and came[2]["path"] == "/v1/audio/transcriptions"
    assert (came[2]["model"], came[2]["language"], came[2]["key"]) == (b"whisper-1", b"de", "Bearer sk-very-secret")
    heard, rate = soundfile.read(io.BytesIO(came[2]["file"]))
    assert rate == 16_000 and np.abs(heard - WAVE).max() < 1e-4


@pytest.mark.parametrize(("answer", "message"), [
    ((401, b"bad key sk-very-secret"), r"http 401 bad key \*\*\*; see to the address"), ((404, b"no"), "http 404"),
    ((500, b"down"), "gave no words in 8 attempts, at last http 500 down")])
def test_a_server_of_no_use_ends_the_run_without_telling_the_key(answer, message):
    with serve([answer]) as (url, _), pytest.raises(RecognizerError, match=message) as error:
        make_recognizer(make_asr(url))(WAVE, "en")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("name", ["http://user:word@host/v1", "http:///v1", "faster-whisper:", "pocketsphinx:en"])
def test_names_that_are_none(name):
    with pytest.raises(ValueError, match="--asr=") as error:
        Asr(name=name, model="m", key_variable="K")
    assert "user:word" not in str(error.value)


def test_a_language_model_is_made_of_a_builds_sentences(built, tmp_path):
    path = write_build_model(built, tmp_path, "en")
    assert path == write_build_model(built, tmp_path, "en") and path.read_text().startswith("\\data\\\nngram 1=")
    lines = make_arpa([["rain", "falls"], ["rain", "stops"]]).splitlines()
    # half of 60 % of what follows "rain"; eight words and marks in all
    assert "-0.5229 rain falls" in lines and "-0.6021 rain -0.3979" in lines and lines[-1] == "\\end\\"
    with pytest.raises(ValueError, match="has no recording in fr"):
        write_build_model(built, tmp_path, "fr")


@pytest.mark.extras
def test_pocketsphinx_understands_clear_speech(built, tmp_path):
    pytest.importorskip("pocketsphinx")
    text = next(row["transcript"] for row in read_known(built).values()
                if row["language"] == "en" and len(row["transcript"]) > 40)
    request = Request(id="a--0", language="en", instruction=text, text=text, asked={"gender": "male"})
    write_audio(tmp_path / "a.wav", speak(request, {}, tries=1))
    line, text = Spoken(request=request, sample=0, seed=0, audio="a.wav", units=1, has_ended=True), split_words(text)
    said = {}
    for name, model in (("pocketsphinx", None), ("pocketsphinx:build", str(write_build_model(built, tmp_path, "en")))):
        asr = Asr(name=name, model=model, key_variable="K")
        row = measure_line(tmp_path, line, None, Hearing(experts=parse_experts(""), gender_model=None, asr=asr))
        said[name] = row["said"].split()
        assert make_recognizer(asr)(WAVE, "de") is None
        # whatever it hears in between
        make_recognizer(asr)(np.random.default_rng(0).normal(0, 0.1, 8_000).astype(np.float32), "en")
        assert row == measure_line(tmp_path, line, None, Hearing(experts=parse_experts(""), gender_model=None, asr=asr))
    # its own model hardly understands a synthesizer; with the sentences it does
    assert said["pocketsphinx"] and len(set(text) & set(said["pocketsphinx:build"])) >= 0.6 * len(set(text))
