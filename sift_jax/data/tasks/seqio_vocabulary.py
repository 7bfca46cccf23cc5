"""A Hugging Face tokenizer behind SeqIO's Vocabulary, so that SeqIO's tools and users' tasks can
read our tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import seqio
import tensorflow as tf

from sift_jax.text.tokenizers import SpeechTokenizer


class SpeechVocabulary(seqio.Vocabulary):
    """SeqIO's view of a SpeechTokenizer; end-of-turn is the EOS, <|endoftext|> the padding.

    A function in the tokenizer's place is asked each time: tasks are registered before any
    tokenizer is chosen.
    """

    def __init__(self, tokenizer: SpeechTokenizer | Callable[[], SpeechTokenizer]):
        self._tokenizer = tokenizer
        super().__init__(extra_ids=0)

    @property
    def tokenizer(self) -> SpeechTokenizer:
        return self._tokenizer() if callable(self._tokenizer) else self._tokenizer

    @property
    def eos_id(self) -> int:
        return self.tokenizer.turn_end_id

    @property
    def pad_id(self) -> int:
        return self.tokenizer.end_of_text_id

    @property
    def unk_id(self) -> int | None:
        return None

    @property
    def _base_vocab_size(self) -> int:
        return len(self.tokenizer)

    def _encode(self, s: str) -> list[int]:
        return self.tokenizer.encode(s)

    def _decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids)

    def _encode_tf(self, s: tf.Tensor) -> tf.Tensor:
        def encode(text: bytes) -> np.ndarray:
            return np.asarray(self.tokenizer.encode(text.decode()), np.int32)

        ids = tf.numpy_function(encode, [s], tf.int32)
        ids.set_shape([None])
        return ids

    def _decode_tf(self, ids: tf.Tensor) -> tf.Tensor:
        return tf.numpy_function(lambda x: self.tokenizer.decode(x).encode(), [ids], tf.string)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, SpeechVocabulary) and self.tokenizer.folder == other.tokenizer.folder
        )

    def __hash__(self) -> int:
        return hash(self.tokenizer.folder)
