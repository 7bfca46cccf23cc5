"""The body of a chat completion, read and checked: OpenAI's fields in, messages and numbers out.

    {"model": …, "messages": [{"role": "user", "content": [{"type": "input_audio", …}, {"type": "text", …}]}],
     "temperature": 0.7, "stream": true, …}  ─►  ChatRequest(messages=[…], audio={"audio 1": "UklGR…"}, …)

A field that would change the answer and that is not understood is refused, with the nearest one that
is; fields that only describe the request are left aside.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sift_jax.flags import suggest
from sift_jax.serving.errors import RequestError
from sift_jax.text.chat import Message

# roles as the templates know them
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
# of no consequence for an answer
_DESCRIBING = ("metadata", "user", "store", "service_tier", "safety_identifier", "prompt_cache_key")
# taken where they change nothing
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "modalities": (["text"],),
    "response_format": ({"type": "text"},),
}
_READ = (
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "seed",
    "stop",
    "stream",
    "stream_options",
)
# below it logits that are divided would overflow; the likeliest word has all the probability
_LEAST_TEMPERATURE = 0.001
# of the letters that a request may have, for each message: a quarter of a prompt's positions
LETTERS_A_TURN = 256
MOST_STOPS, MOST_STOP_LETTERS = 4, 200


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """`audio` has the base64 of the parts by the names that stand in the messages; None is what the
    request does not say."""

    model: str
    messages: list[Message]
    audio: dict[str, str]
    new_tokens: int | None
    temperature: float
    top_p: float
    seed: int | None
    stops: tuple[str, ...]
    is_stream: bool
    has_usage: bool


def check_object(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise RequestError(400, f"the body is {_name(body)}; give a JSON object")
    return body


def refuse_unknown(body: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in body:
        if name not in known:
            raise RequestError(
                400,
                f"unknown field {name[:64]}{suggest(name, known) or '; leave it out'}",
                param=name[:64],
                code="unknown_parameter",
            )


def _name(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")


def read_number(
    body: Mapping[str, Any], name: str, default: float, *, least: float, most: float
) -> float:
    """A number within bounds; null is as good as nothing."""
    value = body.get(name)
    if value is None:
        return default
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        raise RequestError(400, f"{name} must be a number from {least:g} to {most:g}", param=name)
    return float(value)


def read_temperature(body: Mapping[str, Any], default: float) -> float:
    temperature = read_number(body, "temperature", default, least=0.0, most=2.0)
    return temperature if temperature >= _LEAST_TEMPERATURE else 0.0


def read_whole(
    body: Mapping[str, Any], name: str, *, least: int, most: int | None = None
) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        bound = f" to {most}" if most is not None else " on"
        raise RequestError(400, f"{name} must be a whole number from {least}{bound}", param=name)
    return int(value)


def read_flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value not in (None, True, False) or isinstance(value, int) and not isinstance(value, bool):
        raise RequestError(400, f"{name} must be true or false", param=name)
    return bool(value)


def read_text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise RequestError(400, f"{name} must be a string, and is {_name(value)}", param=name)
    return value


def read_chat_request(body: Any, *, most_letters: int) -> ChatRequest:
    """Raises a RequestError that names the field."""
    body = check_object(body)
    refuse_unknown(body, (*_READ, *_NEUTRAL, *_DESCRIBING))
    for name, taken in _NEUTRAL.items():
        if body.get(name) is not None and body[name] not in taken:
            raise RequestError(
                400, f"{name} is not supported; leave it out", param=name, code="unsupported"
            )
    messages, audio = _read_messages(body.get("messages"), most_letters)
    limits = [read_whole(body, name, least=1) for name in ("max_completion_tokens", "max_tokens")]
    options = body.get("stream_options") or {}
    if not isinstance(options, dict):
        raise RequestError(400, "stream_options must be an object", param="stream_options")
    return ChatRequest(
        model=read_text(body, "model"),
        messages=messages,
        audio=audio,
        new_tokens=next((limit for limit in limits if limit is not None), None),
        temperature=read_temperature(body, 0.0),
        top_p=read_number(body, "top_p", 1.0, least=0.0, most=1.0),
        seed=read_seed(body),
        stops=_read_stops(body.get("stop")),
        is_stream=read_flag(body, "stream"),
        has_usage=read_flag(options, "include_usage"),
    )


def read_seed(body: Mapping[str, Any]) -> int | None:
    """As many bits of it as a key of ours has."""
    seed = read_whole(body, "seed", least=-(2**63), most=2**64 - 1)
    return None if seed is None else seed % 2**32


def _read_stops(stop: Any) -> tuple[str, ...]:
    stops = [stop] if isinstance(stop, str) else stop or []
    is_list = isinstance(stops, list) and len(stops) <= MOST_STOPS
    if not is_list or not all(
        isinstance(text, str) and 0 < len(text) <= MOST_STOP_LETTERS for text in stops
    ):
        raise RequestError(
            400,
            f"stop must be a string of 1 to {MOST_STOP_LETTERS} letters, or up to {MOST_STOPS} of "
            "them",
            param="stop",
        )
    return tuple(stops)


def _read_messages(messages: Any, most_letters: int) -> tuple[list[Message], dict[str, str]]:
    if not isinstance(messages, list) or not messages:
        raise RequestError(400, "messages must be a list with a message at least", param="messages")
    # each turn takes some positions whatever is in it, and laying many out takes long
    most = max(most_letters // LETTERS_A_TURN, 1)
    parts = sum(len(m["content"]) for m in messages if _has_list(m))
    if len(messages) > most or parts > 4 * most:
        raise RequestError(
            400,
            f"there are {len(messages)} messages with {parts} parts; up to {most} messages and "
            f"{4 * most} parts are taken",
            param="messages",
            code="context_length_exceeded",
        )
    audio: dict[str, str] = {}
    read = [
        _read_message(message, f"messages[{number}]", audio)
        for number, message in enumerate(messages)
    ]
    if read[-1]["role"] != "user":
        raise RequestError(
            400, "the last message must be the user's, to be answered", param="messages"
        )
    letters = sum(len(part.get("text", "")) for m in read for part in m["content"])
    if letters > most_letters:
        raise RequestError(
            400,
            f"the messages have {letters} letters, more than {most_letters}; shorten them",
            param="messages",
            code="context_length_exceeded",
        )
    return read, audio


def _has_list(message: Any) -> bool:
    return isinstance(message, dict) and isinstance(message.get("content"), list)


def _read_message(message: Any, where: str, audio: dict[str, str]) -> Message:
    if not isinstance(message, dict):
        raise RequestError(400, f"{where} must be an object", param=where)
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise RequestError(
            400,
            f"{where}.role must be one of {', '.join(_ROLES)}",
            param=f"{where}.role",
        )
    content = message.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list) or not content:
        raise RequestError(
            400, f"{where}.content must be a string or a list of parts", param=f"{where}.content"
        )
    parts = [
        _read_part(part, f"{where}.content[{number}]", audio, is_user=role == "user")
        for number, part in enumerate(content)
    ]
    return {"role": _ROLES[role], "content": parts}


def _read_part(part: Any, where: str, audio: dict[str, str], *, is_user: bool) -> dict[str, str]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return {"text": part["text"]}
    inside = part.get(kind) if kind in ("input_audio", "audio_url") else None
    data = (
        inside.get("data" if kind == "input_audio" else "url") if isinstance(inside, dict) else None
    )
    if not isinstance(data, str):
        raise RequestError(
            400,
            f'{where} must be {{"type": "text", "text": …}} or {{"type": "input_audio", '
            '"input_audio": {"data": base64, "format": "wav"}}',
            param=where,
        )
    if kind == "audio_url" and not data.startswith("data:"):
        raise RequestError(
            400,
            f"{where} is an address, and none is fetched; give data:audio/wav;base64,…",
            param=where,
        )
    if not is_user:
        raise RequestError(400, f"{where}: only a user's message has audio", param=where)
    name = f"audio {len(audio) + 1}"
    audio[name] = data
    return {"audio_path": name}
