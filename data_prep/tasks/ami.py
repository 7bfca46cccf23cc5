"""AMI meetings, English: who said what, in windows that begin and end where nobody speaks.

    ami_public_manual_1.6.2/words/ES2002a.A.words.xml     <w nite:id="…" starttime="5.57" endtime="5.94">Okay</w>
                                                          <w … punc="true">,</w>   <vocalsound type="laugh"/>
    {amicorpus,wav_db,.}/ES2002a/audio/ES2002a.Mix-Headset.wav
        ─►  ES2002a from 5.57 s to 27.1 s, turns (("A", "Okay, good morning."), ("B", "Hi."), …)

A turn is what one person says until a pause of half a second in which, or after which, another
begins: where two talk at once, each has a turn, and the one that began first stands first. Laughter
and the like are left out. The splits are those of the corpus for recognition ("full-corpus-asr"):
whatever is in none of its lists for testing is for training.
"""

import dataclasses
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.corpora.recording import CorpusError, Recording, locate_audio, reject
from data_prep.corpora.splits import DEV, EVALUATION, TRAIN
from data_prep.tasks.example import Example, Found
from sift_jax.corpora.bad_item import BadItem

_HELD = {
    **dict.fromkeys(("ES2004", "IS1009", "TS3003", "EN2002"), EVALUATION),
    **dict.fromkeys(
        ("ES2011", "IS1008", "TS3004", "IB4001", "IB4002", "IB4003", "IB4004", "IB4010", "IB4011"),
        DEV,
    ),
}
# A window ends at the first pause after so many seconds, or at the last one before a window would
# be too long.
_ENOUGH, _LONGEST = 15.0, 29.5
# Nobody speaks for so long.
_PAUSE = 0.15
# A speaker who goes on sooner has not ended a turn, whoever spoke meanwhile.
_TURN_PAUSE = 0.5
# Kept of the silence around.
_MARGIN = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Word:
    speaker: str
    text: str
    start: float
    end: float
    is_punctuation: bool


def read_ami(root: Path, languages: Sequence[str]) -> Iterator[Found]:
    """The windows of every meeting that has its words."""
    if "en" not in languages:
        return
    folders = [path for path in (root / "words", *sorted(root.glob("*/words"))) if path.is_dir()]
    meetings: dict[str, list[Path]] = {}
    for path in sorted(folders[0].glob("*.words.xml")) if folders else ():
        meetings.setdefault(path.name.split(".")[0], []).append(path)
    if not meetings:
        raise CorpusError(
            f"no ami_public_manual_*/words/*.words.xml under {root}; unpack AMI's manual "
            "annotations there, or change --root"
        )
    for meeting, paths in meetings.items():
        yield from _read_meeting(meeting, paths, root)


def _read_meeting(meeting: str, paths: Sequence[Path], root: Path) -> Iterator[Found]:
    name = f"{meeting}/audio/{meeting}.Mix-Headset.wav"
    try:
        audio = locate_audio(root, [f"amicorpus/{name}", f"wav_db/{name}", name], meeting)
        words = [word for path in paths for word in _read_words(path)]
    except BadItem as bad:
        yield reject(bad, file=paths[0], language="en")
        return
    for window in _cut(words):
        first, last = window[0].start, max(word.end for word in window)
        identity = f"ami_{meeting}_{round(100 * first):07d}_{round(100 * last):07d}"
        if last - first > _LONGEST:
            yield reject(
                BadItem("no pause to cut at", f"{last - first:.1f} s", identity),
                file=paths[0],
                language="en",
            )
            continue
        start = max(0.0, first - _MARGIN)
        recording = Recording(
            id=identity,
            language="en",
            held=_HELD.get(meeting[:6], TRAIN),
            audio=audio,
            transcript=" ".join(word.text for word in window),
            start=round(start, 2),
            seconds=round(last + _MARGIN - start, 2),
        )
        yield Example(recording=recording, turns=_list_turns(window))


def _read_words(path: Path) -> list[_Word]:
    """The words of one speaker that have times, as they come."""
    try:
        nodes = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        # The last two are about an encoding that nobody knows.
        raise BadItem("broken words", f"{path.name}: {error}"[:200]) from None
    words = []
    for node in nodes:
        text = " ".join((node.text or "").split())
        try:
            start, end = float(node.get("starttime", "nan")), float(node.get("endtime", "nan"))
        except ValueError:
            start = end = math.nan
        if node.tag == "w" and text and 0 <= start <= end < math.inf:
            words.append(
                _Word(
                    speaker=path.name.split(".")[1],
                    text=text,
                    start=start,
                    end=end,
                    is_punctuation=node.get("punc") == "true",
                )
            )
    return words


def _cut(words: Sequence[_Word]) -> Iterator[list[_Word]]:
    """Runs of words between pauses, by their start; a window without a pause comes out as long as
    it is."""
    pieces: list[list[_Word]] = []
    end = -math.inf
    for word in sorted(words, key=lambda word: word.start):
        if not pieces or word.start > end + _PAUSE:
            pieces.append([])
        pieces[-1].append(word)
        end = max(end, word.end)
    window: list[_Word] = []
    for piece in pieces:
        finish = max(word.end for word in piece)
        if window and finish - window[0].start > _LONGEST - 2 * _MARGIN:
            yield window
            window = []
        window = window + piece
        if finish - window[0].start >= _ENOUGH:
            yield window
            window = []
    if window:
        yield window


def _list_turns(window: Sequence[_Word]) -> tuple[tuple[str, str], ...]:
    turns: list[tuple[str, list[_Word]]] = []
    current: dict[str, list[_Word]] = {}
    for word in window:
        own = current.get(word.speaker)
        if word.is_punctuation:
            # A mark has the time at which its word ends, when somebody else may have begun.
            if own:
                own.append(word)
        elif own and (
            turns[-1][1] is own or word.start - max(said.end for said in own) < _TURN_PAUSE
        ):
            own.append(word)
        else:
            current[word.speaker] = [word]
            turns.append((word.speaker, current[word.speaker]))
    return tuple(
        (speaker, re.sub(r" ([.,?!;:])", r"\1", " ".join(word.text for word in words)))
        for speaker, words in turns
    )
