"""What int8 changes in the weights of a folder, and in what a decoder says of a text.

    folder/*.safetensors ─► every matrix of a projection: |ŵ − w| / |w|, and that of a product with random inputs
    a decoder, a text    ─► of its next tokens: how often the likeliest is the same, and the KL divergence

    python -m benchmarks.quantization --folder=weights/whisper-base
    python -m benchmarks.quantization --folder=weights/SmolLM2-135M-Instruct --text=README.md

Weights that were in four bits once have at most 16 values among 32 neighbours, and are no witness of
what int8 does to others: that is printed, too.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np

# of transformers' decoders and Whispers
PROJECTIONS = (
    r".*\.(q_proj|k_proj|v_proj|o_proj|out_proj|gate_proj|up_proj|down_proj|fc1|fc2)\.weight"
)
NEIGHBOURS, INPUTS = 32, 64


def parse_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", required=True, help="folder of safetensors")
    parser.add_argument(
        "--text", help="a file that the folder's decoder reads; none: weights alone"
    )
    parser.add_argument("--tokens", type=int, default=512, help="how many of its tokens")
    return parser.parse_args()


def compare_matrix(weight: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float]:
    """(error of the weights, error of a product, distinct values among neighbours), of an
    (out, in)."""
    from sift_jax.models.quantization import dequantize, quantize_kernel

    kernel = np.ascontiguousarray(weight.astype(np.float32).T)
    found = np.asarray(dequantize(quantize_kernel(kernel), np.dtype("float32")))
    x = rng.normal(size=(INPUTS, len(kernel))).astype(np.float32)
    errors = [
        float(np.linalg.norm(other - exact) / np.linalg.norm(exact))
        for exact, other in ((kernel, found), (x @ kernel, x @ found))
    ]
    rows = weight[:, : len(kernel) // NEIGHBOURS * NEIGHBOURS].astype(np.float32)
    blocks = np.sort(rows.reshape(-1, NEIGHBOURS)[:: max(1, len(rows) // 8)], axis=1)
    distinct = 1 + (np.diff(blocks, axis=1) != 0).sum(axis=1)
    return errors[0], errors[1], float(distinct.mean())


def compare_weights(folder: str) -> None:
    from sift_jax.weights.tensor_files import TensorFolder

    files, rng = TensorFolder(folder), np.random.default_rng(0)
    names = list(filter(re.compile(PROJECTIONS).fullmatch, files.keys()))
    if not names:
        raise SystemExit(f"{folder} has no projection that is known; see PROJECTIONS")
    table = np.array([compare_matrix(files.read(name), rng) for name in names])
    kinds = sorted({str(files.read(name).dtype) for name in names[:4]})
    print(f"{folder}: {len(names)} matrices in {', '.join(kinds)}")
    for label, column in (("weights", 0), ("products", 1)):
        values = table[:, column]
        print(f"    error of {label:9} mean {values.mean():.3%}, largest {values.max():.3%}")
    print(f"    distinct values of {NEIGHBOURS} neighbours: {table[:, 2].mean():.1f}")


def compare_logits(folder: str, text: str, tokens: int) -> None:
    import jax
    import jax.numpy as jnp
    from flax.traverse_util import unflatten_dict

    from sift_jax.models.attention import AttentionMask, make_mask
    from sift_jax.models.decoder import Decoder, compute_logits, embed_tokens
    from sift_jax.models.layers import NO_LORA
    from sift_jax.models.presets import ModelConfig, make_model_config
    from sift_jax.models.quantization import quantize_decoder
    from sift_jax.text.tokenizers import SpeechTokenizer
    from sift_jax.weights.load import load_decoder

    config = make_model_config(
        ModelConfig(
            encoder="test",
            frame_mask=None,
            projector="linear",
            projector_frames=None,
            decoder=folder,
            fusion="splice",
            extra_tokens=0,
            lora_rank=0,
            lora_alpha=1.0,
            lora_targets=(),
            quantized=None,
            soft_tokens=False,
            dtype="float32",
            remat="none",
            attention="plain",
            attention_block=512,
        )
    )
    ids = SpeechTokenizer(folder).encode(Path(text).read_text(encoding="utf-8"))[:tokens]
    token_bt = jnp.asarray(ids)[None]
    position_bt = jnp.arange(len(ids))[None]
    mask = AttentionMask.of(make_mask(jnp.ones_like(token_bt), jnp.zeros_like(token_bt)))

    @jax.jit
    def predict(params: dict) -> jax.Array:
        decoder = Decoder(config=config.decoder, lora=NO_LORA, dtype=jnp.float32, remat="none")
        x = embed_tokens(config.decoder, params, token_bt, jnp.dtype("float32"))
        hidden = decoder.apply({"params": params}, x, position_bt, mask)
        return jax.nn.log_softmax(compute_logits(params, hidden)[0])

    params = unflatten_dict(load_decoder(folder, config), sep="/")
    exact, found = (np.asarray(predict(p)) for p in (params, quantize_decoder(params)))
    target = np.asarray(ids[1:])
    place = np.arange(len(target))
    divergence = float((np.exp(exact) * (exact - found)).sum(-1).mean())
    same = float((exact.argmax(-1) == found.argmax(-1)).mean())
    losses = [-float(x[place, target].mean()) for x in (exact, found)]
    print(f"    {len(ids)} tokens of {text}: the likeliest is the same for {same:.1%}")
    print(f"    KL divergence {divergence:.2e}; loss {losses[0]:.4f}, in int8 {losses[1]:.4f}")


def main() -> None:
    flags = parse_flags()
    compare_weights(flags.folder)
    if flags.text:
        compare_logits(flags.folder, flags.text, flags.tokens)


if __name__ == "__main__":
    main()
