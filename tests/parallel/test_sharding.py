"""The sharding table and the mesh: everything is placed by one row, and what cannot be placed says
so."""

import re

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec
from tiny_model import SALM, SALM_XATT, make_config

from sift_jax.models.speech_lm import describe_params
from sift_jax.parallel.mesh import (
    MeshConfig,
    check_rows,
    list_own_rows,
    make_mesh,
    put_batch,
    shard_rows,
)
from sift_jax.parallel.sharding import TABLE, flatten_paths, make_spec, match_row

ALL_TARGETS = ("q", "k", "v", "o", "gate", "up", "down")
MODELS = {
    "test": {"lora_rank": 2, "lora_targets": ALL_TARGETS},
    "quickstart": {
        "encoder": "quickstart",
        "decoder": "quickstart",
        "lora_rank": 16,
        "lora_targets": ALL_TARGETS,
    },
    **{kind: {"projector": kind, "projector_frames": None} for kind in ("stacked", "qformer")},
    "salmonn": {"encoder": "test-salmonn", "projector": "salmonn", "projector_frames": None},
    "int8": {"quantized": "int8"},
    "soft-tokens": {"soft_tokens": True},
    "unit-input": {"encoder": None},
    "salm": SALM,
    "salm-xatt": SALM_XATT,
    "sift-llm": {
        "encoder": "whisper-medium",
        "decoder": "qwen2.5-7b",
        "projector": "linear",
        "projector_frames": None,
        "lora_rank": 16,
        "lora_targets": ALL_TARGETS,
    },
}


def make_abstract_mesh(**sizes):
    return jax.sharding.AbstractMesh(tuple(sizes.values()), tuple(sizes))


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_is_placed_by_one_row(name):
    params = flatten_paths(describe_params(make_config(**MODELS[name])))
    for path, leaf in params.items():
        matches = [row for row in TABLE if re.fullmatch(row[0], path)]
        assert len(matches) == 1, path
        assert len(matches[0][1]) == len(leaf.shape), path


def test_no_row_is_idle():
    """Both kinds of decoder together use every row; a row that nothing needs goes."""
    paths = [
        path
        for changes in MODELS.values()
        for path in flatten_paths(describe_params(make_config(**changes)))
    ]
    idle = [
        pattern for pattern, _ in TABLE if not any(re.fullmatch(pattern, path) for path in paths)
    ]
    assert not idle, f"rows of the sharding table that match no parameter: {idle}"


def test_large_leaves_are_spread():
    """At the paper's size nothing above a million elements stays whole on a device of a 2 × 4
    mesh."""
    mesh = make_abstract_mesh(data=1, fsdp=4, tensor=2)
    for path, leaf in flatten_paths(describe_params(make_config(**MODELS["sift-llm"]))).items():
        spec = make_spec(path, leaf.shape, mesh)
        if leaf.size > 3_000_000:
            assert any(spec), f"{path} of {leaf.size:,} elements is on every device"


def test_an_axis_that_does_not_divide_is_dropped():
    mesh = make_abstract_mesh(data=1, fsdp=3, tensor=2)
    assert make_spec("projector/linear/kernel", (32, 64), mesh) == PartitionSpec(None, "tensor")
    assert make_spec("projector/linear/kernel", (33, 63), mesh) == PartitionSpec("fsdp", None)


def test_strangers_are_errors():
    with pytest.raises(
        ValueError, match="parameter decoder/extra is matched by no row of the sharding table"
    ):
        match_row("decoder/extra")
    table = (*TABLE, (r"decoder/emb.*", (None, None)))
    with pytest.raises(
        ValueError, match=r"decoder/embedding is matched by 2 rows \(decoder/embedding, decoder/emb"
    ):
        match_row("decoder/embedding", table)
    mesh = make_abstract_mesh(data=1, fsdp=1, tensor=1)
    with pytest.raises(
        ValueError, match=r"decoder/embedding has shape \(3,\), but its row .* has 2 axes"
    ):
        make_spec("decoder/embedding", (3,), mesh)
    with pytest.raises(ValueError, match="parameter decoder/other is matched by no row"):
        make_spec("decoder/other", (3,), mesh)


def test_the_rest_of_the_devices_go_where_minus_one_is():
    mesh = make_mesh(MeshConfig(data=1, fsdp=-1, tensor=1))
    assert dict(mesh.shape) == {"data": 1, "fsdp": len(jax.devices()), "tensor": 1}


@pytest.mark.parametrize("sizes", [(3, 1, 1), (0, 1, 1), (1, -1, 64), (-2, 1, 1)])
def test_a_mesh_that_does_not_fit_says_so(sizes):
    message = (
        r"does not fit 1 devices; set MeshConfig.data = -1 or sizes whose product|give 1 or more, "
        r"or -1 for what"
    )
    with pytest.raises(ValueError, match=message):
        make_mesh(MeshConfig(data=sizes[0], fsdp=sizes[1], tensor=sizes[2]), jax.devices()[:1])


def test_only_one_axis_takes_what_remains():
    with pytest.raises(ValueError, match="has several -1; only one axis can take what remains"):
        make_mesh(MeshConfig(data=-1, fsdp=-1, tensor=1))


@pytest.mark.parametrize("rows, remedy", [(96, "64 or 128"), (5, "64"), (65, "64 or 128")])
def test_rows_that_do_not_divide_name_both_neighbours(rows, remedy):
    mesh = make_abstract_mesh(data=8, fsdp=8, tensor=1)
    with pytest.raises(
        ValueError,
        match=f"batch of {rows} rows is not divisible by 64 devices .*BATCH_ROWS to {remedy}$",
    ):
        check_rows(rows, mesh)
    check_rows(128, mesh)
    with pytest.raises(
        ValueError, match=r"by 64 devices \(data × fsdp\) × 2 microbatches; set BATCH_ROWS to 128$"
    ):
        check_rows(64, mesh, 2)
    with pytest.raises(ValueError, match="microbatches is 0; set MICROBATCHES to 1 for none"):
        check_rows(64, mesh, 0)


def test_a_process_alone_has_all_rows():
    mesh = make_mesh(MeshConfig(data=-1, fsdp=1, tensor=1))
    rows = 3 * mesh.size
    assert list_own_rows(mesh, rows) == list(range(rows))
    batch = {"token_bt": np.arange(2 * rows, dtype=np.int32).reshape(rows, 2)}
    placed = put_batch(batch, mesh, rows)["token_bt"]
    np.testing.assert_array_equal(placed, batch["token_bt"])
    assert placed.sharding.is_equivalent_to(shard_rows(mesh), 2)
