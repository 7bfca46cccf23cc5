"""Conversations to token ids by the model's own chat template, and which of them are to be learnt.

    <|im_start|>user⏎ <|audio_bos|><|AUDIO|><|audio_eos|> How fast?<|im_end|>⏎
    <|im_start|>assistant⏎ Slowly.<|im_end|>⏎
                                 └ one marker a clip; packing puts the clip's frames there            └── targets ──┘

    … <|im_start|>assistant⏎ begin 17 203 … end <|im_end|>⏎       an answer that is speech, in units (unit_tokens.py)
                             └──── targets ───┘

The template is rendered twice: up to where an answer begins, as a prompt, and whole. The prompt
must be a prefix; what is behind it, up to the special token that ends the turn, is learnt. That
holds for whatever a template does: a system turn of its own, numbers before the audios, trimmed
text, a date.

    prompt   <|im_start|>user⏎How fast?<|im_end|>⏎<|im_start|>assistant⏎
    whole    <|im_start|>user⏎How fast?<|im_end|>⏎<|im_start|>assistant⏎Slowly.<|im_end|>⏎
                                                                       └── learnt ──┘

An audio part of an assistant is spoken, by its "units"; of anybody else it is heard, as a clip, or
as units where it has them. Of an answer the delimiters are learnt with the units: the first says
that the answer is speech, the second where it ends. The end of the turn behind it is not: nothing
else may follow. The same function renders for training, evaluation and `ask`, so that the three
cannot differ.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from sift_jax.text.tokenizers import (
    AUDIO,
    AUDIO_END,
    AUDIO_START,
    AUDIO_TOKENS,
    HELD,
    SpeechTokenizer,
)
from sift_jax.text.unit_tokens import place_units

Message = dict[str, Any]

# HELD and a character that is a number stand in the rendered text for what the template must not
# see, or the tokenizer not take for its own: units, or a special token's name within data.
_FIRST, _MOST = 0xF0001, 0xFFF0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rendered:
    """A conversation as ids; `audio` names the clips in the order of their markers."""

    tokens: list[int]
    is_target: list[bool]
    audio: list[str]


class _Script:
    """Messages as a template takes them, with what is held back from it."""

    def __init__(self, tokenizer: SpeechTokenizer):
        self.tokenizer = tokenizer
        self.held: list[str | Sequence[int]] = []
        self.audio: list[str] = []
        self.messages: list[dict[str, Any]] = []

    def add(self, message: Message) -> None:
        is_answer = message["role"] == "assistant"
        writes_audio = not is_answer and self.tokenizer.template.takes_audio(AUDIO)
        # texts that follow each other are one
        parts: list[dict[str, str]] = [{"type": "text", "text": ""}]
        text = ""
        written: str | None
        for part in message["content"]:
            if part.get("units") is not None:
                written = self._hold(part["units"])
            elif part.get("audio_path"):
                self.audio.append(part["audio_path"])
                written = None if writes_audio else AUDIO_START + AUDIO + AUDIO_END
            else:
                text += part.get("text") or ""
                continue
            parts[-1]["text"] += self._protect(text) + (written or "")
            text = ""
            if written is None:
                parts += [{"type": "audio", "audio_url": "audio"}, {"type": "text", "text": ""}]
        parts[-1]["text"] += self._protect(text)
        content = (
            [part for part in parts if part.get("text") != ""]
            if len(parts) > 1
            else parts[0]["text"]
        )
        self.messages.append({"role": message["role"], "content": content})

    def _hold(self, what: str | Sequence[int]) -> str:
        if len(self.held) == _MOST:
            raise ValueError(
                f"a conversation names special tokens more than {_MOST} times; filter it out"
            )
        self.held.append(what)
        return HELD + chr(_FIRST + len(self.held) - 1)

    def _protect(self, text: str) -> str:
        """Names of special tokens in data are text."""
        text = text.replace(HELD, self._hold(HELD)) if HELD in text else text
        return self.tokenizer.names.sub(lambda found: self._hold(found[0]), text)


class _Writer:
    """Rendered text to ids, piece by piece: text up to the next special token is encoded at
    once."""

    def __init__(self, tokenizer: SpeechTokenizer, held: list[str | Sequence[int]]):
        self.tokenizer, self.held = tokenizer, held
        self.tokens: list[int] = []
        self.is_target: list[bool] = []
        # the text that was written last, if no special token has come behind it
        self._left: str | None = None

    def write(self, text: str, *, learn: bool) -> None:
        """All of it; of what is to be learnt the audio that is heard, and the end behind speech,
        are not."""
        tokenizer, place, open_text, is_speech = self.tokenizer, 0, "", False
        for found in tokenizer.pieces.finditer(text):
            open_text += text[place : found.start()]
            place = found.end()
            held = self.held[ord(found[1]) - _FIRST] if found[1] else None
            if isinstance(held, str):
                open_text += held
                continue
            self._put_text(open_text, learn)
            open_text, self._left = "", None
            if held is not None:
                self._put(place_units(tokenizer).write(held), learn)
            else:
                self._put(
                    [tokenizer.get_id(found[0])],
                    learn and not is_speech and found[0] not in AUDIO_TOKENS,
                )
            is_speech = held is not None
        self._put_text(open_text + text[place:], learn)

    def _put_text(self, text: str, learn: bool) -> None:
        if text:
            self._put(
                self.tokenizer.encode_behind(self._left, text, is_first=not self.tokens), learn
            )
            self._left = text

    def _put(self, ids: list[int], learn: bool) -> None:
        self.tokens += ids
        self.is_target += [learn] * len(ids)


def add_sentence(content: Sequence[dict[str, str]], sentence: str) -> list[dict[str, str]]:
    """A turn's parts with one more sentence: texts that follow each other are one, and so a space
    stands before it."""
    space = " " if content and content[-1].get("text") else ""
    return [*content, {"text": space + sentence}]


def render_chat(
    messages: list[Message], tokenizer: SpeechTokenizer, *, has_reply: bool = True
) -> Rendered:
    """The whole conversation, or, with has_reply=False, all up to where the assistant begins to
    speak."""
    script = _Script(tokenizer)
    for message in messages:
        script.add(message)
    template = tokenizer.template
    whole = template.render(script.messages, is_prompt=not has_reply)
    writer, place = _Writer(tokenizer, script.held), 0
    for number, message in enumerate(messages):
        if message["role"] == "assistant":
            try:
                start, end = _find_answer(tokenizer, script.messages, number, whole)
            except ValueError:
                if has_reply:
                    raise
                # of a prompt nothing is learnt: what a template makes of earlier answers, as Qwen3's
                # that leaves their thoughts out, is what the model was trained to read
                continue
            writer.write(whole[place:start], learn=False)
            writer.write(whole[start:end], learn=True)
            place = end
    writer.write(whole[place:], learn=False)
    markers = writer.tokens.count(tokenizer.ids[AUDIO])
    if markers != len(script.audio):
        raise ValueError(
            f"the chat template of {template.origin} wrote {markers} audio markers for "
            f"{len(script.audio)} recordings; set DataConfig.chat_template to one of ours"
        )
    return Rendered(tokens=writer.tokens, is_target=writer.is_target, audio=script.audio)


def _find_answer(
    tokenizer: SpeechTokenizer, messages: list[dict[str, Any]], number: int, whole: str
) -> tuple[int, int]:
    """Where the answer that is this message begins in the whole text, and where its end of turn is
    over."""
    template = tokenizer.template
    prompt = template.render(messages[:number], is_prompt=True)
    template.check_prefix(prompt, whole)
    turn = whole
    if number + 1 < len(messages):
        turn = template.render(messages[: number + 1], is_prompt=False)
        template.check_prefix(turn, whole)
    found = turn.find(tokenizer.turn_end, len(prompt))
    if found < 0:
        raise ValueError(
            f"the chat template of {template.origin} does not end every answer with "
            f"{tokenizer.turn_end!r}, so that nothing says where a model has to stop; set "
            "DataConfig.chat_template to one of ours"
        )
    return len(prompt), found + len(tokenizer.turn_end)


def make_question(text: str, audio_paths: list[str]) -> list[Message]:
    """A user's turn: the clips, then the question."""
    content = [{"audio_path": path} for path in audio_paths] + [{"text": text}]
    return [{"role": "user", "content": content}]
