"""Whether a text was taken from the example that a prompt holds.

    Copies(("How quickly is this sentence spoken?", …)).has("How quickly is this sentence spoken?")   ─►  True
    one of the texts itself, or so many words in a row of it

Short answers are nobody's: "It is spoken slightly fast." may be said of another clip too, and
truly.
"""

from sift_jax.sift.labels import simplify

# Of a text with fewer words nobody can say whose it is, unless it is a question.
_LEAST_WORDS = 6
_LONGEST_RUN = 8


class Copies:
    """The texts of the examples of one prompt."""

    def __init__(self, texts: tuple[str, ...]):
        words = [simplify(text).split() for text in texts]
        self._questions = {
            " ".join(run)
            for run, text in zip(words, texts, strict=True)
            if text.rstrip().endswith("?")
        }
        self._texts = {" ".join(run) for run in words if len(run) >= _LEAST_WORDS}
        self._runs = {run for text in words for run in _list_runs(text)}

    def has(self, text: str) -> bool:
        words = simplify(text).split()
        whole = " ".join(words)
        return (
            whole in self._questions
            or whole in self._texts
            or any(run in self._runs for run in _list_runs(words))
        )


def _list_runs(words: list[str]) -> list[tuple[str, ...]]:
    return [
        tuple(words[place : place + _LONGEST_RUN]) for place in range(len(words) - _LONGEST_RUN + 1)
    ]
