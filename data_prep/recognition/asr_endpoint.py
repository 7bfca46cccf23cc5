"""Recordings to words by an OpenAI-compatible server.

    file, "de" ─► POST {url}/audio/transcriptions, a form: file, model, language ─► {"text": "…", "segments": […]}

The client's retries, limits and secrets are those of a writer's (llm/chat_client.py).
"""

import dataclasses
import json
import math
import uuid
from pathlib import Path
from typing import Any

from data_prep.llm.chat_client import ChatClient, Endpoint
from data_prep.recognition.hypothesis import Hypothesis, average_logs
from sift_jax.endpoints.client import Passing
from sift_jax.endpoints.secret import read_secret


class TranscriptionEndpoint:
    """One model of one server."""

    def __init__(self, endpoint: Endpoint, seed: int):
        self.endpoint, self.calls = endpoint, endpoint.concurrency
        self._secret = read_secret(endpoint.key_variable)
        self.client = ChatClient(endpoint, self._secret, seed=seed)

    def recognise(self, path: Path, language: str) -> Hypothesis:
        fields = self.endpoint.make_body(
            {"language": language, "response_format": "verbose_json", "temperature": "0"}
        )
        border = uuid.uuid4().hex
        body = write_form({name: str(value) for name, value in fields.items()}, path, border)
        heard = self.client.call(
            "/audio/transcriptions",
            body,
            f"multipart/form-data; boundary={border}",
            parse_transcription,
        )
        told = heard.language and self._secret.scrub(heard.language)
        return dataclasses.replace(heard, text=self._secret.scrub(heard.text), language=told)

    def stop(self) -> None:
        self.client.stop()


def write_form(fields: dict[str, str], path: Path, border: str) -> bytes:
    """Fields and a file, as a browser sends a form."""
    parts = [
        f'--{border}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = (
        f'--{border}\r\nContent-Disposition: form-data; name="file"; '
        f'filename="audio{path.suffix}"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n"
    )
    return ("".join(parts) + head).encode() + path.read_bytes() + f"\r\n--{border}--\r\n".encode()


def parse_transcription(payload: bytes) -> Hypothesis:
    """The words in an answer, which may be none; whatever has no place for them is worth another
    attempt."""
    try:
        value = json.loads(payload)
        text = value["text"]
        if not isinstance(text, str):
            raise TypeError
        segments = [segment for segment in value.get("segments") or () if isinstance(segment, dict)]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        # whole: whoever shows it scrubs it before it is cut
        detail = f"no text ({type(error).__name__}) in {payload.decode(errors='replace')}"
        raise Passing("broken answer", detail) from None
    language = value.get("language")
    return Hypothesis(
        text=" ".join(text.encode("utf-8", "replace").decode().split()),
        confidence=average_logs([_read_number(segment, "avg_logprob") for segment in segments]),
        no_speech=max(
            (
                number
                for segment in segments
                if (number := _read_number(segment, "no_speech_prob")) is not None
            ),
            default=None,
        ),
        language=language if isinstance(language, str) else None,
    )


def _read_number(segment: dict[str, Any], name: str) -> float | None:
    value = segment.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
