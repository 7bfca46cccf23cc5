"""All questions of a task as token ids, and how long everything is: made once, then read from disk
where it is needed.

    task/items.bin       one line an item: which record, and where its questions, tokens, markers and clips begin
         questions.bin   one line a question: tokens, targets, where its answer begins, how many markers, and what it
                         shares: `rank` among the item's questions in lexicographic order, `common` with the one before
         tokens.bin      the ids of all questions, one after the other; ~id where a token is to be learnt
         markers.bin     one line an audio marker: its place in the question, and which clip of the item it stands for
         clips.bin       samples of each clip
         sources.bin     which of the record's clips it is: an answer's own audio is none of its item's
         counts.json     lines of each file, and a hash of all that was written; written last

An item is a record as one task sees it. Nothing is loaded: 50 million questions are files of 20
bytes a question, of which a plan reads the few lines that it needs. What any questions of an item
have in common at their beginning is the smallest `common` between the lowest and the highest of
their ranks, so that the length of a packed group is known without its tokens.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from sift_jax.audio.whisper_mel import HOP
from sift_jax.audio.windows import count_windows

ITEM = np.dtype([(name, "<i8") for name in ("record", "question", "token", "marker", "clip")])
QUESTION = np.dtype(
    [(name, "<i4") for name in ("tokens", "targets", "answer", "common")]
    + [("rank", "<u2"), ("markers", "<u2")]
)
MARKER = np.dtype([("place", "<i4"), ("clip", "<i4")])
NUMBER = np.dtype("<i4")
FILES = {
    "items": ITEM,
    "questions": QUESTION,
    "tokens": NUMBER,
    "markers": MARKER,
    "clips": NUMBER,
    "sources": NUMBER,
}
NEVER = np.iinfo(np.int32).max


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """One question as ids, with an audio marker where a clip belongs."""

    tokens: np.ndarray
    is_target: np.ndarray
    # for each marker the clip
    clips: Sequence[int]


class IndexWriter:
    """Writes an index item by item into a folder that it is given empty."""

    def __init__(self, folder: Path, audio_id: int):
        folder.mkdir(parents=True)
        self.folder, self.audio_id = folder, audio_id
        self.counts = dict.fromkeys(FILES, 0)
        # of what the index says, and of whatever belongs to it and is kept beside it
        self.digest = hashlib.sha256()
        self._files = {name: (folder / f"{name}.bin").open("wb") for name in FILES}

    def _put(self, name: str, values: np.ndarray, *, is_told: bool = True) -> None:
        data = np.asarray(values, FILES[name]).tobytes()
        self._files[name].write(data)
        if is_told:
            self.digest.update(f"{name} {len(values)} ".encode() + data)
        self.counts[name] += len(values)

    def add(
        self,
        record: int,
        questions: Sequence[Question],
        clips: Sequence[int],
        sources: Sequence[int] | None = None,
    ) -> None:
        """The questions about one record, of which there must be one, and how many samples each of
        their clips has.

        `sources` says which of the record's clips those are, if not all of them.
        """
        if not questions:
            raise ValueError(
                f"example {record} has no question; filter such examples out of the task"
            )
        for question in questions:
            _check_targets(question, record, self.audio_id)
        self._put("items", np.array([(record, *self._starts())], ITEM))
        self._put("clips", np.asarray(clips))
        every = list(range(len(clips)))
        sources = every if sources is None else list(sources)
        # where it goes without saying it is not part of the hash
        self._put("sources", np.asarray(sources), is_told=sources != every)
        markers = [np.flatnonzero(q.tokens == self.audio_id) for q in questions]
        ranks, common = rank_beginnings(questions, markers)
        lines = []
        for i, (question, places) in enumerate(zip(questions, markers, strict=True)):
            targets = int(np.count_nonzero(question.is_target))
            answer = int(question.is_target.argmax()) if targets else NEVER
            lines.append((len(question.tokens), targets, answer, common[i], ranks[i], len(places)))
        self._put("questions", np.array(lines, QUESTION))
        tokens, is_target = (
            np.concatenate(x)
            for x in zip(*((q.tokens, q.is_target) for q in questions), strict=True)
        )
        self._put("tokens", np.where(is_target, ~tokens, tokens))
        pairs = [
            zip(places, q.clips, strict=True) for q, places in zip(questions, markers, strict=True)
        ]
        self._put("markers", np.array([pair for each in pairs for pair in each], MARKER))

    def _starts(self) -> tuple[int, ...]:
        return tuple(self.counts[name] for name in ("questions", "tokens", "markers", "clips"))

    def close(self) -> None:
        items = self.counts["items"]
        self._put("items", np.array([(-1, *self._starts())], ITEM))
        for file in self._files.values():
            file.close()
        counts = {**self.counts, "items": items, "digest": self.digest.hexdigest()}
        (self.folder / "counts.json").write_text(json.dumps(counts))


def _check_targets(question: Question, record: int, audio_id: int) -> None:
    if len(question.is_target) and question.is_target[0]:
        raise ValueError(
            f"example {record}: the first token of a question is to be learnt, and nothing stands "
            "before it to predict it; put a token there that is not (is_target 0)"
        )
    if (question.is_target & (question.tokens == audio_id)).any():
        raise ValueError(
            f"example {record}: an audio marker is to be learnt; set its is_target to 0"
        )


def rank_beginnings(
    questions: Sequence[Question], markers: Sequence[np.ndarray]
) -> tuple[list[int], list[int]]:
    """For each question its rank in lexicographic order, and the beginning it has in common with
    the one before."""
    # Of an item whose questions are  ♪ how fast · ♪ what · ♪ how loud:
    #     rank   0  ♪ how fast      common  –
    #            1  ♪ how loud              2    with the one before: ♪ how
    #            2  ♪ what                  1                         ♪
    # What any of them share is the least `common` behind the lowest rank up to the highest: of the
    # first and the last, 1.
    words = []
    for question, places in zip(questions, markers, strict=True):
        word = np.array(question.tokens, np.int64)
        # the same marker over another clip is another word
        word[places] = -1 - np.asarray(question.clips, np.int64)
        words.append(word)
    ranks, common = [0] * len(words), [NEVER] * len(words)
    order = sorted(range(len(words)), key=lambda i: words[i].tolist())
    for rank, i in enumerate(order):
        ranks[i] = rank
        if rank:
            last = words[order[rank - 1]]
            shortest = min(len(last), len(words[i]))
            differs = np.flatnonzero(last[:shortest] != words[i][:shortest])
            common[i] = int(differs[0]) if len(differs) else shortest
    return ranks, common


class QuestionIndex:
    """An index on disk."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.counts = json.loads((self.folder / "counts.json").read_text())
        self.items = self._map("items", 1)
        self.questions, self.tokens, self.markers, self.clips, self._sources = map(
            self._map, list(FILES)[1:]
        )

    def _map(self, name: str, more: int = 0) -> np.ndarray:
        path, count, dtype = (
            self.folder / f"{name}.bin",
            self.counts[name] + more,
            FILES[name],
        )
        if path.stat().st_size != count * dtype.itemsize:
            raise ValueError(
                f"{path} is damaged: not the {count} lines it was written with; delete "
                f"{self.folder}"
            )
        # as plain arrays: every slice of a memmap is an object of many microseconds
        return np.memmap(path, dtype, "r").view(np.ndarray) if count else np.zeros(0, dtype)

    def __len__(self) -> int:
        return self.counts["items"]

    @property
    def identity(self) -> object:
        """What tells it from an index of anything else, wherever and whenever it was made."""
        # the last names of an older one's folder have the digest of what was indexed
        return self.counts.get("digest") or self.folder.parts[-3:]

    def list_sources(self, item: int) -> list[int]:
        """Which of its record's clips an item has."""
        start, stop = self.items["clip"][item : item + 2].tolist()
        return self._sources[start:stop].tolist()

    def read(self, item: int, chosen: Sequence[int]) -> dict[str, np.ndarray]:
        """The chosen questions of an item as the features that packing reads; the audio is
        elsewhere."""
        here, after = self.items[item : item + 2].tolist()
        lines = self.questions[here[1] : after[1]]
        ends, marker_ends = (
            np.cumsum(lines["tokens"]) + here[2],
            np.cumsum(lines["markers"]) + here[3],
        )
        coded = [self.tokens[ends[i] - lines["tokens"][i] : ends[i]] for i in chosen]
        clips = [
            self.markers["clip"][marker_ends[i] - lines["markers"][i] : marker_ends[i]]
            for i in chosen
        ]
        flat = np.concatenate(coded)
        return {
            "tokens": np.where(flat < 0, ~flat, flat),
            "is_target": (flat < 0).astype(np.int32),
            "question": np.repeat(np.arange(len(coded), dtype=np.int32), [len(x) for x in coded]),
            "clips": np.concatenate(clips).astype(np.int32),
            "audio_lengths": np.array(self.clips[here[4] : after[4]], np.int32),
        }


def _spread(starts: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(owner, line) of every line of every span."""
    # starts 10 40, counts 3 2: owner 0 0 0 1 1, line 10 11 12 40 41
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts) + starts[
        owner
    ]


class Lengths:
    """How long groups of questions about some items are; one line for each question of each item,
    in their order."""

    def __init__(
        self,
        index: QuestionIndex,
        items: np.ndarray,
        count_frames: Callable[[np.ndarray], np.ndarray],
        window: int | None = None,
    ):
        """`window` are the samples beyond which a clip is several; None: a clip is one."""
        here, after = index.items[items], index.items[items + 1]
        self.count = after["question"] - here["question"]
        self.start = np.cumsum(self.count) - self.count
        self.owner, lines = _spread(here["question"], self.count)
        self.number = lines - here["question"][self.owner]
        self.question = index.questions[lines]
        files = after["clip"] - here["clip"]
        clip_owner, clip_lines = _spread(here["clip"], files)
        samples = np.asarray(index.clips[clip_lines])
        # of the item's clips, in mel frames; −(−n // d) rounds up
        self.longest = np.zeros(len(items), np.int64)
        np.maximum.at(self.longest, clip_owner, -(-samples.astype(np.int64) // HOP))
        self.clips = files
        if window is not None:
            windows = count_windows(samples.astype(np.int64), window)
            self.clips = np.bincount(clip_owner, windows, len(items)).astype(np.int64)
            self.longest = np.minimum(self.longest, window // HOP)
        # every marker is one position in the index, and as many as its clip has frames in a row
        self._marker_owner, marker_lines = _spread(here["marker"], after["marker"] - here["marker"])
        markers = index.markers[marker_lines]
        self._marker_place = markers["place"]
        first_clip = np.cumsum(files) - files
        more = count_frames(samples) - 1
        self._marker_more = more[first_clip[self._marker_owner] + markers["clip"]]
        self._marker_question = np.repeat(np.arange(len(lines)), self.question["markers"])
        self.tokens = self.question["tokens"] + self._add_markers(np.full(len(items), NEVER))

    def count_chosen(self, is_chosen: np.ndarray) -> np.ndarray:
        return np.add.reduceat(is_chosen.astype(np.int64), self.start)

    def _add_markers(self, before: np.ndarray) -> np.ndarray:
        """For each question, what its markers add before a place of its item."""
        is_before = self._marker_place < before[self._marker_owner]
        return np.bincount(
            self._marker_question,
            np.where(is_before, self._marker_more, 0),
            minlength=len(self.owner),
        ).astype(np.int64)

    def _least(self, values: np.ndarray, where: np.ndarray) -> np.ndarray:
        return np.minimum.reduceat(np.where(where, values, NEVER), self.start)

    def _most(self, values: np.ndarray, where: np.ndarray) -> np.ndarray:
        return np.maximum.reduceat(np.where(where, values, -1), self.start)

    def measure_shared(self, is_chosen: np.ndarray) -> np.ndarray:
        """Positions at the beginning that these questions of each item have in common."""
        # In positions of the index, where a marker is one; those that stand in it are then made as
        # long as their clips.
        rank = self.question["rank"].astype(np.int64)
        low, high = (
            self._least(rank, is_chosen)[self.owner],
            self._most(rank, is_chosen)[self.owner],
        )
        shared = self._least(self.question["common"], (rank > low) & (rank <= high))
        # as in row_layout.count_shared: a question keeps its last position, and the one that predicts
        # its answer
        shared = np.minimum(shared, self._least(self.question["tokens"], is_chosen) - 1)
        shared = np.maximum(
            np.minimum(shared, self._least(self.question["answer"], is_chosen) - 1), 0
        )
        return shared + np.maximum(self._most(self._add_markers(shared), is_chosen), 0)

    def measure(self, is_chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(positions, targets) of each item's group when these questions are in it: what it shares
        counts once."""
        # A clip of 60 positions and three questions of 25 behind it: as three rows 3 · 85 = 255, as one
        # group 255 − 2 · 60 = 135.
        prefix = self.measure_shared(is_chosen)
        tokens = np.add.reduceat(np.where(is_chosen, self.tokens, 0), self.start)
        targets = np.add.reduceat(np.where(is_chosen, self.question["targets"], 0), self.start)
        several = np.maximum(self.count_chosen(is_chosen) - 1, 0)
        return tokens - several * prefix, targets
