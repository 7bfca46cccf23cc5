"""Scores of answers that come from a closed set, as counts that add up.

labels (angry, happy, neutral), reference "happy"
    "She sounds happy."      finds happy         accuracy [1, 1]
    "Happy or neutral."      finds two: wrong    accuracy [0, 1]
    "Hard to say."           finds none: wrong   accuracy [0, 1]     no class step: qwk and mae do not count it
    "B" of "B. happy"        finds happy         accuracy [1, 1]
classes in order             [true class 1, found class 2]           mae [1, 1]   qwk one cell of a table
"time: nine⏎date: today"     slot_f1 [right 1, said 2, there 2]      pairs of name and value
"""

from __future__ import annotations

import collections
import functools
import re

import numpy as np

from sift_jax.evaluation.scores.schema import Item
from sift_jax.sift.labels import simplify

# classes of the longest ordered set: figures of sets of different length share one form
MOST_CLASSES = 16
_OPTION = re.compile(r"^([A-Z])[.)] (.+)$", re.MULTILINE)
_LETTER = re.compile(r"\W*(?:(?:[Oo]ption|[Aa]nswer)\W+)?([A-Z])\W*")


# some suites have labels of their own for each item
@functools.lru_cache(maxsize=256)
def _make_finder(
    labels: tuple[str, ...], aliases: tuple[tuple[str, str], ...]
) -> tuple[re.Pattern, dict[str, str]]:
    names = {simplify(word): label for word, label in (*aliases, *zip(labels, labels, strict=True))}
    longest_first = sorted((name for name in names if name), key=len, reverse=True)
    # no letter on either side; one label inside a longer one is the longer one
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)"), names


def find_classes(item: Item, answer: str) -> list[str]:
    """The item's labels that an answer names, by their own words or others, each once, in order.
    Denials ("not happy") are not understood."""
    pattern, names = _make_finder(item.labels, tuple(item.aliases.items()))
    if not names:
        return []
    found = list(
        dict.fromkeys(names[match.group()] for match in pattern.finditer(simplify(answer)))
    )
    return found or _find_option(item, answer)


def _find_option(item: Item, answer: str) -> list[str]:
    """The label that an answer names by its letter alone, where the question lists them so: "B.
    alarm set"."""
    letter = _LETTER.fullmatch(answer.strip())
    lines = dict(_OPTION.findall(item.question)) if letter else {}
    label = simplify(lines.get(letter.group(1), "")) if letter else ""
    return [name for name in item.labels if label and simplify(name) == label]


def is_right_class(item: Item, answer: str) -> bool:
    """Whether the answer names a class that a reference names, and no other."""
    found = find_classes(item, answer)
    return len(found) == 1 and any(
        found == find_classes(item, reference) for reference in item.references
    )


def explain_class(item: Item, answer: str) -> str:
    """What was found, in words for a reader."""
    found = find_classes(item, answer)
    if len(found) > 1:
        return f"names several labels: {', '.join(found)}"
    return f"names {found[0]}" if found else "names no label"


def is_exact_match(item: Item, answer: str) -> bool:
    """Equal after lower-casing and stripping: Dynamic-SUPERB's official comparison."""
    said = answer.lower().strip()
    return any(said == reference.lower().strip() for reference in item.references)


def find_steps(item: Item, answer: str) -> tuple[int, int] | None:
    """The places of the right class and of the answer's in the item's ordered labels; None without
    just one of each."""
    said, right = find_classes(item, answer), find_classes(item, (item.references or ("",))[0])
    if len(said) != 1 or len(right) != 1:
        return None
    return item.labels.index(right[0]), item.labels.index(said[0])


def count_steps(item: Item, answer: str) -> list[float] | None:
    """How many classes the answer is off, and one item."""
    steps = find_steps(item, answer)
    return None if steps is None else [float(abs(steps[0] - steps[1])), 1.0]


def count_table(item: Item, answer: str) -> list[float] | None:
    """One item in a table of right class against found class."""
    steps = find_steps(item, answer)
    if steps is None:
        return None
    table = np.zeros((MOST_CLASSES, MOST_CLASSES))
    table[steps] = 1.0
    return table.ravel().tolist()


def make_qwk(sums: np.ndarray) -> np.ndarray:
    """Cohen's kappa with quadratic weights of each table; none where there is but one class on both
    sides."""
    table = sums.reshape(*sums.shape[:-1], MOST_CLASSES, MOST_CLASSES)
    steps = np.arange(MOST_CLASSES)
    weights = (steps[:, None] - steps[None, :]) ** 2
    rows, columns = table.sum(axis=-1), table.sum(axis=-2)
    total = np.maximum(table.sum(axis=(-1, -2)), 1.0)
    expected = (rows[..., :, None] * columns[..., None, :] * weights).sum(axis=(-1, -2)) / total
    observed = (table * weights).sum(axis=(-1, -2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 1.0 - observed / expected, np.nan)


def read_slots(text: str) -> collections.Counter[tuple[str, str]]:
    """The pairs of name and value in lines `name: value`; other lines, such as "none", hold no
    pair."""
    pairs = [line.partition(":") for line in text.splitlines() if ":" in line]
    return collections.Counter(
        (simplify(name), simplify(value)) for name, _, value in pairs if simplify(value)
    )


def count_slots(item: Item, answer: str) -> list[float]:
    """Pairs right, said, and there: a pair is right if name and value are, as in SLURP's span F1
    (not its SLU-F1)."""
    said = read_slots(answer)
    counts = []
    for reference in item.references:
        wanted = read_slots(reference)
        right = (said & wanted).total()
        counts.append([float(right), float(said.total()), float(wanted.total())])
    return max(counts, key=lambda count: 2 * count[0] / max(count[1] + count[2], 1.0))


def make_slot_f1(sums: np.ndarray) -> np.ndarray:
    """Micro-averaged F1; of nothing wanted and nothing said it is 1."""
    both = sums[..., 1] + sums[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(both > 0, 2.0 * sums[..., 0] / both, 1.0)
