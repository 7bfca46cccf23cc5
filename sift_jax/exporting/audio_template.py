"""A chat template for texts made one that takes recordings, as transformers' processors hand them
over.

Here a template for texts reads a recording as three tokens within its message's text (text/chat.py).
Elsewhere nobody does that for it, so that a few lines before the template do:

    [{"type": "audio"}, {"type": "text", "text": "How fast?"}] ─► "<|audio_bos|><|AUDIO|><|audio_eos|>How fast?"

A template that writes the tokens itself stays as it is.
"""

from __future__ import annotations

from sift_jax.text.chat_template import ChatTemplate
from sift_jax.text.tokenizers import AUDIO, AUDIO_END, AUDIO_START

# what is not a list stays what it is; a line end behind it, so that the template's first line is
# one still
_JOIN = (
    "{%- set joined = namespace(messages=[]) -%}"
    "{%- for message in messages -%}"
    "{%- if message.content is defined and message.content is sequence "
    "and message.content is not string and message.content is not mapping -%}"
    "{%- set spoken = namespace(text='') -%}"
    "{%- for part in message.content -%}"
    "{%- if part.type == 'audio' -%}"
    f"{{%- set spoken.text = spoken.text + '{AUDIO_START}{AUDIO}{AUDIO_END}' -%}}"
    "{%- else -%}"
    "{%- set spoken.text = spoken.text + part.text -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- set joined.messages = joined.messages + [dict(message, content=spoken.text)] -%}"
    "{%- else -%}"
    "{%- set joined.messages = joined.messages + [message] -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- set messages = joined.messages %}\n"
)


def take_recordings(template: ChatTemplate) -> str:
    """The source of a template that renders the same for texts, and takes parts that are audio."""
    return template.source if template.takes_audio(AUDIO) else _JOIN + template.source
