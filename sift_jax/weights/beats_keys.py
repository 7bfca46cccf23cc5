"""Our parameters of BEATs ↔ the keys of its published files, as in key_table.py.

Three tensors are put otherwise here than in the file, see foreign/beats_file.py: the convolution's
weight is one tensor and not a direction with lengths, a patch is flat, and the biases of distances,
which all blocks share, are there once.
"""

from __future__ import annotations

from sift_jax.weights.key_table import Row, make_linear_rows, make_norm_rows

_BLOCK = "encoder.layers.{i}"
# the shared biases; the file has them in every block
BIASES = "encoder.relative_attention_bias.weight"

BEATS: tuple[Row, ...] = (
    ("patch/kernel", "patch_embedding.weight", "turn"),
    *make_norm_rows("patch_norm", "layer_norm"),
    *make_linear_rows("projection", "post_extract_proj"),
    ("places/kernel", "encoder.pos_conv.0.weight", "conv"),
    ("places/bias", "encoder.pos_conv.0.bias", "same"),
    *make_norm_rows("norm", "encoder.layer_norm"),
    ("biases", BIASES, "same"),
    *(
        row
        for ours, theirs in (("q", "q_proj"), ("k", "k_proj"), ("v", "v_proj"), ("o", "out_proj"))
        for row in make_linear_rows(f"blocks/{ours}", f"{_BLOCK}.self_attn.{theirs}")
    ),
    *make_linear_rows("blocks/gate", f"{_BLOCK}.self_attn.grep_linear"),
    ("blocks/gate_scale", f"{_BLOCK}.self_attn.grep_a", "same"),
    *make_norm_rows("blocks/attention_norm", f"{_BLOCK}.self_attn_layer_norm"),
    *make_linear_rows("blocks/up", f"{_BLOCK}.fc1"),
    *make_linear_rows("blocks/down", f"{_BLOCK}.fc2"),
    *make_norm_rows("blocks/mlp_norm", f"{_BLOCK}.final_layer_norm"),
)
