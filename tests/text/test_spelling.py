"""Token ids as a person reads them."""

from sift_jax.text.chat import make_question, render_chat
from sift_jax.text.spelling import spell, spell_tokens
from sift_jax.text.unit_tokens import place_units


def test_tokens_are_spelled_so_that_they_join_to_the_text(tokenizer):
    tokens = render_chat(make_question("Grün 🌧 ist \x00 ü?", ["x"]), tokenizer).tokens
    pieces = spell_tokens(tokens, tokenizer)
    assert len(pieces) == len(tokens)
    assert "Grün 🌧 ist \x00 ü?" in "".join(pieces) and "<|AUDIO|>" in pieces
    half = tokenizer.encode("ü")[:1]
    assert "".join(spell_tokens([*half, tokenizer.turn_end_id], tokenizer)).startswith("\ufffd")
    units = place_units(tokenizer).write([3, 4])
    assert spell_tokens(units, tokenizer) == ["<speech>", "<3>", "<4>", "</speech>"]
    assert spell(units, tokenizer) == "[speech, 2 units]"
