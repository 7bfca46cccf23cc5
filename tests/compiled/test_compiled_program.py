"""What is read from the text of a compiled program: turns of loops, products, collectives, time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sift_jax.compiled.collectives import count_group, list_traffic
from sift_jax.compiled.hlo_text import count_bytes, list_arrays, parse_program
from sift_jax.compiled.places import Place, find_place
from sift_jax.compiled.products import count_products
from sift_jax.compiled.step_time import count_cycles, estimate_time, list_kernels

# a loop of 6 turns, two windows a turn, as a TPU's compiler writes it
LOOP = """HloModule jit_step, is_scheduled=true

%cond (p: (s32[], bf16[8,16]{1,0:T(8,128)(2,1)S(1)})) -> pred[] {
  %bound = s32[]{:T(128)} constant(12)
  %p = (s32[]{:T(128)}, bf16[8,16]{1,0:T(8,128)(2,1)S(1)}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%p), index=0
  ROOT %lt = pred[]{:T(512)} compare(%i, %bound), direction=LT
}

%windowed_body (q: (s32[], bf16[8,16])) -> (s32[], bf16[8,16]) {
  %two = s32[]{:T(128)} constant(2)
  %q = (s32[]{:T(128)}, /*index=1*/bf16[8,16]{1,0:T(8,128)(2,1)S(1)}) parameter(0)
  %i.1 = s32[]{:T(128)} get-tuple-element(%q), index=0
  %x = bf16[8,16]{1,0:T(8,128)(2,1)S(1)} get-tuple-element(%q), index=1
  %w = bf16[16,16]{1,0} constant({...})
  %y = bf16[8,16]{1,0} dot(%x, %w), lhs_contracting_dims={1}, rhs_contracting_dims={0}, \
metadata={op_name="jit(step)/jvp(Decoder)/while/body/q/dot_general"}, \
backend_config={"estimated_cycles":"1500"}
  %next = s32[]{:T(128)} add(%i.1, %two)
  ROOT %t = (s32[]{:T(128)}, bf16[8,16]{1,0}) tuple(%next, %y)
}

ENTRY %main (a: bf16[8,16]) -> bf16[8,16] {
  %a = bf16[8,16]{1,0} parameter(0)
  %zero = s32[]{:T(128)} constant(0)
  %init = (s32[]{:T(128)}, bf16[8,16]{1,0}) tuple(%zero, %a)
  %loop = (s32[]{:T(128)}, bf16[8,16]{1,0}) while(%init), condition=%cond, body=%windowed_body
  ROOT %out = bf16[8,16]{1,0} get-tuple-element(%loop), index=1
}
"""


def test_a_loop_s_body_counts_as_often_as_it_turns():
    program = parse_program(LOOP)
    assert program.times == {"main": 1, "windowed_body": 6}
    place = Place(part="decoder", step_pass="forward")
    assert count_products(program) == {place: 6 * 2 * 8 * 16 * 16}
    assert count_cycles(program) == {place: 6 * 1500}


def test_what_a_kernel_says_of_itself_may_have_lines():
    said = (
        'custom_call_target="tpu_custom_call", frontend_attributes={kernel_metadata={\n"q": 128\n}}'
    )
    text = LOOP.replace(
        "  %next =",
        f'  %splash.7 = bf16[8,16] custom-call(%x), {said}, metadata={{op_name="jvp(Decoder)"}}\n'
        "  %next =",
    )
    program = parse_program(text)
    assert program.times["windowed_body"] == 6
    (kernel,) = list_kernels(program)
    assert (kernel.name, kernel.count, kernel.place.part) == ("splash", 6, "decoder")


def test_a_text_that_is_no_program_is_refused():
    with pytest.raises(ValueError, match="this text is not a compiled program"):
        parse_program("HloModule jit_step\n")


def test_xla_s_own_programs_are_read():
    """A scan of seven products and a gradient, compiled here: their operations by arithmetic."""

    def scan(x, w):
        return jnp.sum(jax.lax.scan(lambda y, _: (jnp.tanh(y @ w), None), x, length=7)[0])

    x, w = jnp.ones((32, 64)), jnp.ones((64, 64))
    once = 2 * 32 * 64 * 64
    forward = parse_program(jax.jit(scan).lower(x, w).compile().as_text())
    assert sum(count_products(forward).values()) == 7 * once
    both = parse_program(jax.jit(jax.value_and_grad(scan, (0, 1))).lower(x, w).compile().as_text())
    found = count_products(both)
    assert sum(found.values()) == 3 * 7 * once
    assert found[Place(part="elsewhere", step_pass="backward")] == 2 * 7 * once


def test_what_is_recomputed_is_told_apart():
    @jax.checkpoint
    def layer(x, w):
        return jnp.tanh(jnp.sin(x @ w) @ w)

    def total(x, w):
        return jnp.sum(jax.lax.scan(lambda y, _: (layer(y, w), None), x, length=5)[0])

    x, w = jnp.ones((8, 16)), jnp.ones((16, 16))
    text = jax.jit(jax.grad(total, (0, 1))).lower(x, w).compile().as_text()
    found = count_products(parse_program(text))
    once = 2 * 8 * 16 * 16
    assert found[Place(part="elsewhere", step_pass="recomputed")] == 5 * 2 * once
    assert found[Place(part="elsewhere", step_pass="backward")] == 5 * 4 * once


@pytest.mark.parametrize(
    "line, operations",
    [
        # a convolution of width 3 with one frame of padding: the two ends meet two taps
        (
            "%y = f32[1,10,4]{2,1,0} convolution(%a, %b), window={size=3 pad=1_1}, "
            "dim_labels=b0f_0io->b0f",
            2 * 4 * 5 * (3 * 10 - 2),
        ),
        # stride 2 and no padding
        (
            "%y = f32[1,4,4]{2,1,0} convolution(%a, %b), window={size=3 stride=2}, "
            "dim_labels=b0f_0io->b0f",
            2 * 4 * 5 * 3 * 4,
        ),
    ],
)
def test_a_convolution_counts_the_pairs_that_it_meets(line, operations):
    text = (
        "ENTRY %main (a: f32[1,10,5], b: f32[3,5,4]) -> f32[] {\n"
        "  %a = f32[1,10,5]{2,1,0} parameter(0)\n  %b = f32[3,5,4]{2,1,0} parameter(1)\n"
        f"  ROOT {line}\n}}\n"
    )
    assert sum(count_products(parse_program(text)).values()) == operations


def test_a_batch_of_products_as_a_tpu_writes_it():
    """Seven matrices and their seven partners: a window of seven over gaps of seven meets each pair
    once."""
    text = """ENTRY %main (a: bf16[7,8,16], b: bf16[7,16,4]) -> bf16[7,8,4] {
  %a = bf16[7,8,16]{2,1,0} parameter(0)
  %b = bf16[7,16,4]{2,1,0} parameter(1)
  ROOT %y = bf16[7,8,4]{2,1,0} convolution(%a, %b), window={size=7 stride=6 pad=0_0 \
lhs_dilate=7}, dim_labels=0bf_0io->0bf
}
"""
    assert sum(count_products(parse_program(text)).values()) == 2 * 7 * 8 * 16 * 4


def test_bytes_of_shapes():
    assert list_arrays("(bf16[4,8]{1,0:T(8,128)(2,1)S(1)}, s32[]{:T(128)}, token[])") == [
        ("bf16", (4, 8)),
        ("s32", ()),
        ("token", ()),
    ]
    assert count_bytes("(bf16[4,8]{1,0}, s32[]{:T(128)}, s4[6])") == 64 + 4 + 3


@pytest.mark.parametrize(
    "text, devices",
    [
        ("replica_groups={{0,1,2,3},{4,5,6,7}}, dimensions={0}", 4),
        ("replica_groups=[2,4]<=[4,2]T(1,0), dimensions={1}", 4),
        ("replica_groups=mesh['a'=1,'b'=4,'c'=2] {'c'}, dimensions={2}", 2),
        ("replica_groups={}, to_apply=%add", 8),
    ],
)
def test_groups_in_each_of_their_notations(text, devices):
    assert count_group(text, 8) == devices


# One gather that a fusion starts and another ends, with 3,000 cycles of work between; and a
# reduction that nobody works beside.
TRAFFIC = """HloModule jit_step, is_scheduled=true

%starting (p0: bf16[250,16]) -> (bf16[250,16], bf16[1000,16]) {
  %p0 = bf16[250,16]{1,0} parameter(0)
  %g.1 = bf16[1000,16]{1,0} all-gather(%p0), channel_id=7, replica_groups=[1,4]<=[4], \
dimensions={0}, metadata={op_name="jit(step)/jvp(Decoder)/dot_general"}
  ROOT %s = (bf16[250,16]{1,0}, bf16[1000,16]{1,0}) custom-call(%g.1), \
custom_call_target="AsyncCollectiveStart"
}

%async_collective_fusion.1 (p1: bf16[250,16]) -> bf16[1000,16] {
  %p1 = bf16[250,16]{1,0} parameter(0)
  ROOT %g.2 = bf16[1000,16]{1,0} all-gather(%p1), channel_id=7, replica_groups=[1,4]<=[4], \
dimensions={0}, metadata={op_name="jit(step)/jvp(Decoder)/dot_general"}
}

%ending (p2: bf16[250,16]) -> bf16[1000,16] {
  %p2 = bf16[250,16]{1,0} parameter(0)
  %g.3 = bf16[1000,16]{1,0} all-gather(%p2), channel_id=7, replica_groups=[1,4]<=[4], \
dimensions={0}, metadata={op_name="jit(step)/jvp(Decoder)/dot_general"}
  ROOT %e = bf16[1000,16]{1,0} custom-call(%g.3), custom_call_target="AsyncCollectiveDone"
}

ENTRY %main (a: bf16[250,16]) -> f32[1000] {
  %a = bf16[250,16]{1,0} parameter(0)
  %begin = (bf16[250,16]{1,0}, bf16[1000,16]{1,0}) fusion(%a), kind=kCustom, calls=%starting
  %beside = bf16[1000,16]{1,0} fusion(%a), kind=kOutput, calls=%async_collective_fusion.1, \
backend_config={"estimated_cycles":"3000"}
  %end = bf16[1000,16]{1,0} fusion(%a), kind=kCustom, calls=%ending
  %sums = f32[1000]{0} custom-call(%end), custom_call_target="tpu_custom_call"
  ROOT %r = f32[1000]{0} all-reduce(%sums), channel_id=9, replica_groups=[1,4]<=[4], \
to_apply=%add, metadata={op_name="jit(step)/transpose(jvp(Decoder))/add"}
}
"""


def test_a_collective_counts_once_where_it_starts():
    gather, reduce = list_traffic(parse_program(TRAFFIC), 4)
    assert (gather.kind, gather.count, gather.bytes) == ("all-gather", 1, 32_000)
    assert gather.received == 24_000 and gather.synchronous_bytes == 0
    assert (reduce.kind, reduce.bytes, reduce.received) == ("all-reduce", 4000, 6000)
    assert reduce.synchronous_bytes == 4000 and reduce.place.step_pass == "backward"


def test_waiting_is_what_no_work_hides():
    """24 kB at 8 GB/s are 3 µs, of which 3,000 cycles at 1.5 GHz hide 2; the reduction's .75 µs
    nothing hides."""
    program = parse_program(TRAFFIC)
    found = estimate_time(program, devices=4, hertz=1.5e9, link_bytes=8e9)
    assert found.work == pytest.approx(2e-6)
    assert found.exposed == pytest.approx(1e-6 + 0.75e-6)
    fast = estimate_time(program, devices=4, hertz=1.5e9, link_bytes=8e12)
    assert fast.exposed == pytest.approx(0.75e-9)
    assert [kernel.count for kernel in list_kernels(program)] == [1]


def test_a_program_without_cycles_has_no_time():
    text = jax.jit(lambda x: x @ x).lower(np.ones((4, 4), np.float32)).compile().as_text()
    assert estimate_time(parse_program(text), devices=1, hertz=1e9, link_bytes=1e9) is None


@pytest.mark.parametrize(
    "op_name, place",
    [
        ("jit(s)/jvp(WhisperEncoder)/while/body/dot_general", ("encoder", "forward")),
        ("jit(s)/transpose(jvp(Decoder))/rematted_computation/dot", ("decoder", "recomputed")),
        ("jit(s)/transpose(jvp(loss))/while/body/dot_general", ("head and loss", "backward")),
        ("jit(s)/optimizer/mul", ("optimizer", "forward")),
    ],
)
def test_places_by_name(op_name, place):
    text = (
        f'ENTRY %m () -> f32[] {{\n  ROOT %c = f32[] add(), metadata={{op_name="{op_name}"}}\n}}\n'
    )
    found = find_place(parse_program(text).computations["m"].root)
    assert (found.part, found.step_pass) == place


# what XLA:GPU writes: a product in a fusion of Triton's, a gather that begins and ends with nothing
# between, and a convolution of cuDNN's with both of its gradients
GPU = """HloModule jit_step, is_scheduled=true

%gemm_fusion_computation (p0: bf16[8,64], p1: bf16[64,32]) -> bf16[8,32] {
  %p0 = bf16[8,64]{1,0} parameter(0)
  %p1 = bf16[64,32]{1,0} parameter(1)
  ROOT %dot.1 = bf16[8,32]{1,0} dot(%p0, %p1), lhs_contracting_dims={1}, rhs_contracting_dims={0}, \
metadata={op_name="jit(step)/jvp(Decoder)/dot_general"}
}

ENTRY %main (a: bf16[8,8], w: bf16[64,32], x: bf16[2,300,80], f: bf16[64,3,80]) -> bf16[8,32] {
  %a = bf16[8,8]{1,0} parameter(0)
  %w = bf16[64,32]{1,0} parameter(1)
  %x = bf16[2,300,80]{2,1,0} parameter(2)
  %f = bf16[64,3,80]{2,1,0} parameter(3)
  %gather = (bf16[8,8]{0,1}, bf16[8,64]{0,1}) all-gather-start(%a), channel_id=1, \
replica_groups=[1,8]<=[8], dimensions={1}, backend_config={"collective_backend_config":{"is_sync":SYNC}}
  %gathered = bf16[8,64]{0,1} all-gather-done(%gather)
  %conv = (bf16[2,150,64]{2,1,0}, u8[0]{0}) custom-call(%x, %f), window={size=3 stride=2 pad=1_1}, \
dim_labels=b0f_o0i->b0f, custom_call_target="__cudnn$convForward"
  %y = bf16[2,150,64]{2,1,0} get-tuple-element(%conv), index=0
  %dx = (bf16[2,300,80]{2,1,0}, u8[0]{0}) custom-call(%y, %f), window={size=3 stride=2 pad=1_1}, \
dim_labels=b0f_o0i->b0f, custom_call_target="__cudnn$convBackwardInput"
  %df = (bf16[64,3,80]{2,1,0}, u8[0]{0}) custom-call(%x, %y), window={size=3 stride=2 pad=1_1}, \
dim_labels=b0f_o0i->b0f, custom_call_target="__cudnn$convBackwardFilter"
  %fmha = (bf16[8,32]{1,0}, u8[0]{0}) custom-call(%gathered), \
custom_call_target="__cudnn$fmhaScaleBiasSoftmax", metadata={op_name="jit(step)/jvp(Decoder)/attend"}
  ROOT %out = bf16[8,32]{1,0} fusion(%gathered, %w), kind=kCustom, calls=%gemm_fusion_computation
}
"""


def test_products_of_a_gpu_s_program():
    """A row of 300 frames, stride 2 and one frame of padding: the first output misses one tap of
    three."""
    found = count_products(parse_program(GPU))
    assert found[Place(part="decoder", step_pass="forward")] == 2 * 8 * 64 * 32
    once = 2 * 2 * 64 * 80 * (3 * 150 - 1)
    assert found[Place(part="elsewhere", step_pass="forward")] == 3 * once
    (kernel,) = list_kernels(parse_program(GPU))
    assert (kernel.name, kernel.count) == ("cudnn$fmhaScaleBiasSoftmax", 1)


@pytest.mark.parametrize("is_sync, synchronous", [("true", 8 * 64 * 2), ("false", 0)])
def test_a_gpu_s_collective_says_whether_it_is_waited_for(is_sync, synchronous):
    (gather,) = list_traffic(parse_program(GPU.replace("SYNC", is_sync)), 8)
    assert (gather.kind, gather.bytes, gather.received) == ("all-gather", 1024, 896)
    assert gather.synchronous_bytes == synchronous
    assert gather.synchronous_received == synchronous * 7 / 8
