"""Where in the model, and in which pass, an instruction stands, by the name that tracing gave it.

jit(train_step)/jvp(Decoder)/while/body/…/dot_general                          decoder, forward
jit(train_step)/transpose(jvp(Decoder))/…/rematted_computation/…/dot_general   decoder, recomputed
jit(train_step)/transpose(jvp(loss))/while/body/…/dot_general                  head and loss, backward
"""

from __future__ import annotations

import dataclasses

from sift_jax.compiled.hlo_text import Instruction

# what a name holds → the part of the model; the first that fits
PARTS = (
    ("Encoder", "encoder"),
    ("Projector", "projector"),
    ("QFormer", "projector"),
    ("CrossAttention", "cross-attention"),
    ("Decoder", "decoder"),
    ("loss", "head and loss"),
    ("optimizer", "optimizer"),
)
PASSES = ("forward", "backward", "recomputed")


@dataclasses.dataclass(frozen=True, kw_only=True, order=True)
class Place:
    part: str
    step_pass: str

    def __str__(self) -> str:
        return f"{self.part}, {self.step_pass}"


def find_place(instruction: Instruction) -> Place:
    name = instruction.op_name
    part = next((part for word, part in PARTS if word in name), "elsewhere")
    # what XLA makes again of its own accord it marks in the instruction's name
    if "rematted_computation" in name or ".remat" in instruction.name:
        return Place(part=part, step_pass="recomputed")
    return Place(part=part, step_pass="backward" if "transpose(" in name else "forward")
