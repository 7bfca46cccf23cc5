"""The stage-2 step of the true SIFT-LLM on one GPU, on random weights: tokens and examples a
second, model TFLOP/s.

    python -m benchmarks.one_gpu                                 7B on one H200
    python -m benchmarks.one_gpu --rows=8 --remat=dots           other sizes; --attention=cudnn|blockwise|plain
    python -m benchmarks.one_gpu --torch                         and the same model in PyTorch + transformers + PEFT
    python -m benchmarks.one_gpu --encoder=test --decoder=test --rows=1 --tokens=512 --longest=2 --steps=2     a laptop

Packed: an utterance of 4–15 s once, ten questions behind it, several utterances a row. Unshared:
every question with its own audio, a row of its own. TFLOP/s count what the model needs: 4n a token
for the frozen base (not 6n), 4n a target for the head, 2n a frame for Whisper; neither padding, nor
attention scores, nor what is computed twice. The last line is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time

import jax

from benchmarks.adamw import make_adamw
from benchmarks.speech_batches import Sizes, count_questions, make_batches, make_groups, split_group
from sift_jax.batch import Batch, BatchShape
from sift_jax.checkpoints.train_state import cast_params, init_state, shard_state
from sift_jax.models.presets import ModelConfig, make_model_config
from sift_jax.models.speech_lm import SpeechLMConfig
from sift_jax.parallel.mesh import MeshConfig, make_mesh, shard_rows
from sift_jax.training.flops import count_costs
from sift_jax.training.step import make_train_step

TRAINABLE = ("projector/.*", ".*/lora_.*")
LONGEST_TEXT = 80


def parse_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times the stage-2 step on one device.")
    parser.add_argument("--encoder", default="whisper-medium", help="a preset's name")
    parser.add_argument("--decoder", default="qwen2.5-7b-instruct", help="a preset's name")
    parser.add_argument("--rows", type=int, default=4, help="packed sequences in a step")
    parser.add_argument("--tokens", type=int, default=4096, help="positions a row")
    parser.add_argument("--steps", type=int, default=10, help="steps that are timed")
    parser.add_argument("--questions", type=int, default=10, help="questions an utterance")
    parser.add_argument("--longest", type=float, default=15.0, help="seconds of an utterance")
    parser.add_argument("--dtype", default="bfloat16", help="of the computation")
    parser.add_argument("--remat", default="full", help="full, dots or none")
    parser.add_argument("--attention", default="auto", help="the attention kernel")
    parser.add_argument(
        "--microbatches", type=int, default=1, help="pieces in which a batch is computed"
    )
    parser.add_argument("--torch", action="store_true", help="PyTorch beside it")
    return parser.parse_args()


def make_config(flags: argparse.Namespace) -> SpeechLMConfig:
    model = ModelConfig(
        encoder=flags.encoder,
        # silence is masked, so that the window is as long as the longest utterance, on both sides
        frame_mask="all",
        projector="linear",
        projector_frames=None,
        decoder=flags.decoder,
        extra_tokens=0,
        lora_rank=16,
        lora_alpha=8.0,
        lora_targets=("q", "v"),
        quantized=None,
        soft_tokens=False,
        dtype=flags.dtype,
        remat=flags.remat,
        attention=flags.attention,
        attention_block=512,
        fusion="splice",
    )
    config = make_model_config(model)
    encoder = dataclasses.replace(config.encoder, window_seconds=flags.longest)
    return dataclasses.replace(config, encoder=encoder)


def make_data(config: SpeechLMConfig, flags: argparse.Namespace):
    """(side → (examples of a step, batch)) with `rows` rows, the packed ones full."""
    count_frames, rows = config.count_frames, flags.rows
    window = round(100 * flags.longest)
    per_row = max(1, flags.tokens // (count_frames(window) * 2 // 3 + 45 * flags.questions))
    sizes = Sizes(
        utterances=rows * per_row,
        questions=flags.questions,
        shortest=min(4.0, flags.longest / 2),
        longest=flags.longest,
        vocab_size=config.decoder.vocab_size,
    )
    groups = make_groups(sizes, count_frames)
    shape = BatchShape(
        rows=rows,
        tokens=flags.tokens,
        targets=42 * flags.questions * per_row,
        clips=per_row,
        mel_frames=window,
        mel_bins=config.encoder.mel_bins,
    )
    apart = dataclasses.replace(
        shape, tokens=count_frames(window) + LONGEST_TEXT, targets=42, clips=1
    )
    # as many positions as the packed rows have
    apart = dataclasses.replace(apart, rows=max(1, rows * flags.tokens // apart.tokens))
    singles = [single for group in groups for single in split_group(group)][: apart.rows]
    packed = make_batches(groups, {flags.longest: shape}, count_frames)[0]
    unshared = make_batches(singles, {flags.longest: apart}, count_frames)[0]
    found = {
        "packed": (count_examples(packed), packed),
        "unshared": (count_questions(singles), unshared),
    }
    return found, singles


def count_examples(batch: Batch) -> int:
    """Questions in a batch."""
    segment, group = batch["segment_bt"], batch["group_bt"]
    is_start = (segment[:, 1:] > 0) & (
        (segment[:, 1:] != segment[:, :-1]) | (group[:, 1:] != group[:, :-1])
    )
    return int(is_start.sum())


def measure_ours(
    config: SpeechLMConfig, data: dict, flags: argparse.Namespace
) -> dict[str, dict[str, float]]:
    mesh = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])
    optimizer = make_adamw()

    def make():
        state = init_state(config, TRAINABLE, optimizer, 0)
        return {**state, "frozen": cast_params(state["frozen"], flags.dtype)}

    shardings = shard_state(jax.eval_shape(make), mesh)
    state = jax.jit(make, out_shardings=shardings)()
    step = make_train_step(config, optimizer, state, mesh, microbatches=flags.microbatches)
    costs, found = count_costs(config, TRAINABLE), {}
    for side, (examples, batch) in data.items():
        placed = jax.device_put(batch, shard_rows(mesh))
        for _ in range(2):
            state, metrics = step(state, placed)
        jax.block_until_ready(metrics)
        started = time.perf_counter()
        for _ in range(flags.steps):
            state, metrics = step(state, placed)
        loss = float(metrics["loss"])
        seconds = (time.perf_counter() - started) / flags.steps
        tokens = int((batch["group_bt"] > 0).sum())
        found[side] = {
            "seconds_per_step": seconds,
            "examples_per_second": examples / seconds,
            "tokens_per_second": tokens / seconds,
            "token_efficiency": tokens / batch["group_bt"].size,
            "model_teraflops": costs.count(batch) / seconds / 1e12,
            "loss": loss,
        }
    peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    if peak:
        found["packed"]["peak_gb"] = peak / 1e9
    return found


def measure_torch(
    config: SpeechLMConfig, singles: list, flags: argparse.Namespace
) -> dict[str, float]:
    """A step over the unshared examples, in the dtype of ours."""
    import torch

    from benchmarks.torch_speech_lm import TorchSpeechLM, collate, make_step

    device, dtype = ("cuda" if torch.cuda.is_available() else "cpu"), getattr(torch, flags.dtype)
    batch = {key: x.to(device) for key, x in collate(singles, config.encoder.mel_bins).items()}
    with torch.device(device):
        model = TorchSpeechLM(config, None, 16, 8.0, dtype=dtype)
    model.to(device)
    if flags.remat != "none":
        model.decoder.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    step = make_step(model, is_bf16=flags.dtype == "bfloat16", device=device)
    for _ in range(2):
        step(batch)
    started = time.perf_counter()
    for _ in range(flags.steps):
        step(batch)
    seconds = (time.perf_counter() - started) / flags.steps
    tokens = int(batch["is_real"].sum())
    return {"examples_per_second": len(singles) / seconds, "tokens_per_second": tokens / seconds}


def main() -> None:
    flags = parse_flags()
    config = make_config(flags)
    data, singles = make_data(config, flags)
    found = measure_ours(config, data, flags)
    if flags.torch:
        found["torch"] = measure_torch(config, singles, flags)
        found["ratio_packed"] = (
            found["packed"]["examples_per_second"] / found["torch"]["examples_per_second"]
        )
    device = jax.devices()[0]
    print(
        f"{device.device_kind}: {flags.encoder} and {flags.decoder}, {flags.rows} rows of "
        f"{flags.tokens} positions"
    )
    for side, figures in found.items():
        if isinstance(figures, dict):
            print(
                f"  {side:9} " + "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
            )
    print(json.dumps({"device": device.device_kind, **found}))


if __name__ == "__main__":
    main()
