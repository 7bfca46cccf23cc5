"""Where a long recording is cut: at pauses between words, into clips that are short enough and have
their own text.

    words     Rain falls.     It is late.        We go          home now
    pauses               .6               .8           .1                     borders are those of .2 s and more
    stretches [Rain falls.]  [It is late.]      [We go home now]
    clips     [Rain falls.    It is late.]      [We go home now]       as few as fit, cut at ends of sentences

A stretch that is longer than a clip may be is skipped: to cut it would be to cut a word, or to
guess its text.
"""

import dataclasses
from collections.abc import Sequence

from data_prep.alignment.word_time import WordTime, list_letters

# What a cut costs, beside the clip that it makes.
_NO_SENTENCE_END, _NO_PAUSE_TO_SPEAK_OF, _CLEAR_PAUSE = 0.5, 0.5, 0.6
# A clip that is shorter costs more: it is little to ask about.
_SHORT_CLIP = 3.0
_ASIDE = 1_000.0
_SENTENCE_ENDS = ".?!…"
# Marks that stand alone and belong to what comes.
_OPENING = frozenset("«‹([{¿¡")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cutting:
    """In seconds: no clip is longer than `longest`; a pause is at least `pause`, and what is left
    of it at the ends of clips at most `margin` each."""

    longest: float
    pause: float
    margin: float

    def __post_init__(self) -> None:
        if not 0 < self.pause < self.longest or self.margin < 0:
            raise ValueError(
                f"--seconds={self.longest:g}, --pause={self.pause:g} and --margin={self.margin:g} "
                "leave no clip; give 0 < pause < seconds, and a margin of at least 0"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip:
    """Words `first` to `last` − 1, from `start` to `end` seconds of the recording; what is too long
    is skipped."""

    first: int
    last: int
    start: float
    end: float
    text: str
    is_too_long: bool


def cut_recording(
    times: Sequence[WordTime], transcript: str, seconds: float, cutting: Cutting
) -> list[Clip]:
    """Clips in order, which together have every word and all of the text. `times` spell the
    transcript."""
    tokens = transcript.split()
    ends = find_token_ends(times, tokens)
    borders = [
        0,
        *(
            i
            for i in range(1, len(times))
            if ends[i - 1] is not None and times[i].start - times[i - 1].end >= cutting.pause
        ),
        len(times),
    ]
    ends[-1] = len(tokens)
    chosen = _choose(times, borders, tokens, ends, seconds, cutting)
    clips = []
    for first, last in zip(chosen, chosen[1:], strict=False):
        start, end = _find_edges(times, first, last, seconds, cutting.margin)
        text = " ".join(tokens[(ends[first - 1] if first else 0) : ends[last - 1]])
        clips.append(
            Clip(
                first=first,
                last=last,
                start=start,
                end=end,
                text=text,
                is_too_long=end - start > cutting.longest,
            )
        )
    return clips


def find_token_ends(times: Sequence[WordTime], tokens: Sequence[str]) -> list[int | None]:
    """For each word how many tokens a text has that ends with it; None where it ends within one
    ("l'" of "l'eau")."""
    reached: dict[int, int] = {}
    letters = 0
    for place, token in enumerate(tokens, 1):
        count = len(list_letters(token))
        letters += count
        # a mark alone belongs to what is before it, unless it opens what comes
        if count or not set(token) <= _OPENING and reached.get(letters) == place - 1:
            reached[letters] = place
    ends: list[int | None] = []
    letters = 0
    for time in times:
        letters += len(list_letters(time.word))
        ends.append(reached.get(letters))
    return ends


def _find_edges(
    times: Sequence[WordTime], first: int, last: int, seconds: float, margin: float
) -> tuple[float, float]:
    """Of a clip: up to a margin of the pauses around it, and never more than half of one."""
    before = times[first].start - times[first - 1].end if first else 2 * times[0].start
    after = (
        times[last].start - times[last - 1].end
        if last < len(times)
        else 2 * max(seconds - times[-1].end, 0)
    )
    start, end = (
        times[first].start - min(margin, before / 2),
        times[last - 1].end + min(margin, after / 2),
    )
    return round(max(start, 0.0), 3), round(min(end, seconds), 3)


def _choose(
    times: Sequence[WordTime],
    borders: Sequence[int],
    tokens: Sequence[str],
    ends: Sequence[int | None],
    seconds: float,
    cutting: Cutting,
) -> list[int]:
    """The borders that cost least: best[k] is the cost of all that is before border k, came[k] the
    border before it."""
    best, came = [0.0], [0]
    for k in range(1, len(borders)):
        costs = {}
        for j in range(k - 1, -1, -1):
            start, end = _find_edges(times, borders[j], borders[k], seconds, cutting.margin)
            if end - start > cutting.longest and j < k - 1:
                break
            own = (
                _ASIDE
                if end - start > cutting.longest
                else 1 + max(0.0, 1 - (end - start) / _SHORT_CLIP)
            )
            costs[j] = best[j] + own
        j = min(costs, key=costs.__getitem__)
        best.append(costs[j] + _cost_of_cut(times, borders[k], tokens, ends))
        came.append(j)
    chosen = [len(borders) - 1]
    while chosen[-1]:
        chosen.append(came[chosen[-1]])
    return [borders[k] for k in reversed(chosen)]


def _cost_of_cut(
    times: Sequence[WordTime], border: int, tokens: Sequence[str], ends: Sequence[int | None]
) -> float:
    if border == len(times):
        return 0.0
    pause = times[border].start - times[border - 1].end
    count = ends[border - 1]
    if count is None:
        raise ValueError(f"a cut behind word {border} would part a token of the text")
    # the last two: French sets a closing mark apart
    tail = " ".join(tokens[max(count - 2, 0) : count]).rstrip(" \"'»”’)")
    is_sentence_end = tail.endswith(tuple(_SENTENCE_ENDS))
    return (0.0 if is_sentence_end else _NO_SENTENCE_END) + _NO_PAUSE_TO_SPEAK_OF * max(
        0.0, 1 - pause / _CLEAR_PAUSE
    )
