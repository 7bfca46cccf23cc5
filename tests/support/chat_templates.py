"""Chat templates of the tests' own, with the constructs of published ones, and small tokenizers
that have them."""

import json

import tokenizers

# a system turn where none is given; a closing tag of its own
DEFAULT_SYSTEM = """\
{%- if messages[0]['role'] == 'system' %}
    {{- '<|turn|>system\\n' + messages[0]['content'] + '<|done|>\\n' }}
{%- else %}
    {{- '<|turn|>system\\nAnswer in one sentence.<|done|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) or message.role == 'assistant' %}
        {{- '<|turn|>' + message.role + '\\n' + message.content + '<|done|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|turn|>assistant\\n' }}
{%- endif %}
"""

# recordings counted through the whole conversation, by a template that writes their markers
NUMBERED_AUDIOS = """\
{%- set heard = namespace(count=0) -%}
{%- for message in messages -%}
{%- if loop.first and message['role'] != 'system' %}{{ '<|turn|>system\\nListen well.<|done|>\\n' }}{% endif -%}
{{- '<|turn|>' + message['role'] + '\\n' -}}
{%- if message['content'] is string -%}{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'audio' or 'audio_url' in part -%}
{%- set heard.count = heard.count + 1 -%}
{{- 'Recording ' ~ heard.count ~ ': <|audio_bos|><|AUDIO|><|audio_eos|>\\n' -}}
{%- elif 'text' in part -%}{{- part['text'] -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|done|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|turn|>assistant\\n' -}}{%- endif -%}
"""

# a beginning of text, a date, trimmed contents, roles between tokens
DATED = """\
{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "1 Jan 2000" %}
    {%- endif %}
{%- endif %}
{%- if messages and messages[0]['role'] == 'system' %}
    {%- set said = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set said = '' %}
{%- endif %}
{{- '<|open|>system<|shut|>\\n\\nToday: ' + date_string + '\\n\\n' + said + '<|done|>' }}
{%- for message in messages %}
    {{- '<|open|>' + message['role'] + '<|shut|>\\n\\n' + message['content'] | trim + '<|done|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|open|>assistant<|shut|>\\n\\n' }}
{%- endif %}
"""

# turns that are plain text and end in the end of text, by blocks on lines of their own
PLAIN_TURNS = """\
{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|asker|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|frame|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|helper|>\\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|helper|>' }}
{% endif %}
{% endfor %}"""

# turns that must alternate, counted by loop.index, marked for those who train on {% generation %}
ALTERNATING = """\
{{ bos_token }}{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('roles must alternate') }}
{% endif %}
{% if message['role'] == 'user' %}{{ '[ASK] ' ~ loop.index ~ ' ' ~ message['content'] ~ ' [/ASK]' }}
{% else %}{% generation %}{{ ' ' ~ message['content'] ~ eos_token }}{% endgeneration %}{% endif %}
{% endfor %}"""

TEMPLATES = {
    "default system": DEFAULT_SYSTEM,
    "numbered audios": NUMBERED_AUDIOS,
    "dated": DATED,
    "plain turns": PLAIN_TURNS,
    "alternating": ALTERNATING,
}
SPECIAL = (
    "<s>",
    "</s>",
    "<|turn|>",
    "<|done|>",
    "<|open|>",
    "<|shut|>",
    "[ASK]",
    "[/ASK]",
    "<|image_pad|>",
)
# added, and not special: tokens that users of a model see
VISIBLE = ("<tool_call>", "</tool_call>")
TEXTS = [
    "user\nassistant\nsystem\nIs it loud? It is soft.",
    "How fast does she speak? Slowly, 12 words.",
    "Größe\n\nü",
]


def _train_bytes(size, *, use_regex=False):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.normalizer = tokenizers.normalizers.NFC()
    # line ends belong together, as in Qwen's and Llama 3's
    words = tokenizers.Regex(r" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    split = tokenizers.pre_tokenizers.Split(words, "isolated")
    byte_level = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)
    tokenizer.pre_tokenizer = (
        byte_level if use_regex else tokenizers.pre_tokenizers.Sequence([split, byte_level])
    )
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # line ends of several kinds become tokens, which may lie on both sides of where an answer
    # begins
    tokenizer.train_from_iterator([*TEXTS * 20, *["\n\n", "\n\n\n"] * 20], trainer)
    return tokenizer


def _train_pieces(size):
    """As SentencePiece's: blanks are letters, one is put before the text, and bytes are the last
    resort."""
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(
        prepend_scheme="first", split=False
    )
    tokenizer.decoder = tokenizers.decoders.Sequence(
        [
            tokenizers.decoders.Replace("▁", " "),
            tokenizers.decoders.ByteFallback(),
            tokenizers.decoders.Fuse(),
            tokenizers.decoders.Strip(" ", 1, 0),
        ]
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
        limit_alphabet=40,
    )
    # a line end is not a letter there, but a byte
    tokenizer.train_from_iterator([text.replace("\n", " ") for text in TEXTS * 20], trainer)
    held = json.loads(tokenizer.to_str())
    # bytes are pieces, not added tokens
    held["added_tokens"] = held["added_tokens"][:1]
    return tokenizers.Tokenizer.from_str(json.dumps(held))


def _train_gpt2(size):
    """Of line ends before a word the last one is apart: "⏎⏎" is a token, and "⏎⏎It" are three."""
    return _train_bytes(size, use_regex=True)


TRAINERS = {"bytes": _train_bytes, "pieces": _train_pieces, "gpt2": _train_gpt2}


def write_tokenizer_folder(folder, template, *, kind="bytes", place="jinja"):
    """A tokenizer's folder as it is published, with the template where folders have it."""
    tokenizer = TRAINERS[kind](600)
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.add_tokens(
        [tokenizers.AddedToken(name, normalized=False, special=False) for name in VISIBLE]
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    if place == "config":
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    if place == "jinja" and template is not None:
        (folder / "chat_template.jinja").write_text(template)
    if place == "processor":
        # what a tokenizer says of itself is then of text alone
        (folder / "chat_template.jinja").write_text(DEFAULT_SYSTEM)
        (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    return folder
