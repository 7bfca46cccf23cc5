"""SIFT rows in the form that ms-swift and LLaMA-Factory train on, and back.

    {"id": "p234_238", "messages": [{"role": "user", "content": [{"audio_path": "/path/to/p234_238.wav"}, {"text":
     "How fast?"}]}, …], "task": …, "data_source": …}
      ─►  {"messages": [{"role": "user", "content": "<audio>How fast?"}, …], "audios": ["/corpora/…/p234_238.flac"],
           "id": "p234_238", "task": …, "data_source": …, "parts": ""}

A tag stands for the next path of `audios`. What a string cannot say, where one text part ends and
the next begins, stands in `parts`, lengths of texts and null for audio: "[[null, 9, 4], [5]]". Both
trainers leave columns alone that they do not know, as long as every line has them.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sift_jax.sift.rows import (
    Message,
    Part,
    Row,
    SiftError,
    list_utterances,
    name_utterance,
    parse_row,
)

TAG = "<audio>"
# LLaMA-Factory's names of the roles in its sharegpt style.
_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "user": "user",
    "assistant": "assistant",
    "system": "system",
}
_OTHER_MEDIA = ("images", "videos")


class FormatError(ValueError):
    """A row that has no counterpart in the other form; a line for the user."""


def make_chat_row(row: Row, locate: Callable[[str], str]) -> dict[str, Any]:
    """`locate` gives the path that a placeholder stands for."""
    messages, audios, parts = [], [], []
    for message in row["messages"]:
        for part in message["content"]:
            if TAG in part.get("text", ""):
                raise FormatError(f"a text holds {TAG}, which would be read as audio")
            audios += [part["audio_path"]] if "audio_path" in part else []
        content = "".join(part.get("text", TAG) for part in message["content"])
        messages.append({"role": message["role"], "content": content})
        parts.append([len(part["text"]) if "text" in part else None for part in message["content"]])
    kept = {"id": row["id"], "task": row["task"], "data_source": row["data_source"]}
    made = {"messages": messages, "audios": audios, **kept, "parts": ""}
    try:
        is_whole = make_sift_row(made, str) == row
    except SiftError:
        is_whole = False
    return {
        **made,
        "audios": [locate(path) for path in audios],
        "parts": "" if is_whole else json.dumps(parts),
    }


def make_sift_row(
    chat: dict[str, Any],
    place: Callable[[str], str],
    *,
    task: str = "closed_ended",
    source: str = "converted",
) -> Row:
    """`place` gives the placeholder of a path; task and data_source are for rows that have none of
    their own."""
    other = [key for key in _OTHER_MEDIA if chat.get(key)]
    if other:
        raise FormatError(f"it has {' and '.join(other)}; SIFT rows have audio and text alone")
    audios = chat.get("audios") or []
    if not isinstance(audios, str | list):
        raise FormatError(f"audios is {type(audios).__name__}, not a list of paths")
    waiting = iter([audios] if isinstance(audios, str) else audios)
    given = _list_messages(chat)
    shapes = _read_shapes(chat["parts"], given) if chat.get("parts") else None
    messages: list[Message] = []
    for number, (role, content) in enumerate(given):
        if shapes is not None:
            parts = _cut(content[0], shapes[number], waiting)
        else:
            parts = [part for piece in content for part in _split(piece, waiting)]
        messages.append(
            {
                "role": role,
                "content": [
                    {"audio_path": place(part["audio_path"])} if "audio_path" in part else part
                    for part in parts
                ],
            }
        )
    left = list(waiting)
    if left:
        raise FormatError(f"{len(left)} of its audios have no {TAG}")
    names = list_utterances(messages)
    identity = chat.get("id") or (
        names[0] if len(names) == 1 else f"comparison_{'__'.join(names)}" if names else ""
    )
    return parse_row(
        {
            "id": str(identity),
            "messages": messages,
            "task": chat.get("task") or task,
            "data_source": chat.get("data_source") or source,
        }
    )


class Placeholders:
    """The placeholder of a path, and whether another path has it: two recordings may share a stem,
    but no id."""

    def __init__(self) -> None:
        # Hashes, for there may be millions.
        self._taken: dict[int, int] = {}

    def make(self, path: str) -> str:
        name = name_utterance(path)
        # The two microphones are one utterance.
        whole = hash(path[: path.rfind("/") + 1] + name)
        if self._taken.setdefault(hash(name), whole) != whole:
            raise FormatError(
                f"{path}: {name} is the name of another recording too, and would be its id; "
                "rename one"
            )
        return f"/path/to/{name}.wav"


def _list_messages(chat: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    """Role and pieces of each message, in whichever style."""
    given = chat.get("messages") or chat.get("conversations")
    if not isinstance(given, list) or not given:
        raise FormatError("it has neither messages nor conversations")
    found = [("system", [chat["system"]])] if chat.get("system") else []
    for message in given:
        role = message.get("role", message.get("from")) if isinstance(message, dict) else None
        if not isinstance(role, str) or role not in _ROLES:
            raise FormatError(f"role {role!r} is none of {', '.join(_ROLES)}")
        content = message.get("content", message.get("value"))
        found.append((_ROLES[role], content if isinstance(content, list) else [content]))
    return found


def _split(piece: Any, waiting: Iterator[Any]) -> list[Part]:
    """A piece of content: a string with tags, or a part as OpenAI's requests have them."""
    if isinstance(piece, dict):
        kind = piece.get("type")
        if kind == "text" and isinstance(piece.get("text"), str):
            return [{"text": piece["text"]}]
        path = piece.get("audio") if kind == "audio" else None
        if isinstance(path, str):
            return [{"audio_path": path}]
        raise FormatError(f"a part of type {kind!r} is neither text nor audio with a path")
    if not isinstance(piece, str):
        raise FormatError(f"content is {type(piece).__name__}, not a string")
    parts: list[Part] = []
    for number, text in enumerate(piece.split(TAG)):
        parts += [_take_audio(waiting)] if number else []
        parts += [{"text": text}] if text else []
    return parts


def _read_shapes(text: Any, given: Sequence[tuple[str, list[Any]]]) -> list[list[int | None]]:
    """The lengths that `make_chat_row` wrote; a row that was edited since may not have them any
    more."""
    try:
        shapes = json.loads(text)
        is_right = len(shapes) == len(given) and all(
            len(content) == 1
            and len(content[0]) == sum(len(TAG) if length is None else length for length in shape)
            for (_, content), shape in zip(given, shapes, strict=True)
        )
    except (TypeError, ValueError):
        is_right = False
    if not is_right:
        raise FormatError(
            "parts has not the lengths of its texts; leave parts out to have each text as one"
        )
    return shapes


def _cut(content: str, shape: list[int | None], waiting: Iterator[Any]) -> list[Part]:
    """The parts of a message whose lengths are known."""
    parts, start = [], 0
    for length in shape:
        parts.append(
            _take_audio(waiting) if length is None else {"text": content[start : start + length]}
        )
        start += len(TAG) if length is None else length
    return parts


def _take_audio(waiting: Iterator[Any]) -> Part:
    path = next(waiting, None)
    if not isinstance(path, str):
        raise FormatError(f"more {TAG} than paths in audios")
    return {"audio_path": path}
