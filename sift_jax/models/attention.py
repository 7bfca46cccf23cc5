"""Attention over packed rows and clips, by the kernel that the hardware has: one function, one
mask, five ways.

    plain       all scores at once: the reference, and the fastest for short rows
    blockwise   a block of queries after the other, in plain JAX: never more scores than a block's, anywhere
    cudnn       NVIDIA GPUs in 16 bits: cuDNN's flash attention
    splash      TPUs: the Pallas kernel, which leaves out blocks that nobody sees; clips are padded to whole lanes
    packed      TPUs, by name only: a kernel of our own for packed rows, see packed_attention.py; elsewhere, and for
                clips, what auto is
    auto        splash on a TPU, cudnn on a GPU where they can; else plain for short rows and blockwise for long ones

An AttentionMask says who attends to whom by ids, not by a matrix. Of a packed row: t attends to s
where both are of the same group, s is in the group's shared prefix (segment 0) or in t's own
segment, and s is not later than t. An utterance with two questions, and another utterance behind
it:

                 prefix  question 1  question 2  next utterance
                  a  b     c  d        e  f          g
    group         1  1     1  1        1  1          2
    segment       0  0     1  1        2  2          0
    position      0  1     2  3        2  3          0        each question stands right behind the prefix

        a b c d e f g
    a   x                       the audio and what precedes it are encoded once,
    b   x x
    c   x x x                   question 1 attends to them and to itself,
    d   x x x x
    e   x x     x               and so does question 2, which never meets question 1:
    f   x x     x x             the loss is that of two separate examples
    g               x

Of a clip: s is heard, earlier or later.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from sift_jax.models.fused_attention import attend_by_cudnn
from sift_jax.models.layers import ATTENTION_RESULT, LANES, Array, attend
from sift_jax.models.packed_sight import (
    PACKED_BLOCK,
    Visits,
    find_sight,
    lay_out_visits,
    narrow_sight,
)
from sift_jax.parallel.mesh import BATCH_AXES, count_batch_shards, find_platform

KINDS = ("auto", "plain", "blockwise", "cudnn", "splash", "packed")
# up to here all scores at once are as fast or faster, also backwards
SHORT = 512
BLOCK = 256
# of a row: each is a piece of program of its own
MOST_BLOCKS = 8
# Positions of a block of the TPU's kernel: with blocks of 128 it does a tenth of what a matrix unit
# can, and with 1,024 more of a packed row is computed that nobody sees.
SPLASH_BLOCK = 512
# place, group and segment of positions
Ids = tuple[Array, Array, Array]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=(
        *("group_bt", "segment_bt", "is_heard_bs", "mask_bts", "blocks"),
        *("position_bt", "window", "sight", "visits"),
    ),
    meta_fields=("kind", "block"),
)
@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionMask:
    """Who attends to whom. A row has groups and segments; a clip has what is heard of it, or None
    for all."""

    kind: str
    # positions of a block of a kernel that works in blocks
    block: int = SPLASH_BLOCK
    group_bt: Array | None = None
    segment_bt: Array | None = None
    is_heard_bs: Array | None = None
    # the same as a matrix, made once for all layers where the kind reads one
    mask_bts: Array | None = None
    # and as the TPU's kernel reads it: which blocks of it are seen, and what they are
    blocks: Any = None
    # of a row's places, where only so many positions back are seen
    position_bt: Array | None = None
    window: Array | None = None
    # three integers a position, and the blocks that our own kernel visits by them
    sight: Array | None = None
    visits: tuple[Visits, Visits] | None = None

    @classmethod
    def of(cls, mask_bts: Array) -> AttentionMask:
        """A matrix that is there already, attended to plainly."""
        return cls(kind="plain", mask_bts=mask_bts)

    def narrow(self, position_bt: Array, window: Array) -> AttentionMask:
        """The same without what is `window` positions back, or farther: of positions, not of
        places, so that a question sees as much of its prefix as it would in a row of its own."""
        if self.sight is not None:
            sight = narrow_sight(self.sight, position_bt, window)
            return dataclasses.replace(self, sight=sight, visits=None)
        mask_bts = self.mask_bts
        if mask_bts is not None:
            mask_bts = mask_bts & _is_near(position_bt, position_bt, window)
        # blocks were made of the wider matrix
        return dataclasses.replace(
            self, mask_bts=mask_bts, blocks=None, position_bt=position_bt, window=window
        )


def make_mask(group_bt: Array, segment_bt: Array) -> Array:
    """Who sees whom: earlier in the row, of the same group, and in the shared prefix or the same
    question. What fills the row up (group 0) sees itself alone."""
    place = jnp.arange(group_bt.shape[1])[None]
    ids = place, group_bt, segment_bt
    return _see(ids, ids)


def _is_near(query_bt: Array, key_bs: Array, window: Array) -> Array:
    return query_bt[:, :, None] - key_bs[:, None, :] < window


def _see(query: Ids, key: Ids) -> Array:
    (place_bt, group_bt, segment_bt), (place_bs, group_bs, segment_bs) = query, key
    is_earlier = place_bs[:, None, :] <= place_bt[:, :, None]
    is_same_group = group_bt[:, :, None] == group_bs[:, None, :]
    is_visible = (segment_bs[:, None, :] == 0) | (segment_bt[:, :, None] == segment_bs[:, None, :])
    # A softmax over nothing would be no number; over itself it costs a kernel one block.
    is_itself = place_bs[:, None, :] == place_bt[:, :, None]
    is_real = (group_bt[:, :, None] > 0) | is_itself
    return is_earlier & is_same_group & is_visible & is_real


def choose_kind(kind: str, *, tokens: int, head_size: int, dtype: str, platform: str) -> str:
    """What `auto` stands for; a kernel that cannot take these sizes is an error where it was asked
    for."""
    if kind not in KINDS:
        raise ValueError(f"attention {kind!r} is unknown; choose one of {', '.join(KINDS)}")
    # The kernel works on tiles of 128 × 128; anything else it refuses, or pads at a cost.
    is_whole = tokens % LANES == 0 and head_size % LANES == 0
    is_short_float = jnp.dtype(dtype).itemsize == 2
    if kind == "packed" and platform != "tpu":
        kind = "auto"
    if kind == "auto":
        if platform == "tpu" and is_whole:
            return "splash"
        # of heads beyond 128 only the newest GPUs' kernels know: Gemma's are of 256
        if platform == "gpu" and is_short_float and head_size <= LANES:
            return "cudnn"
        return "plain" if tokens <= SHORT else "blockwise"
    if kind == "splash" and not is_whole:
        raise ValueError(
            f"splash attention takes rows and heads of whole {LANES}s, not {tokens} positions and "
            f"heads of {head_size}; set DataConfig.tokens, or ATTENTION = 'auto'"
        )
    if kind == "packed" and head_size % LANES:
        raise ValueError(
            f"packed attention takes heads of whole {LANES}s, not of {head_size}; set "
            "ATTENTION = 'auto'"
        )
    if kind == "cudnn" and not is_short_float:
        raise ValueError(
            f"cuDNN's attention takes bfloat16, not {dtype}; set ModelConfig.dtype, or "
            "ATTENTION = 'auto'"
        )
    return kind


def choose_clip_kind(kind: str, *, frames: int, head_size: int, dtype: str, platform: str) -> str:
    """The same for an encoder. On a TPU long clips take the kernel: 1,500 frames and heads of 64 are
    padded to whole lanes, which costs less than scores in memory."""
    if platform == "tpu" and kind in ("auto", "splash", "packed"):
        return "splash" if frames > SHORT else "plain"
    kind = "auto" if kind in ("splash", "packed") else kind
    return choose_kind(kind, tokens=frames, head_size=head_size, dtype=dtype, platform=platform)


def make_row_mask(
    kind: str,
    group_bt: Array,
    segment_bt: Array,
    *,
    head_size: int,
    dtype: str,
    block: int = SPLASH_BLOCK,
) -> AttentionMask:
    """The mask of packed rows."""
    kind = choose_kind(
        kind, tokens=group_bt.shape[1], head_size=head_size, dtype=dtype, platform=find_platform()
    )
    if kind == "packed":
        sight = find_sight(group_bt, segment_bt)
        visits = lay_out_visits(sight, choose_packed_block(group_bt.shape[1], block))
        return AttentionMask(kind=kind, block=block, sight=sight, visits=visits)
    # (b, t, t) booleans, shared by all layers: 4 MiB for a row of 2,048, where the scores of one
    # layer's heads take a hundred times that.
    mask_bts = None if kind == "blockwise" else make_mask(group_bt, segment_bt)
    blocks = None
    if kind == "splash" and mask_bts is not None:
        # once for all layers: 51 MB of numbers for a row of 3,584, each way
        blocks = lay_out_blocks(mask_bts, choose_block(mask_bts.shape[1], block))
    return AttentionMask(
        kind=kind,
        block=block,
        group_bt=group_bt,
        segment_bt=segment_bt,
        mask_bts=mask_bts,
        blocks=blocks,
    )


def make_clip_mask(
    kind: str, is_heard_bs: Array | None, *, frames: int, head_size: int, dtype: str
) -> AttentionMask:
    """The mask of an encoder: every frame attends to what is heard."""
    kind = choose_clip_kind(
        kind, frames=frames, head_size=head_size, dtype=dtype, platform=find_platform()
    )
    mask_bts = None
    if is_heard_bs is not None and kind not in ("blockwise", "splash"):
        mask_bts = jnp.broadcast_to(is_heard_bs[:, None, :], (is_heard_bs.shape[0], frames, frames))
    return AttentionMask(kind=kind, is_heard_bs=is_heard_bs, mask_bts=mask_bts)


def attend_by(q_btnk: Array, k_bsnk: Array, v_bsnk: Array, mask: AttentionMask) -> Array:
    """(b, t, n · k), by the kernel that the mask was made for."""
    if mask.kind == "blockwise":
        return _attend_blockwise(q_btnk, k_bsnk, v_bsnk, mask)
    if mask.kind == "cudnn":
        return attend_by_cudnn(q_btnk, k_bsnk, v_bsnk, mask.mask_bts)
    if mask.kind == "packed" and mask.sight is not None:
        from sift_jax.models.packed_attention import attend_packed

        block = choose_packed_block(q_btnk.shape[1], mask.block)
        return attend_packed(q_btnk, k_bsnk, v_bsnk, mask.sight, mask.visits, block=block)
    if mask.kind == "splash":
        if mask.mask_bts is None:
            return attend_clips_by_splash(q_btnk, k_bsnk, v_bsnk, mask.is_heard_bs)
        if mask.blocks is None:
            return attend_splash(q_btnk, k_bsnk, v_bsnk, mask.mask_bts, block=mask.block)
        block = choose_block(q_btnk.shape[1], mask.block)
        return attend_blocks(q_btnk, k_bsnk, v_bsnk, mask.blocks, block=block)
    return attend(q_btnk, k_bsnk, v_bsnk, mask.mask_bts)


def _attend_blockwise(q_btnk: Array, k_bsnk: Array, v_bsnk: Array, mask: AttentionMask) -> Array:
    """Blocks of queries, each with the keys that it may see; backwards a block's scores are made
    again."""
    group_bt, segment_bt = mask.group_bt, mask.segment_bt
    if group_bt is None or segment_bt is None:
        return _attend_clip_blocks(q_btnk, k_bsnk, v_bsnk, mask)
    t = q_btnk.shape[1]
    # Blocks grow with the row, so that at most eight different programs are compiled.
    block = max(BLOCK, -(-t // MOST_BLOCKS))

    @partial(jax.checkpoint, static_argnums=3)
    # checkpoint: the backward pass makes the block's scores again instead of keeping them.
    def attend_block(q: Array, k: Array, v: Array, start: int) -> Array:
        stop = start + q.shape[1]
        place = jnp.arange(stop)[None]
        keys = place, group_bt[:, :stop], segment_bt[:, :stop]
        queries = place[:, start:], group_bt[:, start:stop], segment_bt[:, start:stop]
        sees_bts = _see(queries, keys)
        if mask.position_bt is not None and mask.window is not None:
            position_bt = mask.position_bt
            sees_bts &= _is_near(position_bt[:, start:stop], position_bt[:, :stop], mask.window)
        return attend(q, k, v, sees_bts)

    starts = range(0, t, block)
    # nobody sees what is later: half of all pairs are never made
    blocks = [
        attend_block(q_btnk[:, i : i + block], k_bsnk[:, : i + block], v_bsnk[:, : i + block], i)
        for i in starts
    ]
    return jnp.concatenate(blocks, axis=1)


def _attend_clip_blocks(q_btnk: Array, k_bsnk: Array, v_bsnk: Array, mask: AttentionMask) -> Array:
    """The same for clips, where all keys are seen: one block after the other, by a loop."""
    b, t, n, k = q_btnk.shape
    block = min(BLOCK, t)
    # Whole blocks of queries; what the filling sees is cut off at the end.
    padded = jnp.pad(q_btnk, ((0, 0), (0, -t % block), (0, 0), (0, 0)))
    is_heard = None
    if mask.is_heard_bs is not None:
        is_heard = jnp.broadcast_to(mask.is_heard_bs[:, None, :], (b, block, k_bsnk.shape[1]))
    attend_block = jax.checkpoint(lambda q: attend(q, k_bsnk, v_bsnk, is_heard))
    blocks = jax.lax.map(attend_block, jnp.moveaxis(padded.reshape(b, -1, block, n, k), 1, 0))
    return jnp.moveaxis(blocks, 0, 1).reshape(b, -1, n * k)[:, :t]


def choose_block(tokens: int, most: int) -> int:
    """The largest block of whole lanes, up to `most`, that lengthens a row by an eighth at most: 512
    of 3,328 positions, which become 3,584, since half the block takes more than twice the time."""
    return max(
        n
        for n in range(LANES, max(most, LANES) + 1, LANES)
        if n <= tokens and -tokens % n <= tokens / 8
    )


def choose_packed_block(tokens: int, most: int) -> int:
    """The same for our own kernel, which lengthens any row to whole lanes."""
    return choose_block(tokens + -tokens % LANES, min(most, PACKED_BLOCK))


def attend_splash(
    q_btnk: Array,
    k_bsnk: Array,
    v_bsnk: Array,
    mask_bts: Array,
    *,
    block: int = SPLASH_BLOCK,
    is_interpreted: bool = False,
) -> Array:
    """The TPU's kernel by a matrix."""
    block = choose_block(q_btnk.shape[1], block)
    blocks = lay_out_blocks(mask_bts, block)
    return attend_blocks(q_btnk, k_bsnk, v_bsnk, blocks, block=block, is_interpreted=is_interpreted)


def lay_out_blocks(mask_bts: Array, block: int) -> Any:
    """Of each row what the TPU's kernel reads of a matrix, forward and for the two gradients: which
    blocks anybody sees, which come next, and those that are seen in part. On every device of its
    own rows."""
    run = partial(_lay_out_rows, block=block)
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return run(mask_bts)
    rows = PartitionSpec(BATCH_AXES)
    return jax.shard_map(run, mesh=mesh, in_specs=rows, out_specs=rows, check_vma=False)(mask_bts)


def _lay_out_rows(mask_bts: Array, *, block: int) -> Any:
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel

    t = mask_bts.shape[1]
    longer = -t % block
    if longer:
        # whole blocks; what fills them up sees itself alone, and is cut off at the end
        place = jnp.arange(t + longer)
        is_filling = (place[:, None] == place[None]) & (place[:, None] >= t)
        mask_bts = jnp.pad(mask_bts, ((0, 0), (0, longer), (0, longer))) | is_filling

    def lay_out(mask_ts: Array) -> Any:
        kernel = splash_attention_kernel.make_splash_mha(
            mask_ts[None], block_sizes=_make_block_sizes(block), head_shards=1, q_seq_shards=1
        )
        return kernel.fwd_mask_info, kernel.dq_mask_info, kernel.dkv_mask_info

    return jax.lax.map(lay_out, mask_bts)


def attend_blocks(
    q_btnk: Array,
    k_bsnk: Array,
    v_bsnk: Array,
    blocks: Any,
    *,
    block: int,
    is_interpreted: bool = False,
) -> Array:
    """The TPU's kernel, on every device over its own rows and heads; `blocks` are those of
    lay_out_blocks."""
    run = partial(_run_splash, block=block, is_interpreted=is_interpreted)
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return run(q_btnk, k_bsnk, v_bsnk, blocks)
    # With fewer key heads than devices on the tensor axis each device keeps all heads.
    heads = "tensor" if k_bsnk.shape[2] % mesh.shape["tensor"] == 0 else None
    spread, rows = PartitionSpec(BATCH_AXES, None, heads, None), PartitionSpec(BATCH_AXES)
    run = jax.shard_map(
        run,
        mesh=mesh,
        in_specs=(spread, spread, spread, rows),
        out_specs=PartitionSpec(BATCH_AXES, None, heads),
        check_vma=False,
    )
    return run(q_btnk, k_bsnk, v_bsnk, blocks)


def _run_splash(
    q_btnk: Array, k_bsnk: Array, v_bsnk: Array, blocks: Any, *, block: int, is_interpreted: bool
) -> Array:
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel

    def attend_row(row: tuple[Array, Array, Array, Any]) -> Array:
        q_ntk, k_nsk, v_nsk, infos = row
        kernel: Any = splash_attention_kernel.SplashAttentionKernel(
            # whether the matrix came with the batch has become an array, too, and the kernel asks
            *(info._replace(is_dynamic_mask=True) for info in infos),
            block_sizes=_make_block_sizes(block),
            is_mqa=False,
            save_residuals=False,
            mask_value=splash_attention_kernel.DEFAULT_MASK_VALUE,
            attn_logits_soft_cap=None,
            # what the backward pass reads of the forward one; see scanned_stack.py
            residual_checkpoint_name=ATTENTION_RESULT,
            mask_function=None,
            interpret=is_interpreted,
        )
        return kernel(q_ntk, k_nsk, v_nsk)

    # The kernel does not scale the scores itself.
    t = q_btnk.shape[1]
    scaled = q_btnk * (q_btnk.shape[-1] ** -0.5)
    heads_first = tuple(
        jnp.pad(jnp.swapaxes(x, 1, 2), ((0, 0), (0, 0), (0, -t % block), (0, 0)))
        for x in (scaled, k_bsnk, v_bsnk)
    )
    out = jax.lax.map(attend_row, (*heads_first, blocks))
    return jnp.swapaxes(out, 1, 2)[:, :t].reshape(*q_btnk.shape[:2], -1)


def _make_block_sizes(n: int) -> Any:
    """Blocks of n everywhere. The kernel's own choice is 128: a matrix unit is then idle for nine
    tenths of the time."""
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel

    return splash_attention_kernel.BlockSizes(
        block_q=n,
        block_kv=n,
        block_kv_compute=n,
        block_q_dkv=n,
        block_kv_dkv=n,
        block_kv_dkv_compute=n,
        block_q_dq=n,
        block_kv_dq=n,
    )


def attend_clips_by_splash(
    q_btnk: Array,
    k_bsnk: Array,
    v_bsnk: Array,
    is_heard_bs: Array | None,
    *,
    is_interpreted: bool = False,
) -> Array:
    """The TPU's kernel for clips, in which every frame attends to what is heard."""
    if is_heard_bs is None:
        is_heard_bs = jnp.ones(k_bsnk.shape[:2], bool)
    run = partial(_run_clips, is_interpreted=is_interpreted)
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return run(q_btnk, k_bsnk, v_bsnk, is_heard_bs)
    # clips that the devices cannot share are computed on each
    rows = BATCH_AXES if q_btnk.shape[0] % count_batch_shards(mesh) == 0 else None
    heads = "tensor" if k_bsnk.shape[2] % mesh.shape["tensor"] == 0 else None
    spread, out = PartitionSpec(rows, None, heads, None), PartitionSpec(rows, None, heads)
    run = jax.shard_map(
        run,
        mesh=mesh,
        in_specs=(spread, spread, spread, PartitionSpec(rows, None)),
        out_specs=out,
        check_vma=False,
    )
    return run(q_btnk, k_bsnk, v_bsnk, is_heard_bs)


def _run_clips(
    q_btnk: Array, k_bsnk: Array, v_bsnk: Array, is_heard_bs: Array, *, is_interpreted: bool
) -> Array:
    from jax.experimental.pallas.ops.tpu.splash_attention import (
        splash_attention_kernel,
        splash_attention_mask,
    )

    b, t, n, k = q_btnk.shape
    # 1,500 frames are 1,536; heads of 64 are 128, whose other half is zeros and adds nothing
    longer, wider = -t % LANES, -k % LANES

    def lay_out(x_btnk: Array) -> Array:
        padded = jnp.pad(x_btnk, ((0, 0), (0, longer), (0, 0), (0, wider)))
        return jnp.swapaxes(padded, 1, 2)

    frames = t + longer
    mask = splash_attention_mask.FullMask((frames, frames))
    kernel = splash_attention_kernel.make_splash_mha(
        splash_attention_mask.MultiHeadMask([mask] * n),
        block_sizes=_make_block_sizes(choose_block(frames, SPLASH_BLOCK)),
        head_shards=1,
        q_seq_shards=1,
        residual_checkpoint_name=ATTENTION_RESULT,
        interpret=is_interpreted,
    )
    # a frame attends to keys of its own segment: what is heard is in all frames' segment
    unheard_bs = jnp.pad(~is_heard_bs, ((0, 0), (0, longer)), constant_values=True)
    segments = splash_attention_kernel.SegmentIds(
        q=jnp.zeros((b, frames), jnp.int32), kv=unheard_bs.astype(jnp.int32)
    )
    out = jax.vmap(kernel)(lay_out(q_btnk * k**-0.5), lay_out(k_bsnk), lay_out(v_bsnk), segments)
    return jnp.swapaxes(out, 1, 2)[:, :t, :, :k].reshape(b, t, n * k)
