"""Made-up examples for packing: what the preprocessors yield, without records, text or a tokenizer.

question   START noise… AUDIO noise… TURN answer… END     over one or two clips of noise, in any order of parts
"""

import numpy as np

from sift_jax.audio.front_ends import FRONT_ENDS
from sift_jax.batch import Batch, BatchShape
from sift_jax.data.row_layout import Group, Row, lay_out, make_group
from sift_jax.models.speech_lm import SpeechLMConfig

START, TURN, END, AUDIO_ID, VOCABULARY = 1, 2, 3, 5, 384
LAYOUTS = ("audio_first", "text_first", "two_clips", "clip_between")


def make_question(rng: np.random.Generator, layout: str) -> tuple[list[int], list[bool], list[int]]:
    """(tokens, is_target, clips) of one question."""
    before, after = (list(rng.integers(10, VOCABULARY, rng.integers(2, 7))) for _ in range(2))
    answer = [*rng.integers(10, VOCABULARY, rng.integers(1, 6)), END]
    body, clips = {
        "audio_first": ([AUDIO_ID, *after], [0]),
        "text_first": ([*before, AUDIO_ID], [0]),
        "two_clips": ([AUDIO_ID, AUDIO_ID, *after], [0, 1]),
        "clip_between": ([*before, AUDIO_ID, *after, AUDIO_ID], [1, 0]),
    }[layout]
    tokens = [START, *body, TURN, *answer, TURN]
    is_target = [False] * (len(body) + 2) + [True] * len(answer) + [False]
    return tokens, is_target, clips


def make_example(
    rng: np.random.Generator, questions: list[tuple], clips: int = 2
) -> dict[str, np.ndarray]:
    lengths = rng.integers(5_000, 25_000, clips)
    return {
        "tokens": np.concatenate([q[0] for q in questions]).astype(np.int32),
        "is_target": np.concatenate([q[1] for q in questions]).astype(np.int32),
        "question": np.concatenate([[i] * len(q[0]) for i, q in enumerate(questions)]).astype(
            np.int32
        ),
        "clips": np.concatenate([q[2] for q in questions]).astype(np.int32),
        "audio": rng.integers(-9_000, 9_000, lengths.sum()).astype(np.int16),
        "audio_lengths": lengths.astype(np.int32),
    }


def split_example(example: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """One example for each question, each with the whole audio."""
    singles, used = [], 0
    for number in np.unique(example["question"]):
        mine = example["question"] == number
        markers = int((example["tokens"][mine] == AUDIO_ID).sum())
        singles.append(
            {
                **{key: example[key][mine] for key in ("tokens", "is_target", "question")},
                "clips": example["clips"][used : used + markers],
                "audio": example["audio"],
                "audio_lengths": example["audio_lengths"],
            }
        )
        used += markers
    return singles


def make_groups(config: SpeechLMConfig, examples: list[dict[str, np.ndarray]]) -> list[Group]:
    def count_frames(samples: int) -> int:
        return config.count_frames(FRONT_ENDS[config.encoder.front_end].count_frames(samples))

    return [
        make_group(example, audio_id=AUDIO_ID, count_frames=count_frames) for example in examples
    ]


def make_shape(
    config: SpeechLMConfig, *, rows: int, tokens: int = 256, targets: int = 64, clips: int = 4
) -> BatchShape:
    encoder = config.encoder
    return BatchShape(
        rows=rows,
        tokens=tokens,
        targets=targets,
        clips=clips,
        mel_frames=encoder.mel_frames,
        mel_bins=encoder.mel_bins,
    )


def make_batch(config: SpeechLMConfig, rows: list[list[Group]], **sizes: int) -> Batch:
    """A batch whose rows hold these groups, in this order."""
    shape = make_shape(config, rows=len(rows), **sizes)
    filled = []
    for groups in rows:
        row = Row(shape)
        for group in groups:
            assert row.can_hold(group), "the test's shape is too small for its groups"
            row.add(group)
        filled.append(row)
    batch, clips = lay_out(filled, shape, config.slots_per_clip)
    for b, a, samples in clips:
        heard = samples.astype(np.float32) / 32768.0
        batch["frames_ba"][b, a] = FRONT_ENDS[config.encoder.front_end].fill(
            heard, batch["mel_basf"][b, a]
        )
    return batch


def make_mixed_batch(config: SpeechLMConfig, seed: int = 0, rows: int = 2) -> Batch:
    """Rows of two groups with three questions each, in all layouts."""
    rng = np.random.default_rng(seed)
    examples = [
        make_example(rng, [make_question(rng, LAYOUTS[(i + j) % len(LAYOUTS)]) for j in range(3)])
        for i in range(2 * rows)
    ]
    groups = make_groups(config, examples)
    return make_batch(config, [groups[2 * i : 2 * i + 2] for i in range(rows)])
