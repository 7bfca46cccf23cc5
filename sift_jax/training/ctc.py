"""A warm start for the projector: what it makes of speech learns to lie where the decoder has the
embeddings of what is said, by connectionist temporal classification (CTC), before the decoder's own
loss has to find that place. With `share` 1 the decoder is not run.

    position     ♪    ♪    ♪    ♪    ♪    ♪        each scores every token: its product with the token's embedding
    a path       –   Rain  –   fall   s   –        any that reads "Rain falls" without repeats and blanks (–)

The blank is the audio token, whose embedding nothing else reads. Of each recording the answer to
its first question is taken for what is said in it, so that the mixture must be recognition alone. A
recording that has fewer positions than its words have tokens, or shares its question with another,
counts nothing; `aligned` is the share of those that count.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from sift_jax.data.data_config import DataConfig
from sift_jax.field_ranges import CheckedConfig, Share
from sift_jax.models.layers import Array
from sift_jax.models.soft_tokens import read_table, score_tokens
from sift_jax.models.speech_lm import Dropout, Params, SpeechLMConfig, project_speech
from sift_jax.text.tokenizers import AUDIO, SpeechTokenizer
from sift_jax.training.losses import LOSS_TARGETS, Objective, Terms, cut, sum_loss
from sift_jax.training.other_audio import find_owners

# log of a path that is not possible: finite, so that its gradient is none
_NEVER = -1e30


@dataclasses.dataclass(frozen=True, kw_only=True)
class CtcConfig(CheckedConfig):
    """How much of the loss is CTC."""

    # 1: CTC alone, and the decoder is not run; below: share · CTC + (1 − share) · cross-entropy
    share: Share


def check_ctc(config: SpeechLMConfig) -> None:
    """ValueError where nothing of the model lies among the embeddings of tokens."""
    if config.hears_units or config.cross:
        raise ValueError(
            "the warm start by CTC places audio among the decoder's embeddings, which a model that "
            "hears units or by cross-attention does not have there; take train.ctc out"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transcripts:
    """What is said in each of n clips, of l tokens at most."""

    token_nl: Array
    # how many there are of each
    count_n: Array
    # whether the clip stands alone before its question
    is_own_n: Array


def find_transcripts(
    batch: dict[str, Array], slots_per_clip: int, turn_end: int, *, most: int
) -> Transcripts:
    """The targets of each clip's first question, without the token that ends the turn."""
    owner_ba = find_owners(batch, slots_per_clip)
    group_bm, segment_bm = (
        jnp.take_along_axis(batch[key], batch["predict_bm"], axis=1)
        for key in ("group_bt", "segment_bt")
    )
    is_said_bm = (batch["weight_bm"] > 0) & (segment_bm == 1) & (batch["target_bm"] != turn_end)
    is_said_bam = is_said_bm[:, None] & (group_bm[:, None] == owner_ba[:, :, None])
    # targets of clip 1 of two: . x x . x, in their order to the front: x x x . .
    order_bam = jnp.argsort(~is_said_bam, axis=2, stable=True)[:, :, :most]
    token_bal = jnp.take_along_axis(batch["target_bm"][:, None], order_bam, axis=2)
    count_ba = jnp.minimum(jnp.sum(is_said_bam, axis=2), most)
    clips_ba = jnp.sum(owner_ba[:, :, None] == owner_ba[:, None, :], axis=2)
    return Transcripts(
        token_nl=token_bal.reshape(-1, token_bal.shape[2]),
        count_n=count_ba.reshape(-1),
        is_own_n=((owner_ba > 0) & (clips_ba == 1)).reshape(-1),
    )


def score_paths(
    blank_nt: Array, label_ntl: Array, token_nl: Array, frames_n: Array, count_n: Array
) -> Array:
    """Log of the summed probability of all paths that read the labels: of log-probabilities of the
    blank and of each label at every position."""
    # A path is in one of two kinds of place: in label l, or in the blank behind it (blank 0: before
    # the first). Label l is entered from the blank before it, or straight from label l − 1 if that
    # is another token: two equal ones need a blank between them.
    is_repeat_nl = jnp.pad(token_nl[:, 1:] == token_nl[:, :-1], ((0, 0), (1, 0)))
    n, _, most = label_ntl.shape
    blank = jnp.full((n, most + 1), _NEVER).at[:, 0].set(0.0)
    label = jnp.full((n, most), _NEVER)

    def step(places: tuple[Array, Array], now: tuple[Array, Array, Array]) -> tuple:
        (blank, label), (log_blank_n, log_label_nl, is_real_n) = places, now
        before = jnp.pad(label[:, :-1], ((0, 0), (1, 0)), constant_values=_NEVER)
        entered = jnp.logaddexp(blank[:, :-1], jnp.where(is_repeat_nl, _NEVER, before))
        behind = jnp.pad(label, ((0, 0), (1, 0)), constant_values=_NEVER)
        moved = (
            jnp.logaddexp(blank, behind) + log_blank_n[:, None],
            jnp.logaddexp(label, entered) + log_label_nl,
        )
        kept = jax.tree.map(lambda new, old: jnp.where(is_real_n[:, None], new, old), moved, places)
        return kept, None

    is_real_tn = jnp.arange(blank_nt.shape[1])[:, None] < frames_n
    steps = (blank_nt.T, label_ntl.swapaxes(0, 1), is_real_tn)
    (blank, label), _ = jax.lax.scan(step, (blank, label), steps)
    last = jnp.take_along_axis(blank, count_n[:, None], axis=1)[:, 0]
    ended = jnp.take_along_axis(label, jnp.maximum(count_n - 1, 0)[:, None], axis=1)[:, 0]
    return jnp.logaddexp(last, ended)


@jax.custom_vjp
def sum_scores(frames_ntd: Array, embedding: Array) -> Array:
    """log Σ exp of each position's scores over the whole vocabulary (n, t); the embeddings get no
    gradient."""
    return _sum_scores(frames_ntd, embedding)[0]


def _sum_scores(frames_ntd: Array, embedding: Array) -> tuple[Array, Array]:
    """(the sums, their slopes): d log Σ exp / d frame is the mean embedding of what it scores, made
    in the same pass, while the scores of so many positions are there."""

    def add(piece: Array) -> tuple[Array, Array]:
        scores = score_tokens(piece, embedding)
        total = jax.nn.logsumexp(scores, axis=-1)
        share = jnp.exp(scores - total[..., None]).astype(piece.dtype)
        return total, jnp.matmul(share, embedding.astype(piece.dtype))

    n, t, d = frames_ntd.shape
    total, slope = jax.lax.map(add, cut(frames_ntd.reshape(1, n * t, d), LOSS_TARGETS))
    return total.reshape(-1)[: n * t].reshape(n, t), slope.reshape(-1, d)[: n * t].reshape(n, t, d)


def _pull_scores(kept: tuple[Array, Array], slope_nt: Array) -> tuple[Array, Array]:
    mean_ntd, embedding = kept
    return (slope_nt[..., None] * mean_ntd).astype(mean_ntd.dtype), jnp.zeros_like(embedding)


def _keep_slope(frames_ntd: Array, embedding: Array) -> tuple[Array, tuple[Array, Array]]:
    total, mean = _sum_scores(frames_ntd, embedding)
    return total, (mean, embedding)


sum_scores.defvjp(_keep_slope, _pull_scores)


def sum_ctc(
    frames_ntd: Array, embedding: Array, said: Transcripts, counts_n: Array, *, blank: int
) -> tuple[Array, Array]:
    """(Σ −log p of the transcripts that their positions can hold, which clips those are)."""
    repeats_n = jnp.sum(
        (said.token_nl[:, 1:] == said.token_nl[:, :-1])
        & (jnp.arange(1, said.token_nl.shape[1]) < said.count_n[:, None]),
        axis=1,
    )
    is_counted_n = said.is_own_n & (said.count_n > 0) & (said.count_n + repeats_n <= counts_n)

    total_nt = sum_scores(frames_ntd, embedding)
    frames = frames_ntd.astype(jnp.float32)
    label_ntl = jnp.einsum("ntd,nld->ntl", frames, embedding[said.token_nl].astype(jnp.float32))
    blank_nt = frames @ embedding[blank].astype(jnp.float32)
    log_p = score_paths(
        blank_nt - total_nt,
        label_ntl - total_nt[:, :, None],
        said.token_nl,
        counts_n,
        said.count_n,
    )
    return -jnp.sum(jnp.where(is_counted_n, log_p, 0.0)), is_counted_n


def make_ctc_objective(config: SpeechLMConfig, ctc: CtcConfig, data: DataConfig) -> Objective:
    """CTC of the projected frames over the decoder's embeddings, beside the cross-entropy."""
    tokenizer = SpeechTokenizer(data.tokenizer, data.chat_template)
    blank, turn_end = tokenizer.ids[AUDIO], tokenizer.turn_end_id

    def objective(
        params: Params, batch: dict[str, Array], dropout: Dropout | None
    ) -> tuple[Array, Terms]:
        slots = config.count_frames(batch["mel_basf"].shape[2])
        heard = project_speech(config, params, batch["mel_basf"], batch["frames_ba"], dropout)
        frames_ntd = heard.reshape(-1, slots, heard.shape[-1])
        counts_n = jnp.asarray(config.count_positions(batch["frames_ba"].reshape(-1)))
        most = min(batch["target_bm"].shape[1], slots)
        said = find_transcripts(batch, slots, turn_end, most=most)
        table = read_table(config.decoder, params["decoder"])
        total, is_counted_n = sum_ctc(frames_ntd, table, said, counts_n, blank=blank)
        counted, clips = jnp.sum(is_counted_n), jnp.sum(batch["frames_ba"] > 0)
        labels = jnp.sum(jnp.where(is_counted_n, said.count_n, 0))
        terms = {
            "ctc": (total, labels.astype(jnp.float32)),
            # the share of the clips that it learns from
            "aligned": (counted.astype(jnp.float32), clips.astype(jnp.float32)),
        }
        if ctc.share == 1.0:
            return total, terms
        tokens, weight = sum_loss(config, params, batch, dropout)
        terms["cross_entropy"] = (tokens, weight)
        return ctc.share * total + (1.0 - ctc.share) * tokens, terms

    return objective
