"""Tokenizers of the Hugging Face kind, with the special tokens that the chat needs.

folder/tokenizer.json ─► SpeechTokenizer ─► ids; the quickstart trains one of its own, real runs load Qwen's
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

import tokenizers

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
AUDIO_START, AUDIO, AUDIO_END = "<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>"
SPECIAL_TOKENS = (END_OF_TEXT, TURN_START, TURN_END, AUDIO_START, AUDIO, AUDIO_END)


class SpeechTokenizer:
    """Text to ids and back. Special tokens that the file lacks are added behind its vocabulary."""

    def __init__(self, folder: str | Path):
        path = Path(folder) / "tokenizer.json"
        if not path.is_file():
            raise ValueError(
                f"no tokenizer.json in {folder}; train one with python -m data_prep.tokenizer or give a model's folder"
            )
        self.folder = Path(folder)
        self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        # no published model has learnt what the file lacks
        self.added = tuple(token for token in SPECIAL_TOKENS if self._tokenizer.token_to_id(token) is None)
        self._tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
        self._encode = functools.lru_cache(maxsize=4096)(self._encode_text)
        self.ids = {token: self._tokenizer.token_to_id(token) for token in SPECIAL_TOKENS}

    def encode(self, text: str) -> list[int]:
        """Ids of plain text: a special token's name inside it is text, not the token."""
        # roles and line ends come with every message
        return list(self._encode(text))

    def _encode_text(self, text: str) -> list[int]:
        if not any(token in text for token in SPECIAL_TOKENS):
            return self._tokenizer.encode(text, add_special_tokens=False).ids
        for token in SPECIAL_TOKENS:
            # a zero-width joiner breaks the name apart, so that data cannot open or close a turn
            text = text.replace(token, token[:2] + "\u200d" + token[2:])
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Iterable[int]) -> str:
        return self._tokenizer.decode([int(i) for i in ids], skip_special_tokens=True)

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    @functools.cached_property
    def first_free_id(self) -> int:
        """Behind all of its ids: their number, unless some are left out between them."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1

    def save(self, folder: str | Path) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._tokenizer.save(str(Path(folder) / "tokenizer.json"))


def train_tokenizer(texts: Iterable[str], vocab_size: int, folder: str | Path) -> SpeechTokenizer:
    """A byte-level BPE of `vocab_size` tokens, special ones included, written to folder/tokenizer.json."""
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
