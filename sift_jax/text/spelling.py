"""Token ids as a person reads them.

ids      1             872    198   ♪         8241  2409…        1
spelled  <|im_start|>  user   ⏎     <|AUDIO|>  ""   "ü"   …      a letter of several tokens stands at its last
"""

from __future__ import annotations

from collections.abc import Sequence

from sift_jax.text.tokenizers import SpeechTokenizer
from sift_jax.text.unit_tokens import place_units


def spell_tokens(ids: Sequence[int], tokenizer: SpeechTokenizer) -> list[str]:
    """A text for each id; joined they are the whole, special tokens and units by their names."""
    pieces: list[str] = []
    run: list[int] = []
    written = ""
    for token in ids:
        name = name_token(token, tokenizer)
        if name is not None:
            _close(pieces, run, written, tokenizer)
            run, written = [], ""
            pieces.append(name)
            continue
        run.append(token)
        text = tokenizer.decode(run).rstrip("\ufffd")
        pieces.append(text[len(written) :])
        written = max(text, written, key=len)
    _close(pieces, run, written, tokenizer)
    return pieces


def _close(pieces: list[str], run: list[int], written: str, tokenizer: SpeechTokenizer) -> None:
    """What of a run has not been spelled yet: bytes that are no letter."""
    if run:
        pieces[-1] += tokenizer.decode(run)[len(written) :]


def name_token(token: int, tokenizer: SpeechTokenizer) -> str | None:
    """The name of a special token or of a unit; None of text."""
    name = tokenizer.name_special(token)
    if name is not None:
        return name
    ids = place_units(tokenizer)
    if token == ids.begin:
        return "<speech>"
    if token == ids.end:
        return "</speech>"
    return f"<{token - ids.first}>" if token >= ids.first else None


def spell(ids: Sequence[int], tokenizer: SpeechTokenizer) -> str:
    """The text of ids without special tokens; of units how many there are."""
    ids = list(ids)
    first = place_units(tokenizer).begin
    units = sum(token >= place_units(tokenizer).first for token in ids)
    text = tokenizer.decode([token for token in ids if token < first]).strip()
    return f"{text} [speech, {units} units]".strip() if units else text
