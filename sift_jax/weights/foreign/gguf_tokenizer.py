"""The tokenizer that a GGUF describes, as tokenizer.json: its ids, its merges, and how text is
split before them.

    gpt2     byte-level BPE; tokenizer.ggml.pre names how text is split: Qwen2's, Llama 3's, SmolLM's or GPT-2's
    llama    SentencePiece's BPE: no merges in the file, but a score for each token, from which they follow

Tokens that only fill the vocabulary up are left out: their rows are spare.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from sift_jax.weights.foreign.gguf_file import GgufFile

UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 2, 3, 4, 5
BLANK = "\u2581"
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
Split = Callable[[], pre_tokenizers.PreTokenizer]


def _split_by(digits: str) -> Split:
    return lambda: pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(_WORDS + digits + _REST), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _split_smollm() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )


SPLITS: dict[str, Split] = {
    "qwen2": _split_by(r"\p{N}"),
    "llama-bpe": _split_by(r"\p{N}{1,3}"),
    "smollm": _split_smollm,
    "gpt-2": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
}
# Llama 3's takes a word that is a token whole, whatever the merges say
WHOLE_WORDS = ("llama-bpe",)


def write_tokenizer(file: GgufFile, folder: Path) -> None:
    """tokenizer.json, tokenizer_config.json and the chat template."""
    kind = file.get("tokenizer.ggml.model")
    makers = {"gpt2": _make_byte_level, "llama": _make_sentencepiece}
    if kind not in makers:
        raise ValueError(
            f"{file.path} has a tokenizer of kind {kind!r}; {' and '.join(makers)} are read"
        )
    tokenizer = makers[kind](file)
    _add_tokens(file, tokenizer)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(_describe(file), indent=1) + "\n")
    template = file.facts.get("tokenizer.chat_template")
    if template:
        (folder / "chat_template.jinja").write_text(template)


def _read_vocabulary(file: GgufFile) -> tuple[dict[str, int], list[int]]:
    """({token: id} without fillers, kind of each id)."""
    tokens = file.get("tokenizer.ggml.tokens")
    kinds = file.facts.get("tokenizer.ggml.token_type", [1] * len(tokens))
    return {token: i for i, token in enumerate(tokens) if kinds[i] != UNUSED}, kinds


def _make_byte_level(file: GgufFile) -> tokenizers.Tokenizer:
    named = file.get("tokenizer.ggml.pre")
    if named not in SPLITS:
        raise ValueError(
            f"{file.path}: its tokenizer splits text by {named!r}; {', '.join(SPLITS)} are known. "
            "Take tokenizer.json from the published folder: --tokenizer=FOLDER"
        )
    merges = [tuple(merge.split(" ")) for merge in file.get("tokenizer.ggml.merges")]
    vocabulary, _ = _read_vocabulary(file)
    tokenizer = tokenizers.Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, ignore_merges=named in WHOLE_WORDS)
    )
    if named == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = SPLITS[named]()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _make_sentencepiece(file: GgufFile) -> tokenizers.Tokenizer:
    vocabulary, kinds = _read_vocabulary(file)
    unknown = next((token for token, i in vocabulary.items() if kinds[i] == UNKNOWN), None)
    merges = _find_merges(vocabulary, file.get("tokenizer.ggml.scores"))
    tokenizer = tokenizers.Tokenizer(
        models.BPE(
            vocab=vocabulary, merges=merges, unk_token=unknown, fuse_unk=True, byte_fallback=True
        )
    )
    replace = normalizers.Replace(" ", BLANK)
    is_prefixed = file.facts.get("tokenizer.ggml.add_space_prefix", True)
    steps = [normalizers.Prepend(BLANK), replace] if is_prefixed else [replace]
    tokenizer.normalizer = normalizers.Sequence(steps)
    last = [decoders.Strip(" ", 1, 0)] if is_prefixed else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse(), *last]
    )
    return tokenizer


def _find_merges(vocabulary: dict[str, int], scores: list[float]) -> list[tuple[str, str]]:
    """Every way to make a token of two others; first those of the tokens with the highest scores.

    With a, b, c, ab, abc, the last two of scores −1 and −2: (a, b), then (ab, c)."""
    found = []
    for token, i in vocabulary.items():
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in vocabulary and right in vocabulary:
                found.append((-scores[i], i, vocabulary[left], vocabulary[right], left, right))
    return [(left, right) for *_, left, right in sorted(found)]


def _add_tokens(file: GgufFile, tokenizer: tokenizers.Tokenizer) -> None:
    """Those that text never is (control), and those that are found in text whole (user's), in the
    order of ids."""
    vocabulary, kinds = _read_vocabulary(file)
    for token, i in vocabulary.items():
        if kinds[i] in (CONTROL, USER_DEFINED, UNKNOWN):
            tokenizer.add_tokens(
                [tokenizers.AddedToken(token, special=kinds[i] != USER_DEFINED, normalized=False)]
            )


def _describe(file: GgufFile) -> dict[str, Any]:
    tokens = file.get("tokenizer.ggml.tokens")
    named = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    found = {
        f"{ours}_token": file.facts.get(f"tokenizer.ggml.{theirs}_token_id")
        for ours, theirs in named.items()
    }
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{name: tokens[i] for name, i in found.items() if i is not None},
        "clean_up_tokenization_spaces": False,
    }
