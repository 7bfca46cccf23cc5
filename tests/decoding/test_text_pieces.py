"""Pieces of a long answer: they join to what the whole is, and each costs what its own tokens
cost."""

import pytest

from sift_jax.decoding.text_pieces import TextPieces, write_answer

TEXT = "Grün ist sie, naïve 日本語 voice 🎙 at quite a slow rate. " * 40
# of a token, decoded so many times at most
MOST_TIMES = 100


class Counting:
    """A tokenizer that counts what it decodes."""

    def __init__(self, tokenizer):
        self._tokenizer, self.count = tokenizer, 0

    def decode(self, ids):
        ids = list(ids)
        self.count += len(ids)
        return self._tokenizer.decode(ids)


def tell_all(pieces, ids):
    """Every piece, token by token."""
    told = []
    for count in range(1, len(ids) + 1):
        told.append(pieces.add(ids[:count]))
        if pieces.is_stopped:
            return told
    return [*told, pieces.end(ids)]


def test_pieces_join_to_the_whole_and_none_is_late(tokenizer):
    ids = tokenizer.encode(TEXT)
    told = tell_all(TextPieces(tokenizer), ids)
    assert "".join(told) == write_answer(tokenizer, None, ids) == TEXT.strip()
    assert "\ufffd" not in "".join(told)
    # half of the text has been told when half of the tokens are there, but for what waits
    half = "".join(told[: len(ids) // 2])
    assert len(tokenizer.decode(ids[: len(ids) // 2])) - len(half) < 10


def test_a_long_answer_is_not_decoded_anew_with_every_token(tokenizer):
    ids = tokenizer.encode(TEXT)
    counting = Counting(tokenizer)
    tell_all(TextPieces(counting), ids)
    assert len(ids) > 1_000 and counting.count < MOST_TIMES * len(ids)


@pytest.mark.parametrize("place", [1, 500, 1_900])
def test_a_stop_is_found_wherever_it_stands(tokenizer, place):
    text = f"{TEXT[:place]} END {TEXT}"
    told = tell_all(TextPieces(tokenizer, stops=("END", "never")), tokenizer.encode(text))
    assert "".join(told) == TEXT[:place].strip()
