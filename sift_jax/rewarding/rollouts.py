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
from sift_jax.decoding.decoder_sharding import place_params
from sift_jax.decoding.generate import Prompt, lay_out_prompts, prepare, speak
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.models.speech_lm import Params, SpeechLMConfig
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


class RolloutDrawer:
    """Parameters made ready to give each of `rows` prompts so many answers; what generation reads of
    them is there as long as this is."""

    def __init__(
        self,
        config: SpeechLMConfig,
        params: Params,
        mesh: Mesh,
        *,
        rows: int,
        rollouts: int,
        decoding: DecodingConfig,
        stop_ids: tuple[int, ...],
    ):
        self._config, self._mesh, self._params = config, mesh, place_params(params, mesh)
        self._rows, self._rollouts = rows, rollouts
        self._decoding, self._stop_ids = decoding, stop_ids
        self._prepared = prepare(config, self._params, rows=rows * rollouts, mesh=mesh)

    def draw(self, prompts: Sequence[Prompt], *, seed: int, step: int) -> list[list[Answer]]:
        """Answers to exactly `rows` prompts; what is drawn depends on the seed, the step and a
        prompt's place among them."""
        rows, shards = self._rows, count_batch_shards(self._mesh)
        listener = ClipEncoder(
            self._config, self._params, self._mesh, rows=-(-max(1, rows // 4) // shards) * shards
        )
        frames = [listener.hear(prompt.clips) for prompt in prompts]
        longest = max(len(prompt.tokens) for prompt in prompts)
        batch = lay_out_prompts(
            prompts,
            self._config,
            frames,
            tokens=-(-longest // _LENGTH_STEP) * _LENGTH_STEP,
            draws=range(rows * self._rollouts),
        )
        words = np.asarray(jax.random.key_data(jax.random.fold_in(jax.random.key(seed), step)))
        ids = speak(
            self._config,
            self._prepared,
            jax.device_put(batch, shard_rows(self._mesh)),
            jax.random.wrap_key_data(jax.device_put(words, replicate(self._mesh))),
            decoding=self._decoding,
            stop_ids=self._stop_ids,
            copies=self._rollouts,
        )
        each = self._rollouts
        return [
            [_cut(row, self._stop_ids) for row in ids[p * each : (p + 1) * each]]
            for p in range(rows)
        ]


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
    """`grpo.rollouts` answers to each prompt of a step by the parameters of its state."""
    drawer = RolloutDrawer(
        config,
        join_params(state["trainable"], state["frozen"]),
        mesh,
        rows=len(asked),
        rollouts=grpo.rollouts,
        decoding=grpo.decoding,
        stop_ids=stop_ids,
    )
    return drawer.draw([one.prompt for one in asked], seed=seed, step=step)


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
