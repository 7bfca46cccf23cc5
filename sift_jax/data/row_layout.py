"""From examples to rows: the audio of an utterance once, its questions behind it, several
utterances a row.

    questions of one example      q0: A A A B0 B0        the longest common beginning A (with its frames) becomes the
                                  q1: A A A B1 B1 B1     prefix, segment 0; what differs becomes segments 1, 2, …
    a group                       A A A | B0 B0 | B1 B1 B1
    a row                         group 1 … | group 2 … | group 3 … | padding

Which groups share a row is decided beforehand, by their sizes alone (bin_packing.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from sift_jax.audio.windows import cut_windows
from sift_jax.batch import Batch, BatchShape, make_empty_batch


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """A run of positions: ids, and for audio positions (clip of the group, frame), −1 elsewhere."""

    tokens: np.ndarray
    clip: np.ndarray
    frame: np.ndarray
    is_target: np.ndarray

    def __len__(self) -> int:
        return len(self.tokens)

    def cut(self, start: int, stop: int | None = None) -> Piece:
        return Piece(
            **{f.name: getattr(self, f.name)[start:stop] for f in dataclasses.fields(self)}
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """An utterance (or a pair) with its questions, ready to be laid into a row."""

    prefix: Piece
    questions: list[Piece]
    clips: list[np.ndarray]
    # the same answers behind text, in which their teacher reads what is heard here
    teacher: Group | None = None

    @property
    def tokens(self) -> int:
        return len(self.prefix) + sum(len(q) for q in self.questions)

    @property
    def targets(self) -> int:
        return sum(int(q.is_target.sum()) for q in self.questions)


_NOTHING = np.zeros(0, np.int64)
# what stands in the place of a group that cannot be read
NO_GROUP = Group(
    prefix=Piece(tokens=_NOTHING, clip=_NOTHING, frame=_NOTHING, is_target=_NOTHING),
    questions=[],
    clips=[],
)


def expand_question(
    tokens: np.ndarray, is_target: np.ndarray, clips: np.ndarray, audio_id: int, frames: list[int]
) -> Piece:
    """Puts a clip's frames where its marker stands; the id under an audio position stays the
    marker's."""
    markers = np.flatnonzero(tokens == audio_id)
    # Every token takes one position, a marker as many as its clip has frames.
    #     tokens 7 A 9, A has 3 frames: lengths 1 3 1, source 0 1 1 1 2, offset 0 0 1 2 0
    lengths = np.ones(len(tokens), np.int64)
    lengths[markers] = [frames[clip] for clip in clips]
    source = np.repeat(np.arange(len(tokens)), lengths)
    offset = np.arange(len(source)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    clip_of = np.full(len(tokens), -1, np.int64)
    clip_of[markers] = clips
    clip = clip_of[source]
    return Piece(
        tokens=tokens[source],
        clip=clip,
        frame=np.where(clip >= 0, offset, -1),
        is_target=is_target[source].astype(bool),
    )


def repeat_markers(
    tokens: np.ndarray,
    is_target: np.ndarray,
    clips: np.ndarray,
    audio_id: int,
    counts: Sequence[int],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A marker for each window of its clip, one behind the other; `counts` are the windows of each
    clip."""
    # Clips of 1 and 3 windows are windows 0 and 1 2 3: tokens 7 A A 9, clips 0 1, become
    # 7 A A A A 9, clips 0 1 2 3.
    if all(count == 1 for count in counts):
        return tokens, is_target, clips
    first = np.cumsum([0, *counts])
    times = np.ones(len(tokens), np.int64)
    times[tokens == audio_id] = [counts[clip] for clip in clips]
    windows = [np.arange(first[clip], first[clip + 1]) for clip in clips]
    return np.repeat(tokens, times), np.repeat(is_target, times), np.concatenate(windows)


def count_shared(pieces: list[Piece]) -> int:
    """Positions at the beginning that all questions have in common; a target is never shared."""
    shortest = min(len(p) for p in pieces)
    first = pieces[0]
    # Position by position: still the same in all questions so far?
    same = ~first.is_target[:shortest]
    for p in pieces[1:]:
        same &= (p.tokens[:shortest] == first.tokens[:shortest]) & (
            p.clip[:shortest] == first.clip[:shortest]
        )
        same &= ~p.is_target[:shortest]
    # a question's first own position must come before its first target, which is predicted from the
    # position before it
    answers = [int(np.argmax(p.is_target)) for p in pieces if p.is_target.any()]
    ends = [
        int(np.argmin(same)) if not same.all() else shortest,
        shortest - 1,
        *(start - 1 for start in answers),
    ]
    # The first place that differs; one position less than the shortest question, so that each keeps
    # one of its own; and short of any answer.
    shared = max(0, min(ends))
    # A clip is shared whole or not at all: where the questions part at a clip's frame 3, the three
    # before it are given back.
    return shared - max(0, int(first.frame[shared])) if len(first) else 0


def make_group(
    example: dict[str, np.ndarray],
    *,
    audio_id: int,
    count_frames: Callable[[int], int],
    window: int | None = None,
) -> Group:
    """`count_frames` says how many positions a clip of so many samples takes; a clip of more samples
    than a `window` becomes several."""
    ends = np.cumsum(example["audio_lengths"])
    clips = [
        example["audio"][end - n : end]
        for end, n in zip(ends, example["audio_lengths"], strict=True)
    ]
    pieces_of = [[clip] if window is None else cut_windows(clip, window) for clip in clips]
    counts, clips = [len(each) for each in pieces_of], [x for each in pieces_of for x in each]
    frames = [count_frames(len(clip)) for clip in clips]
    # tokens of all questions, one behind the other: question 0 0 0 1 1 says whose each is; the clips
    # of markers follow each other in the same order
    question, pieces, used = example["question"], [], 0
    for number in np.unique(question):
        rows = question == number
        tokens = example["tokens"][rows]
        markers = int((tokens == audio_id).sum())
        names = example["clips"][used : used + markers]
        used += markers
        told = repeat_markers(tokens, example["is_target"][rows], names, audio_id, counts)
        pieces.append(expand_question(*told, audio_id, frames))
    shared = count_shared(pieces)
    return Group(
        prefix=pieces[0].cut(0, shared), questions=[p.cut(shared) for p in pieces], clips=clips
    )


def split_answers(group: Group) -> Group:
    """A question with several answers as questions with one each, which share its prompt.

    question   : c c c : r r r     an answer ends where a position that is not learnt follows it
    becomes    : c c c | : r r r
    """
    (piece,) = group.questions
    starts = np.flatnonzero(~piece.is_target).tolist()
    spans = zip(starts, [*starts[1:], len(piece)], strict=True)
    return dataclasses.replace(group, questions=[piece.cut(*span) for span in spans])


class Row:
    """A row being filled."""

    def __init__(self, shape: BatchShape):
        self.groups: list[Group] = []
        self.room = np.array([shape.tokens, shape.targets, shape.clips])

    def can_hold(self, group: Group) -> bool:
        return bool((self.room >= (group.tokens, group.targets, len(group.clips))).all())

    def add(self, group: Group) -> None:
        self.groups.append(group)
        self.room = self.room - (group.tokens, group.targets, len(group.clips))


def lay_out(
    rows: list[Row], shape: BatchShape, slots_per_clip: int
) -> tuple[Batch, list[tuple[int, int, np.ndarray]]]:
    """The batch without its mel, and the clips to compute it from: (row, place, samples)."""
    batch = make_empty_batch(shape)
    clips = []
    for b, row in enumerate(rows):
        # Next free position, target and clip of the row.
        t = m = a = 0
        for number, group in enumerate(row.groups, 1):
            # A question's positions go on behind the prefix, as if it stood there alone.
            start = len(group.prefix)
            for segment, piece in enumerate([group.prefix, *group.questions]):
                span = slice(t, t + len(piece))
                batch["token_bt"][b, span] = piece.tokens
                batch["group_bt"][b, span] = number
                batch["segment_bt"][b, span] = segment
                batch["position_bt"][b, span] = np.arange(len(piece)) + (start if segment else 0)
                # Which of the row's audio embeddings stands here: clip · slots a clip + frame; −1
                # for text.
                batch["slot_bt"][b, span] = np.where(
                    piece.clip >= 0, (a + piece.clip) * slots_per_clip + piece.frame, -1
                )
                wanted = np.flatnonzero(piece.is_target)
                # A target is predicted from the position before it.
                batch["predict_bm"][b, m : m + len(wanted)] = t + wanted - 1
                batch["target_bm"][b, m : m + len(wanted)] = piece.tokens[wanted]
                batch["weight_bm"][b, m : m + len(wanted)] = 1.0
                t, m = t + len(piece), m + len(wanted)
            for i, clip in enumerate(group.clips):
                clips.append((b, a + i, clip))
            a += len(group.clips)
    return batch, clips


def weigh_pairs(batch: Batch, rows: list[Row]) -> None:
    """Each group counts once, at its first target, so that a loss over pairs is a mean over
    pairs."""
    batch["weight_bm"][:] = 0.0
    for b, row in enumerate(rows):
        m = 0
        for group in row.groups:
            if group.targets:
                batch["weight_bm"][b, m] = 1.0
            m += group.targets


def lay_out_teachers(batch: Batch, rows: list[Row], shape: BatchShape) -> None:
    """Fills in what the teacher reads, where the batch has room for it.

    A group whose text finds none is not taught: it learns from the tokens alone.

        row       group 1: targets a b | group 2: c d e | group 3: f      group 2 has no teacher
        taught            1 1                 0 0 0                1
    """
    bare = dataclasses.replace(
        shape, tokens=shape.teacher_tokens, clips=0, mel_frames=0, mel_bins=0, teacher_tokens=0
    )
    taught, places = [], []
    for row in rows:
        twins, spans, m = Row(bare), [], 0
        for group in row.groups:
            if group.teacher is not None and twins.can_hold(group.teacher):
                twins.add(group.teacher)
                spans.append(np.arange(m, m + group.targets))
            m += group.targets
        taught.append(twins)
        places.append(np.concatenate([*spans, _NOTHING]))
    found, _ = lay_out(taught, bare, 1)
    for name in ("token", "group", "segment", "position"):
        batch[f"teacher_{name}_bt"] = found[f"{name}_bt"]
    for b, place in enumerate(places):
        batch["teacher_predict_bm"][b, place] = found["predict_bm"][b, : len(place)]
        batch["taught_bm"][b, place] = 1.0


@dataclasses.dataclass
class PackingCounts:
    """What became of the groups; nothing is lost in silence."""

    groups: int = 0
    questions: int = 0
    questions_dropped: int = 0
    groups_dropped: int = 0

    def add(self, other: PackingCounts) -> None:
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
