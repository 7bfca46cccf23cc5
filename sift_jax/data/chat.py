"""ChatML with speech: messages to token ids, and which of them are to be learnt.

    <|im_start|>user⏎ <|audio_bos|><|AUDIO|><|audio_eos|> How fast?<|im_end|>⏎ <|im_start|>assistant⏎ Slowly.<|im_end|>⏎
                                 └ one marker a clip; packing puts the clip's frames there            └── targets ──┘

    … <|im_start|>assistant⏎ begin 17 203 … end <|im_end|>⏎       an answer that is speech, in units (unit_ids.py)
                             └──── targets ───┘

An audio part of an assistant is spoken, by its "units"; of anybody else it is heard. Delimiters are learnt with the
units: the first says that the answer is speech, the second where it ends. The end of the turn behind it is not:
nothing else may follow. The same function renders for training, evaluation and `ask`, so that the three cannot differ.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from sift_jax.data.tokenizers import AUDIO, AUDIO_END, AUDIO_START, TURN_END, TURN_START, SpeechTokenizer
from sift_jax.data.unit_ids import place_units

Message = dict[str, Any]

# The same rendering in the template language of Hugging Face tokenizers, for serving an export by other software.
JINJA_TEMPLATE = (
    "{% for message in messages %}"
    f"{{{{ '{TURN_START}' + message['role'] + '\n' }}}}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part.get('text') %}{{ part['text'] }}"
    f"{{% else %}}{{{{ '{AUDIO_START}{AUDIO}{AUDIO_END}' }}}}{{% endif %}}"
    "{% endfor %}{% endif %}"
    f"{{{{ '{TURN_END}\n' }}}}"
    "{% endfor %}"
    f"{{% if add_generation_prompt %}}{{{{ '{TURN_START}assistant\n' }}}}{{% endif %}}"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rendered:
    """A conversation as ids; `audio` names the clips in the order of their markers."""

    tokens: list[int]
    is_target: list[bool]
    audio: list[str]


def render_chat(messages: list[Message], tokenizer: SpeechTokenizer, *, has_reply: bool = True) -> Rendered:
    """The whole conversation, or, with has_reply=False, all up to where the assistant begins to speak."""
    ids = tokenizer.ids
    newline = tokenizer.encode("\n")
    tokens: list[int] = []
    is_target: list[bool] = []
    audio: list[str] = []

    def put(new: list[int], learn: bool) -> None:
        tokens.extend(new)
        is_target.extend([learn] * len(new))

    for message in messages:
        learn = message["role"] == "assistant"
        put([ids[TURN_START], *tokenizer.encode(message["role"] + "\n")], False)
        speaks = False
        for part in message["content"]:
            speaks = learn and part.get("units") is not None
            if speaks:
                put(place_units(tokenizer).write(part["units"]), True)
            elif part.get("audio_path"):
                put([ids[AUDIO_START], ids[AUDIO], ids[AUDIO_END]], False)
                audio.append(part["audio_path"])
            elif part.get("text"):
                put(tokenizer.encode(part["text"]), learn)
        put([ids[TURN_END]], learn and not speaks)
        put(newline, False)
    if not has_reply:
        put([ids[TURN_START], *tokenizer.encode("assistant\n")], False)
    return Rendered(tokens=tokens, is_target=is_target, audio=audio)


def make_question(text: str, audio_paths: list[str]) -> list[Message]:
    """A user's turn: the clips, then the question."""
    content = [{"audio_path": path} for path in audio_paths] + [{"text": text}]
    return [{"role": "user", "content": content}]
