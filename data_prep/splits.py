"""Sentences and voices of a split are unseen in every other split.

    sentences of a language, grouped by (topic, is it a question?) ─► shuffled ─► 80 % train, 10 % dev, 10 % EvalSIFT
"""

from collections.abc import Sequence

import numpy as np

TRAIN, DEV, EVALUATION = "train", "dev", "EvalSIFT"
SPLITS = (TRAIN, DEV, EVALUATION)
_SHARES = {TRAIN: 0.8, DEV: 0.1, EVALUATION: 0.1}


def split_sentences(
    sentences: Sequence[tuple[str, str]], *, seed: int, language_index: int
) -> dict[str, list[tuple[str, str]]]:
    """Shares (topic, sentence) pairs out over the splits, evenly over topics and questions."""
    if len(set(sentence for _, sentence in sentences)) != len(sentences):
        raise ValueError("a sentence occurs twice, it could land in two splits; remove one of them")
    rng = np.random.default_rng([seed, 71, language_index])
    order = [sentences[i] for i in rng.permutation(len(sentences))]
    # Stable sort: strata lie one after another, shuffled inside; every tenth of that line goes to dev and to EvalSIFT.
    order.sort(key=lambda pair: (pair[1].endswith("?"), pair[0]))
    result: dict[str, list[tuple[str, str]]] = {split: [] for split in SPLITS}
    start = int(rng.integers(10))
    for place, pair in enumerate(order):
        turn = (place + start) % 10
        held = round(10 * _SHARES[DEV])
        split = DEV if turn < held else EVALUATION if turn < 2 * held else TRAIN
        result[split].append(pair)
    for split in SPLITS:
        result[split] = [result[split][i] for i in rng.permutation(len(result[split]))]
    return result
