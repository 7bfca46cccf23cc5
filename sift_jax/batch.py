"""The contract between data and model: one batch, its keys, dtypes and shapes.

A row holds several *groups* (an utterance with its questions). A group is a shared *prefix*
(segment 0) and its questions (segments 1, 2, …), each of which sees the prefix and itself, and
nothing else:

    token_bt     <im_start> user ♪ ♪ ♪ ♪  How fast ?  Slowly .   How loud ?  Softly .   <im_start> user ♪ ♪ …  pad
    group_bt          1     1    1 1 1 1   1   1   1    1   1     1   1   1    1   1          2     2   2 2 …   0
    segment_bt        0     0    0 0 0 0   1   1   1    1   1     2   2   2    2   2          0     0   0 0 …   0
    position_bt       0     1    2 3 4 5   6   7   8    9  10     6   7   8    9  10          0     1   2 3 …   0
    slot_bt          -1    -1    0 1 2 3  -1  -1  -1   -1  -1    -1  -1  -1   -1  -1         -1    -1   S S+1 … -1

`slot_bt` names the projected audio frame that stands at a position (clip · frames per clip +
frame), -1 for text. `predict_bm` lists the positions whose hidden state predicts a target,
`target_bm` the token it should predict: logits are computed there and nowhere else. Dims: b rows, t
tokens, a clips a row, s mel frames, f mel bins, m targets a row.

Where a decoder is its own teacher, a batch has the same answers behind text a second time, in rows
of `teacher_tokens` without audio. Their keys are those above with `teacher_` before the name;
`taught_bm` is 1 where target m has such a twin, at `teacher_predict_bm`. Where answers are the
model's own and have rewards, a batch has what each target's answer is better by, `advantage_bm`,
and its log-probability when it was drawn, `old_bm`, and without LoRA, `reference_bm`.

Where answers are compared, a group is a pair: segment 1 is the answer that was chosen, segment 2
the one that was rejected, and weight_bm is 1 at the pair's first target and 0 at all others.
"""

from __future__ import annotations

import dataclasses

import numpy as np

Batch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchShape:
    """Every static size of a batch; two batches of one shape never recompile the step."""

    rows: int
    tokens: int
    targets: int
    clips: int
    mel_frames: int
    mel_bins: int
    # positions of a row of the teacher's; 0 where there is none
    teacher_tokens: int = 0
    is_rewarded: bool = False

    def __str__(self) -> str:
        """In a user's words: 2 × 320 positions, 5 clips of up to 2.5 s in each row."""
        positions = f"{self.rows} × {self.tokens:,} positions"
        if not self.clips * self.mel_frames:
            return positions
        # a mel frame is a hundredth of a second
        clips = f"{self.clips} clip{'s' * (self.clips > 1)}"
        return f"{positions}, {clips} of up to {self.mel_frames / 100:g} s in each row"

    def spec(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        """Key to (shape, dtype): the whole contract."""
        bt, bm = (self.rows, self.tokens), (self.rows, self.targets)
        int32, float32 = np.dtype(np.int32), np.dtype(np.float32)
        teacher: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
        if self.teacher_tokens:
            teacher = {
                f"teacher_{name}_bt": ((self.rows, self.teacher_tokens), int32)
                for name in ("token", "group", "segment", "position")
            }
            teacher |= {"teacher_predict_bm": (bm, int32), "taught_bm": (bm, float32)}
        rewarded = ("advantage_bm", "old_bm", "reference_bm") if self.is_rewarded else ()
        return {
            **teacher,
            **dict.fromkeys(rewarded, (bm, float32)),
            "token_bt": (bt, int32),
            "slot_bt": (bt, int32),
            "group_bt": (bt, int32),
            "segment_bt": (bt, int32),
            "position_bt": (bt, int32),
            "predict_bm": (bm, int32),
            "target_bm": (bm, int32),
            "weight_bm": (bm, float32),
            "mel_basf": ((self.rows, self.clips, self.mel_frames, self.mel_bins), float32),
            "frames_ba": ((self.rows, self.clips), int32),
        }


def make_empty_batch(shape: BatchShape) -> Batch:
    """A batch that holds nothing: padding everywhere, no audio, no targets."""
    batch = {key: np.zeros(dims, dtype) for key, (dims, dtype) in shape.spec().items()}
    batch["slot_bt"] -= 1
    return batch


def check_batch(batch: Batch, shape: BatchShape, *, vocab_size: int) -> None:
    """Raises where a batch breaks the contract: token ids out of range would be clamped in silence
    on the device."""
    spec = shape.spec()
    if set(batch) != set(spec):
        raise ValueError(f"batch keys differ from the contract: {sorted(set(batch) ^ set(spec))}")
    for key, (dims, dtype) in spec.items():
        if batch[key].shape != dims or batch[key].dtype != dtype:
            raise ValueError(
                f"batch[{key!r}] is {batch[key].dtype}{batch[key].shape}; the contract says "
                f"{dtype}{dims}"
            )
    for key in ("token_bt", "target_bm"):
        low, high = int(batch[key].min()), int(batch[key].max())
        if low < 0 or high >= vocab_size:
            raise ValueError(
                f"batch[{key!r}] holds token id {low if low < 0 else high}, outside the model's "
                f"vocabulary of {vocab_size}; use the tokenizer that the model was made for"
            )
