"""Tokenizers of the Hugging Face kind, with their chat template and the tokens that audio needs.

    folder ─AutoTokenizer─► special tokens, chat template ─┐
           └ tokenizer.json ─► ids                         ┴─► SpeechTokenizer      the quickstart trains one of its own

The ids are those of tokenizer.json; transformers rebuilds some families' tokenizers from their
vocabulary, and a folder without that file (SentencePiece's tokenizer.model alone) is converted by
it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokenizers

from sift_jax.endpoints.hub import find_folder, is_on_hub
from sift_jax.text.chat_template import (
    TEMPLATES,
    ChatTemplate,
    check_template_name,
    find_own_template,
    read_processor_template,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
AUDIO_START, AUDIO, AUDIO_END = "<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>"
AUDIO_TOKENS = (AUDIO_START, AUDIO, AUDIO_END)
SPECIAL_TOKENS = (END_OF_TEXT, TURN_START, TURN_END, *AUDIO_TOKENS)
# an added token that no text has: what is encoded behind it is encoded as behind any special token
_ANCHOR = "\U0010fffd"
# letters of a text whose ids are kept
_LONGEST_KEPT = 512
# in a rendered text, with a number behind it: what chat.py has held back from the template
HELD = "\U000f0000"
_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")


def _is_news(record: logging.LogRecord) -> bool:
    return "PyTorch was not found" not in record.getMessage()


def _read_pretrained(folder: Path) -> PreTrainedTokenizerBase:
    """What transformers makes of a folder; nothing is asked of the network, and no code of the
    folder is run."""
    # it is used without PyTorch here, and says so at each import
    logging.getLogger("transformers").addFilter(_is_news)
    # late: it takes more than a second
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, ImportError, KeyError, TypeError) as error:
        raise ValueError(
            f"the tokenizer of {folder} cannot be read ({error}); download the folder again"
        ) from None


def _read_backend(folder: Path, theirs: PreTrainedTokenizerBase) -> tokenizers.Tokenizer:
    path = folder / "tokenizer.json"
    if not path.is_file():
        backend = getattr(theirs, "backend_tokenizer", None)
        if backend is None:
            raise ValueError(
                f"{folder} has no tokenizer.json and cannot be converted; save one with "
                "transformers"
            )
        return tokenizers.Tokenizer.from_str(backend.to_str())
    backend = tokenizers.Tokenizer.from_file(str(path))
    # some are named in tokenizer_config.json alone
    for _, token in sorted(theirs.added_tokens_decoder.items()):
        if backend.token_to_id(token.content) is None:
            backend.add_tokens([token])
    return backend


def _make_text_encoder(tokenizer: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """A copy to which every added token's name is text, special or not; runs of blanks stay what
    they are."""
    held = json.loads(tokenizer.to_str())
    for token in held["added_tokens"]:
        # encode_special_tokens leaves names alone that are not special, such as Qwen's <tool_call>
        token["special"] = not token["content"].isspace()
    encoder = tokenizers.Tokenizer.from_str(json.dumps(held))
    encoder.add_tokens([tokenizers.AddedToken(_ANCHOR, special=False, normalized=False)])
    encoder.encode_special_tokens = True
    return encoder


def has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _FILES)


class SpeechTokenizer:
    """Text to ids and back. `chat_template` names one of TEMPLATES; None takes the folder's own, or
    "chatml"; of a Qwen2-Audio "qwen2_audio".

    Tokens for audio, and those of the ChatML turns where they are used, are added behind a
    vocabulary without them.
    """

    def __init__(self, folder: str | Path, chat_template: str | None = None):
        check_template_name(chat_template)
        self.folder = find_folder(folder, texts_only=True) if is_on_hub(folder) else Path(folder)
        if not has_tokenizer(self.folder):
            raise ValueError(
                f"no tokenizer.json in {folder}; train one with python -m data_prep.tokenizer, "
                "or put a model there: hf download OWNER/NAME --local-dir=FOLDER"
            )
        theirs = _read_pretrained(self.folder)
        self._named: dict[str, str] = dict(theirs.special_tokens_map)
        own = read_processor_template(self.folder) or theirs.chat_template
        # several templates under names: that of conversations without tools
        own = own.get("default") if isinstance(own, dict) else own
        template = own or find_own_template(self.folder)
        template = template if chat_template is None else TEMPLATES[chat_template]
        if template is None:
            chat_template, template = "chatml", TEMPLATES["chatml"]
        self.template = ChatTemplate(template, self._named, origin=f"the tokenizer {folder}")
        self.backend = _read_backend(self.folder, theirs)
        has_chatml = chat_template in ("chatml", "qwen2_audio")
        wanted = SPECIAL_TOKENS if has_chatml else AUDIO_TOKENS
        # no published model has learnt what its file lacks
        self.lacking = tuple(token for token in wanted if self.backend.token_to_id(token) is None)
        self.backend.add_special_tokens(list(wanted))
        added = self.backend.get_added_tokens_decoder()
        self.added = {token.content: i for i, token in added.items()}
        self._special = {i for i, token in added.items() if token.special}
        self.ids = {name: self.added[name] for name in SPECIAL_TOKENS if name in self.added}
        self._text = _make_text_encoder(self.backend)
        self._encode_kept = functools.lru_cache(maxsize=4096)(self._encode_text)
        self._is_prefixed = self._encode_text("a", True) != self._encode_text("a", False)

    def encode(self, text: str) -> list[int]:
        """Ids of plain text: a special token's name inside it is text, not the token."""
        return list(self._encode(text, True))

    def encode_behind(self, left: str | None, text: str, *, is_first: bool) -> list[int]:
        """Ids of text that goes on where `left` ends, or a special token (None) does; is_first
        where nothing else does.

        A model is given the ids of `left` and writes these: they are what is behind them in the ids
        of both together. Where a token would lie on both sides ("\n" and "\nYes" of Qwen's), the
        text is encoded by itself.
        """
        if not left:
            return list(self._encode(text, is_first or not self._is_prefixed))
        before = self._encode(left, is_first or not self._is_prefixed)
        both = self._encode(left + text, is_first or not self._is_prefixed)
        if both[: len(before)] == before:
            return list(both[len(before) :])
        alone = self._encode(text, not self._is_prefixed)
        if self.decode([*before, *alone]) != self.decode(both):
            raise ValueError(
                f"the tokenizer {self.folder} cannot go on from {left[-20:]!r} to {text[:20]!r}; "
                "give DataConfig.chat_template one of ours"
            )
        return list(alone)

    def _encode(self, text: str, is_first: bool) -> tuple[int, ...]:
        """Roles and line ends come with every message, and are kept; long texts come once, and
        thousands of them would fill a server's memory."""
        is_kept = len(text) <= _LONGEST_KEPT
        return self._encode_kept(text, is_first) if is_kept else self._encode_text(text, is_first)

    def _encode_text(self, text: str, is_first: bool) -> tuple[int, ...]:
        # a batch of one: it alone can go without the characters' places, which take a quarter of
        # the time
        (encoding,) = self._text.encode_batch_fast(
            [text if is_first else _ANCHOR + text], add_special_tokens=False
        )
        return tuple(encoding.ids if is_first else encoding.ids[1:])

    def decode(self, ids: Iterable[int]) -> str:
        """Text; special tokens are left out, and so is nothing else."""
        kept = [i for i in map(int, ids) if i not in self._special]
        return self.backend.decode(kept, skip_special_tokens=False)

    def name_special(self, token: int) -> str | None:
        """What a special token is called; None for one of text."""
        return self.backend.id_to_token(token) if token in self._special else None

    @functools.cached_property
    def names(self) -> re.Pattern[str]:
        """The names of all added tokens but runs of blanks, the longest that fits first."""
        names = sorted((name for name in self.added if not name.isspace()), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, names)))

    @functools.cached_property
    def pieces(self) -> re.Pattern[str]:
        """The same, and HELD with the character behind it, which is the group."""
        return re.compile(f"{self.names.pattern}|{HELD}(.)", re.DOTALL)

    def get_id(self, name: str) -> int:
        return self.added[name]

    @functools.cached_property
    def turn_end(self) -> str:
        """What the model ends its answers with."""
        return self.template.find_turn_end(self.names)

    @property
    def turn_end_id(self) -> int:
        return self.added[self.turn_end]

    @property
    def end_of_text_id(self) -> int:
        """What ends a text, and fills up rows."""
        names = (END_OF_TEXT, self._named.get("pad_token"), self._named.get("eos_token"))
        return next((self.added[name] for name in names if name in self.added), self.turn_end_id)

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """After which nothing is said."""
        eos = self.added.get(self._named.get("eos_token", ""), self.turn_end_id)
        return tuple(dict.fromkeys((self.turn_end_id, self.end_of_text_id, eos)))

    def __len__(self) -> int:
        return self.backend.get_vocab_size(with_added_tokens=True)

    @functools.cached_property
    def first_free_id(self) -> int:
        """Behind all of its ids: their number, unless some are left out between them."""
        return max(self.backend.get_vocab(with_added_tokens=True).values()) + 1

    @functools.cached_property
    def digest(self) -> str:
        """Of the ids and of the template, with the tokens that it names."""
        source = self.template.source
        named = sorted((name, token) for name, token in self._named.items() if name in source)
        return hashlib.sha256(repr((self.backend.to_str(), source, named)).encode()).hexdigest()

    def save(self, folder: str | Path) -> None:
        """A folder that this class and AutoTokenizer read: the same ids, the same template, its
        date fixed."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.backend.save(str(folder / "tokenizer.json"))
        (folder / "tokenizer_config.json").write_text(json.dumps(self.describe(), indent=1) + "\n")
        (folder / "chat_template.jinja").write_text(self.template.source)

    def describe(self) -> dict[str, Any]:
        """tokenizer_config.json."""
        names = {i: name for name, i in self.added.items()}
        return {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": self.turn_end,
            "pad_token": names[self.end_of_text_id],
            # those that the template may write
            **self._named,
            "additional_special_tokens": [name for name in SPECIAL_TOKENS if name in self.added],
            "clean_up_tokenization_spaces": False,
            "chat_template": self.template.source,
        }


def train_tokenizer(texts: Iterable[str], vocab_size: int, folder: str | Path) -> SpeechTokenizer:
    """A byte-level BPE of `vocab_size` tokens, special ones included, written to
    folder/tokenizer.json."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.normalizer = tokenizers.normalizers.NFC()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    Path(folder).mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(Path(folder) / "tokenizer.json"))
    return SpeechTokenizer(folder)
