"""Tokenizers: text comes back, special tokens are there, and SeqIO sees the same ids."""

import numpy as np
import pytest
import tensorflow as tf
import tokenizers

from sift_jax.data.tasks.seqio_vocabulary import SpeechVocabulary
from sift_jax.text.tokenizers import SPECIAL_TOKENS, TURN_END, SpeechTokenizer, train_tokenizer

TEXTS = ["Is it loud?", "  two  spaces\n", "Größe, où, ¿qué?", "日本 🎧", "", "user\n"]


@pytest.mark.parametrize("text", TEXTS)
def test_text_comes_back(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_special_tokens_are_single_and_not_spoken(tokenizer):
    assert len(set(tokenizer.ids.values())) == len(SPECIAL_TOKENS) == len(tokenizer.ids)
    assert max(tokenizer.ids.values()) < len(tokenizer) <= 384
    ids = [tokenizer.ids[TURN_END], *tokenizer.encode("loud"), tokenizer.ids[TURN_END]]
    assert tokenizer.decode(ids) == "loud"


def test_a_saved_tokenizer_is_the_same(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "again")
    again = SpeechTokenizer(tmp_path / "again")
    assert again.ids == tokenizer.ids and len(again) == len(tokenizer)
    assert again.encode("Is it loud?") == tokenizer.encode("Is it loud?")


def test_training_is_deterministic(tmp_path):
    first, second = (train_tokenizer(TEXTS * 3, 300, tmp_path / name) for name in "ab")
    assert (tmp_path / "a/tokenizer.json").read_text() == (
        tmp_path / "b/tokenizer.json"
    ).read_text()
    assert first.encode("loud") == second.encode("loud")


def test_missing_special_tokens_come_behind_the_vocabulary(tmp_path):
    plain = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?")
    )
    plain.save(str(tmp_path / "tokenizer.json"))
    tokenizer = SpeechTokenizer(tmp_path)
    assert sorted(tokenizer.ids.values()) == list(range(3, 3 + len(SPECIAL_TOKENS)))
    assert len(tokenizer) == 3 + len(SPECIAL_TOKENS)


def test_a_folder_without_tokenizer_names_the_remedy(tmp_path):
    with pytest.raises(
        ValueError, match="no tokenizer.json in .*; train one with python -m data_prep.tokenizer"
    ):
        SpeechTokenizer(tmp_path)


@pytest.mark.parametrize("text", TEXTS)
def test_seqio_sees_the_same_ids(tokenizer, text):
    vocabulary = SpeechVocabulary(tokenizer)
    expected = tokenizer.encode(text)
    assert vocabulary.encode(text) == expected and vocabulary.decode(expected) == text
    dataset = tf.data.Dataset.from_tensors(text).map(vocabulary.encode_tf)
    (found,) = dataset.as_numpy_iterator()
    np.testing.assert_array_equal(found, np.asarray(expected, np.int32))
    assert vocabulary.decode_tf(tf.constant(expected, tf.int32)).numpy().decode() == text


def test_seqio_knows_the_special_ids(tokenizer):
    vocabulary = SpeechVocabulary(tokenizer)
    assert (
        vocabulary.eos_id == tokenizer.ids[TURN_END]
        and vocabulary.pad_id == tokenizer.ids["<|endoftext|>"]
    )
    assert vocabulary.vocab_size == len(tokenizer)
    assert vocabulary == SpeechVocabulary(SpeechTokenizer(tokenizer.folder)) != object()


def test_long_texts_are_not_kept_in_memory(tokenizer):
    tokenizer.encode("short")
    before = tokenizer._encode_kept.cache_info().currsize
    for number in range(3):
        text = f"{number} " * 5_000
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer._encode_kept.cache_info().currsize == before
