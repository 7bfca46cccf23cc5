"""Made-up SIFT-like data, and one batch of it as each side of a benchmark lays it out.

utterances of 4–15 s, ten questions each ─► groups ─► rows: audio once, its questions behind it       (packed)
                                                   ─► a row for each question, with its own audio     (unshared)
                                                   ─► lists of ids, padded to a batch's longest       (PyTorch)
"""

from __future__ import annotations

import dataclasses

import numpy as np

from sift_jax.audio.whisper_mel import RATE, count_mel_frames, fill_log_mel
from sift_jax.batch import Batch, BatchShape
from sift_jax.data.row_layout import Group, Row, lay_out, make_group

START, TURN, END, AUDIO = 1, 2, 3, 5
FIRST_WORD = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """What the made-up data looks like."""

    utterances: int
    questions: int
    shortest: float
    longest: float
    vocab_size: int


def make_groups(sizes: Sizes, count_frames, seed: int = 0) -> list[Group]:
    """One group an utterance. Questions of 14–34 tokens, answers of 8–40: SIFT's closed and open
    ones together.

    Lengths are spread evenly over their range, so that a few utterances stand for many.
    """
    rng, groups = np.random.default_rng(seed), []
    for place in rng.permutation(sizes.utterances):
        part = (place + rng.uniform()) / sizes.utterances
        samples = round((sizes.shortest + part * (sizes.longest - sizes.shortest)) * RATE)
        tokens, is_target, question = [], [], []
        for number in range(sizes.questions):
            asked = rng.integers(FIRST_WORD, sizes.vocab_size, rng.integers(14, 35))
            answer = rng.integers(FIRST_WORD, sizes.vocab_size, rng.integers(8, 41))
            whole = [START, TURN, AUDIO, *asked, TURN, *answer, END]
            tokens += whole
            is_target += [0] * (4 + len(asked)) + [1] * (len(answer) + 1)
            question += [number] * len(whole)
        example = {
            "tokens": np.array(tokens, np.int32),
            "is_target": np.array(is_target, np.int32),
            "question": np.array(question, np.int32),
            "clips": np.zeros(sizes.questions, np.int32),
            "audio": rng.integers(-9_000, 9_000, samples).astype(np.int16),
            "audio_lengths": np.array([samples], np.int32),
        }
        groups.append(
            make_group(
                example, audio_id=AUDIO, count_frames=lambda n: count_frames(count_mel_frames(n))
            )
        )
    return groups


def split_group(group: Group) -> list[Group]:
    """Every question by itself, with its own audio."""
    return [dataclasses.replace(group, questions=[question]) for question in group.questions]


def count_questions(groups: list[Group]) -> int:
    return sum(len(group.questions) for group in groups)


def finish(rows: list[Row], shape: BatchShape, count_frames) -> Batch:
    """The batch with its mel."""
    batch, clips = lay_out(rows, shape, count_frames(shape.mel_frames))
    for b, a, samples in clips:
        batch["frames_ba"][b, a] = fill_log_mel(
            samples.astype(np.float32) / 32768.0, batch["mel_basf"][b, a]
        )
    return batch


def classify(groups: list[Group], seconds: tuple[float, ...]) -> dict[float, list[Group]]:
    """Groups by the shortest window that holds their clips."""
    classes: dict[float, list[Group]] = {window: [] for window in seconds}
    for group in groups:
        longest = max(len(clip) for clip in group.clips) / RATE
        classes[min(window for window in seconds if window >= longest)].append(group)
    return classes


def make_batches(groups: list[Group], shapes: dict[float, BatchShape], count_frames) -> list[Batch]:
    """All groups, class by class, the longest first, each into the fullest row that holds it."""
    batches = []
    for window, pool in classify(groups, tuple(shapes)).items():
        shape, rows = shapes[window], []
        for group in sorted(pool, key=lambda group: -group.tokens):
            fitting = [row for row in rows if row.can_hold(group)]
            if not fitting:
                fitting = [Row(shape)]
                rows += fitting
                if not fitting[0].can_hold(group):
                    raise ValueError(
                        f"{group.tokens} positions do not fit a row of {shape.tokens}; raise "
                        "its tokens"
                    )
            min(fitting, key=lambda row: row.room[0]).add(group)
        rows += [Row(shape) for _ in range(-len(rows) % shape.rows)]
        for start in range(0, len(rows), shape.rows):
            batches.append(finish(rows[start : start + shape.rows], shape, count_frames))
    return batches
