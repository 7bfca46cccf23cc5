"""A language model for a recogniser that is to know a build's sentences: bigrams in the ARPA form.

    "Rain falls."  ─►  <s> rain falls </s>  ─►  1-grams: log10 p(word), weight of the rest   2-grams: log10 p(b | a)

With it pocketsphinx, whose own model hardly understands a synthesizer, tells well spoken sentences
from badly spoken ones. It has an easier task than a listener, so its rates serve to set systems
beside each other and are not those of recognisers without it.
"""

import collections
import hashlib
import itertools
import math
import re
from collections.abc import Iterable
from pathlib import Path

from data_prep.instructions.memory_shares import read_metadata
from sift_jax.storage.whole_files import write_whole

_WORD = re.compile(r"[a-z']+")
# of the mass of each word's followers, what goes to pairs that were seen
_SEEN = 0.6


def write_build_model(build: Path, folder: Path, language: str) -> Path:
    """Of all the build's texts in a language; the file is named after what is in it."""
    rows = read_metadata(build / "metadata.jsonl")
    texts = sorted({row["transcript"] for row in rows if row["language"] == language})
    if not texts:
        raise ValueError(
            f"{build}: has no recording in {language}, whose sentences a recogniser could "
            "know; give another --asr"
        )
    model = make_arpa(split_words(text) for text in texts)
    path = folder / f"sentences_{language}_{hashlib.sha256(model.encode()).hexdigest()[:16]}.arpa"
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, model)
    return path


def split_words(text: str) -> list[str]:
    """As pocketsphinx's dictionary spells them."""
    return _WORD.findall(text.lower().replace("’", "'"))


def make_arpa(sentences: Iterable[list[str]]) -> str:
    """Bigrams with the weight of the rest on single words."""
    singles: collections.Counter[str] = collections.Counter()
    pairs: collections.Counter[tuple[str, str]] = collections.Counter()
    for words in sentences:
        marked = ["<s>", *words, "</s>"]
        singles.update(marked)
        pairs.update(itertools.pairwise(marked))
    total, rest = singles.total(), math.log10(1 - _SEEN)
    lines = ["\\data\\", f"ngram 1={len(singles)}", f"ngram 2={len(pairs)}", "", "\\1-grams:"]
    lines += [
        f"{math.log10(count / total):.4f} {word} {rest:.4f}"
        for word, count in sorted(singles.items())
    ]
    lines += ["", "\\2-grams:"]
    lines += [
        f"{math.log10(_SEEN * count / singles[pair[0]]):.4f} {' '.join(pair)}"
        for pair, count in sorted(pairs.items())
    ]
    return "\n".join([*lines, "", "\\end\\", ""])
