"""Chat templates: the text in which a model reads a conversation, written by the model's own Jinja
template.

    folder/chat_template.json                            a processor's, which may know audio   ┐ the first there is;
           chat_template.jinja, tokenizer_config.json    the tokenizer's                        ┘ otherwise "chatml"

    [{"role": "user", "content": "How fast?"}]  ─►  "<|im_start|>user⏎How fast?<|im_end|>⏎<|im_start|>assistant⏎"

Rendering is that of transformers, sandbox included, so that a model reads here what its users
elsewhere give it. One thing is fixed: a template that asks for today's date is told DATE, and the
template that a run or an export keeps has that date written in. A prompt must not change from
training to serving, nor from one day to the next. And a template that may let a model think first
is told not to, for good: nothing here learns from thoughts.

    Qwen3:  … <|im_start|>assistant⏎<think>⏎⏎</think>⏎⏎ Slowly.<|im_end|>
            └────────────── prompt ───────────────────┘ └─ learnt ──┘
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sift_jax.text.template_sandbox import DATE, compile_template

_CLOCK = re.compile(r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""")

# by this name Qwen3's, SmolLM3's and their kin ask whether there is to be thinking
_THINKS = re.compile(r"\benable_thinking\b")
_NO_THINKING = "{% set enable_thinking = false %}"

# templates of ours, for tokenizers that have none, or instead of theirs
TEMPLATES = {
    "chatml": (
        "{% for message in messages %}"
        "{{ '<|im_start|>' + message['role'] + '\n' }}"
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in "
        "message['content'] %}"
        "{% if part.get('text') %}{{ part['text'] }}"
        "{% else %}{{ '<|audio_bos|><|AUDIO|><|audio_eos|>' }}{% endif %}"
        "{% endfor %}{% endif %}"
        "{{ '<|im_end|>\n' }}"
        "{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    # Qwen2-Audio's: a system turn, and recordings numbered through the whole conversation
    "qwen2_audio": (
        "{% set heard = namespace(count=0) %}"
        "{% for message in messages %}"
        "{% if loop.first and message['role'] != 'system' %}"
        "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
        "{{ '<|im_start|>' + message['role'] + '\n' }}"
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
        "{% for part in message['content'] %}"
        "{% if part.get('text') %}{{ part['text'] }}"
        "{% else %}{% set heard.count = heard.count + 1 %}"
        "{{ 'Audio ' ~ heard.count ~ ': <|audio_bos|><|AUDIO|><|audio_eos|>\n' }}{% endif %}"
        "{% endfor %}{% endif %}"
        "{{ '<|im_end|>\n' }}"
        "{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    # Vicuna 1.1's turns: "<s>USER: How fast? ASSISTANT: Slowly.</s>USER: …"; a system message
    # stands before the first
    "vicuna": (
        "{{ bos_token }}"
        "{% for message in messages %}"
        "{% if message['role'] == 'user' %}{{ 'USER: ' + message['content'] + ' ' }}"
        "{% elif message['role'] == 'assistant' %}{{ 'ASSISTANT: ' + message['content'] + "
        "eos_token }}"
        "{% else %}{{ message['content'] + ' ' }}{% endif %}"
        "{% endfor %}"
        "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
    ),
    # SALMONN's: "<s> USER: <Speech>♪ </Speech> How fast?⏎ASSISTANT: Slowly.</s>". Its texts are encoded
    # apart, each with SentencePiece's blank before it: here the blank is written
    "salmonn": (
        "{{ bos_token }}"
        "{% for message in messages %}"
        "{% if message['role'] == 'assistant' %}{{ ' ' + message['content'] + eos_token }}"
        "{% else %}{{ ' USER:' if message['role'] == 'user' else '' }}"
        "{% if message['content'] is string %}{{ ' ' + message['content'] }}{% else %}"
        "{% for part in message['content'] %}"
        "{% if part.get('text') %}{{ ' ' + part['text'] | trim }}"
        "{% else %}{{ ' <Speech><|AUDIO|> </Speech>' }}{% endif %}"
        "{% endfor %}{% endif %}"
        "{{ '\nASSISTANT:' if message['role'] == 'user' else '' }}{% endif %}"
        "{% endfor %}"
    ),
}
# what is asked of a template to learn how it works
_QUESTION, _ANSWER = "Hm?", "Hm."


def check_template_name(name: str | None) -> None:
    """None takes the tokenizer's own template."""
    if name is not None and name not in TEMPLATES:
        known = ", ".join(repr(known) for known in TEMPLATES)
        raise ValueError(
            f"no chat template is named {name!r}; take {known}, or None for the tokenizer's own"
        )


def fix_dates(source: str) -> str:
    """The template with every `strftime_now("%d %b %Y")` replaced by the text that it gives on
    DATE."""
    return _CLOCK.sub(lambda found: json.dumps(DATE.strftime(found[2])), source)


def forbid_thinking(source: str) -> str:
    """The template told that nothing is thought, if it asks."""
    if not _THINKS.search(source) or source.startswith(_NO_THINKING):
        return source
    return _NO_THINKING + source


def find_own_template(folder: Path) -> str | None:
    """Of a model whose folder has none, and whose processor knows one by heart."""
    path = folder / "config.json"
    try:
        kind = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        return None
    return TEMPLATES["qwen2_audio"] if kind == "qwen2_audio" else None


def read_processor_template(folder: Path) -> str | None:
    """The template of a folder's processor; AutoTokenizer reads the tokenizer's alone."""
    path = folder / "chat_template.json"
    if not path.is_file():
        return None
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["chat_template"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is torn or holds no chat_template; download it again") from None


class ChatTemplate:
    """A Jinja template with the names that it may use of its tokenizer's special tokens (bos_token,
    eos_token, …)."""

    def __init__(self, source: str, tokens: Mapping[str, str], *, origin: str):
        self.source = forbid_thinking(fix_dates(source))
        self.tokens, self.origin = dict(tokens), origin

    def render(self, messages: list[dict[str, Any]], *, is_prompt: bool) -> str:
        """The text of a conversation; a prompt ends where the assistant begins to speak."""
        import jinja2

        try:
            return compile_template(self.source).render(
                messages=messages,
                tools=None,
                documents=None,
                add_generation_prompt=is_prompt,
                **self.tokens,
            )
        except (jinja2.TemplateError, TypeError) as error:
            roles = ", ".join(message["role"] for message in messages)
            raise ValueError(
                f"the chat template of {self.origin} refuses a conversation of "
                f"{roles or 'nothing'}: {error}"
            ) from None

    @functools.cache  # noqa: B019 - a process has a few templates, for as long as it lives
    def takes_audio(self, marker: str) -> bool:
        """Whether it writes the marker itself for an audio part; a template for text takes it as
        part of the text."""
        content = [{"type": "audio", "audio_url": "a.wav"}, {"type": "text", "text": _QUESTION}]
        try:
            text = self.render([{"role": "user", "content": content}], is_prompt=True)
        except ValueError:
            return False
        return text.count(marker) == 1 and _QUESTION in text

    def find_turn_end(self, names: re.Pattern[str]) -> str:
        """The special token that ends an assistant's turn, by which a model stops."""
        asked = [{"role": "user", "content": _QUESTION}]
        prompt = self.render(asked, is_prompt=True)
        whole = self.render([*asked, {"role": "assistant", "content": _ANSWER}], is_prompt=False)
        self.check_prefix(prompt, whole)
        place = whole.find(_ANSWER, len(prompt))
        found = names.search(whole, place + len(_ANSWER))
        if place < 0 or found is None:
            raise ValueError(
                f"the chat template of {self.origin} ends an answer with no special token, so "
                "that nothing says where a model has to stop; set DataConfig.chat_template to "
                "one of ours"
            )
        return found[0]

    def check_prefix(self, prompt: str, whole: str) -> None:
        """What is asked must stand in training as it does in serving: as the beginning of the whole
        conversation."""
        if not whole.startswith(prompt):
            same = next(
                (i for i, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b),
                len(whole),
            )
            raise ValueError(
                f"the chat template of {self.origin} rewrites what came before an answer (prompt: "
                f"…{prompt[same : same + 30]!r}, with the answer: …{whole[same : same + 30]!r}); "
                "training needs one that only appends: set DataConfig.chat_template to one of "
                "ours"
            )
