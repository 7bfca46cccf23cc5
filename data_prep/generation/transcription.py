"""Recordings to words by an OpenAI-compatible server, with the standard library alone.

    WAV, language ─► POST {url}/audio/transcriptions, multipart: file, model, language ─► {"text": "…"}
                         ▲        408, 429, 5xx, slow, no connection ─► again, the wait doubles
                         └────────┘   401, 403, 404, …, out of attempts ─► RecognizerError: the run stops
"""

import http.client
import json
import ssl
import time
import urllib.parse
import uuid

from data_prep.generation.recognizers import RecognizerError
from data_prep.llm.client import parse_retry_after
from data_prep.llm.secret import Secret

_RETRIED = (408, 409, 425, 429)
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0
_MOST_BYTES = 2**20


class Transcriber:
    """One model of one server."""

    def __init__(self, url: str, model: str, secret: Secret, *, key_variable: str, attempts: int = 8,
                 seconds: float = 120.0):
        self._url, self._model, self._secret, self._key_variable = url, model, secret, key_variable
        self._attempts, self._seconds = attempts, seconds

    def transcribe(self, wav: bytes, language: str) -> str:
        """What the server hears."""
        body, boundary = self._make_body(wav, language)
        wait = _FIRST_WAIT
        for attempt in range(1, self._attempts + 1):
            asked = None
            try:
                status, header, payload = self._post(body, boundary)
            except (OSError, http.client.HTTPException) as error:
                said = getattr(error, "strerror", None) or type(error).__name__
            else:
                said = f"http {status} {self._tidy(payload)}"
                if status == 200 and (text := _read_text(payload)) is not None:
                    return self._secret.scrub(text)
                if status != 200 and status not in _RETRIED and status < 500:
                    raise RecognizerError(f"--asr={self._url} says {said}; see to the address (…/v1), --asr_model and "
                                          f"${self._key_variable}")
                asked = parse_retry_after(header)
            if attempt < self._attempts:
                time.sleep(min(max(wait, asked or 0.0), _LONGEST_WAIT))
                wait *= 2
        raise RecognizerError(f"--asr={self._url} gave no words in {self._attempts} attempts, at last {said}; see to "
                              "the server and start again: what is measured is kept")

    def _make_body(self, wav: bytes, language: str) -> tuple[bytes, str]:
        boundary = uuid.uuid4().hex
        fields = {"model": self._model, "language": language, "response_format": "json", "temperature": "0"}
        parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
                 for name, value in fields.items()]
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="speech.wav"\r\n'
                     "Content-Type: audio/wav\r\n\r\n".encode() + wav + f"\r\n--{boundary}--\r\n".encode())
        return b"".join(parts), boundary

    def _post(self, body: bytes, boundary: str) -> tuple[int, str | None, bytes]:
        parts = urllib.parse.urlsplit(self._url)
        path = parts.path.rstrip("/") + "/audio/transcriptions" + (f"?{parts.query}" if parts.query else "")
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Accept": "application/json",
                   "Connection": "close", "User-Agent": "sift_jax"}
        if self._secret:
            headers["Authorization"] = f"Bearer {self._secret.reveal()}"
        if parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=self._seconds, context=ssl.create_default_context())
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=self._seconds)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            return response.status, response.getheader("Retry-After"), response.read(_MOST_BYTES)
        finally:
            connection.close()

    def _tidy(self, payload: bytes) -> str:
        return " ".join(self._secret.scrub(payload.decode("utf-8", "replace")).split())[:200]


def _read_text(payload: bytes) -> str | None:
    try:
        text = json.loads(payload)["text"]
    except (ValueError, LookupError, TypeError):
        return None
    return text if isinstance(text, str) else None
