"""Several answers to each prompt of a step, and the batch in which they are learnt from.

prompts (p) ─ prefill once ─► cache × g ─ draw ─► ids (p, g, n)
row p     prompt, shared │ its last token, answer 1 │ its last token, answer 2 │ …      a row a prompt

Parameters are those of the step. What generation reads of them, in its own layout and with LoRA
added in, is made before the rollouts and let go behind them: it is there at no time beside what an
update needs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh

from sift_jax.audio.front_ends import FRONT_ENDS
from sift_jax.batch import Batch, BatchShape
from sift_jax.checkpoints.train_state import State, join_params
from sift_jax.data.row_layout import Group, Piece, Row, lay_out
from sift_jax.decoding.clip_encoder import ClipEncoder
from sift_jax.decoding.generate import lay_out_prompts, prepare, speak
from sift_jax.models.speech_lm import SpeechLMConfig
from sift_jax.parallel.mesh import count_batch_shards, replicate, shard_rows
from sift_jax.rewarding.advantages import Advantages
from sift_jax.rewarding.config import GrpoConfig
from sift_jax.rewarding.prompts import Asked

_LENGTH_STEP = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """Ids of an answer, its stop token among them if it has come to one."""

    ids: np.ndarray
    is_whole: bool

    @property
    def tokens(self) -> int:
        """Without its end."""
        return len(self.ids) - self.is_whole


def draw_rollouts(
    config: SpeechLMConfig,
    state: State,
    asked: Sequence[Asked],
    grpo: GrpoConfig,
    mesh: Mesh,
    *,
    stop_ids: tuple[int, ...],
    seed: int,
    step: int,
) -> list[list[Answer]]:
    """`grpo.rollouts` answers to each prompt; what is drawn depends on the seed, the step and their
    place in it."""
    params = join_params(state["trainable"], state["frozen"])
    prompts = [one.prompt for one in asked]
    rows, shards = len(prompts), count_batch_shards(mesh)
    listener = ClipEncoder(config, params, mesh, rows=-(-max(1, rows // 4) // shards) * shards)
    frames = [listener.hear(prompt.clips) for prompt in prompts]
    longest = max(len(prompt.tokens) for prompt in prompts)
    batch = lay_out_prompts(
        prompts,
        config,
        frames,
        tokens=-(-longest // _LENGTH_STEP) * _LENGTH_STEP,
        draws=range(rows * grpo.rollouts),
    )
    words = np.asarray(jax.random.key_data(jax.random.fold_in(jax.random.key(seed), step)))
    ids = speak(
        config,
        prepare(config, params, rows=rows * grpo.rollouts, mesh=mesh),
        jax.device_put(batch, shard_rows(mesh)),
        jax.random.wrap_key_data(jax.device_put(words, replicate(mesh))),
        decoding=grpo.decoding,
        stop_ids=stop_ids,
        copies=grpo.rollouts,
    )
    return [
        [_cut(row, stop_ids) for row in ids[p * grpo.rollouts : (p + 1) * grpo.rollouts]]
        for p in range(rows)
    ]


def _cut(row: np.ndarray, stop_ids: tuple[int, ...]) -> Answer:
    ended = np.flatnonzero(np.isin(row, stop_ids))
    if len(ended):
        return Answer(ids=row[: ended[0] + 1].copy(), is_whole=True)
    return Answer(ids=row.copy(), is_whole=False)


def make_answer_piece(prompt: Piece, answer: Answer) -> Piece:
    """An answer behind the prompt's last token, which predicts its first: that stands before each."""
    last, none = prompt.tokens[-1:], np.full(len(answer.ids) + 1, -1, np.int64)
    return Piece(
        tokens=np.concatenate([last, answer.ids]).astype(np.int64),
        clip=none,
        frame=none,
        is_target=np.arange(len(none)) > 0,
    )


def lay_out_rollouts(
    asked: Sequence[Asked],
    answers: Sequence[Sequence[Answer]],
    advantages: Advantages,
    shape: BatchShape,
    config: SpeechLMConfig,
) -> Batch:
    """A row a prompt. A rollout that is not used is there and has no weight, so that no other moves."""
    rows = []
    for one, found in zip(asked, answers, strict=True):
        row = Row(shape)
        row.add(
            Group(
                prefix=one.piece.cut(0, len(one.piece) - 1),
                questions=[make_answer_piece(one.piece, answer) for answer in found],
                clips=one.clips,
            )
        )
        rows.append(row)
    batch, clips = lay_out(rows, shape, config.count_frames(shape.mel_frames))
    for p, found in enumerate(answers):
        m = 0
        for g, answer in enumerate(found):
            span = slice(m, m + len(answer.ids))
            batch["weight_bm"][p, span] = advantages.is_used[p, g]
            batch["advantage_bm"][p, span] = advantages.values[p, g]
            m += len(answer.ids)
    front_end = FRONT_ENDS[config.encoder.front_end]
    for b, a, samples in clips:
        heard = samples.astype(np.float32) / 32768.0
        batch["frames_ba"][b, a] = front_end.fill(heard, batch["mel_basf"][b, a])
    return batch
