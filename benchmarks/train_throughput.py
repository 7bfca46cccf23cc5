"""Training throughput on CPU: examples a second against PyTorch + transformers + PEFT, in one run,
of one model.

    python -m benchmarks.train_throughput [--utterances=8] [--rounds=3] [--decoder=PRESET]
    [--sides=packed,eager]

An example is one question about an utterance, as SIFT has ten of: 4–15 s of audio. A step is
forward, backward, clip and AdamW over the Linear and LoRA of q and v, the rest frozen, in float32
on the same two cores; data is laid out beforehand on both sides. All sides take turns over the same
examples, a side's time is that of its best round, and CPU time (of all threads) stands beside the
wall's, for machines that have other work.

    packed      an utterance once, its questions behind it; a row is one utterance           (what training does)
    unshared    every question a row of its own with its own audio, windows by length
    eager, compiled, bf16       PyTorch, every question with its own audio, padded to its batch's longest

The last line is JSON; `ratio_packed` and `ratio_unpacked` are against the faster of PyTorch's two
in float32.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from collections.abc import Callable

from benchmarks.sides import measure, take_cores

LORA_RANK, LORA_ALPHA = 16, 8.0
TRAINABLE = ("projector/.*", ".*/lora_.*")
# a window's rows are as long as its longest group, up to the next multiple
LENGTH_STEP = 32


def parse_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times training steps against PyTorch.")
    parser.add_argument("--utterances", type=int, default=8, help="utterances in a step")
    parser.add_argument("--questions", type=int, default=10, help="questions an utterance")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement")
    parser.add_argument("--shortest", type=float, default=4.0, help="seconds")
    parser.add_argument("--longest", type=float, default=15.0, help="seconds")
    parser.add_argument("--encoder", default="whisper-tiny", help="a preset's name")
    parser.add_argument(
        "--decoder", default="small", help="a preset's name, or small: 20M parameters"
    )
    parser.add_argument("--torch_batch", type=int, default=8, help="examples a step of PyTorch")
    parser.add_argument(
        "--sides", default="packed,unshared,eager,compiled,bf16", help="which of them"
    )
    parser.add_argument(
        "--no_losses",
        action="store_true",
        help="leave out the comparison of losses before training",
    )
    parser.add_argument("--cores", type=int, default=2, help="cores of each side")
    return parser.parse_args()


def make_config(flags: argparse.Namespace):
    """The model: its windows may be of any length, as both sides use them."""
    from benchmarks.small_decoder import find_decoder
    from sift_jax.models.layers import LoraConfig
    from sift_jax.models.presets import ENCODERS, PROJECTORS
    from sift_jax.models.speech_lm import SpeechLMConfig

    encoder = dataclasses.replace(
        ENCODERS[flags.encoder], frame_mask="all", window_seconds=float(flags.longest)
    )
    return SpeechLMConfig(
        quantized=None,
        windows=1,
        encoder=encoder,
        projector=PROJECTORS["linear"],
        decoder=find_decoder(flags.decoder),
        cross=None,
        lora=LoraConfig(rank=LORA_RANK, alpha=LORA_ALPHA, targets=("q", "v")),
        dtype="float32",
        remat="none",
        attention="auto",
        attention_block=512,
    )


def make_shapes(config, groups: list, windows: tuple[float, ...], *, rows: int):
    """A batch shape for each window; a row holds one group, an utterance with its questions."""
    from benchmarks.speech_batches import classify
    from sift_jax.batch import BatchShape

    shapes = {}
    for window, found in classify(groups, windows).items():
        longest = max((group.tokens for group in found), default=1)
        shapes[window] = BatchShape(
            rows=rows,
            tokens=-(-longest // LENGTH_STEP) * LENGTH_STEP,
            targets=max((group.targets for group in found), default=1),
            clips=1,
            mel_frames=round(window * 100),
            mel_bins=config.encoder.mel_bins,
        )
    return shapes


def make_ours(config, params, batches) -> tuple[Callable[[], float], Callable[[], float]]:
    """(a pass over all batches that trains, the mean loss before any training)."""
    import jax
    import numpy as np

    from benchmarks.adamw import make_adamw
    from sift_jax.checkpoints.train_state import make_state, shard_state
    from sift_jax.parallel.mesh import MeshConfig, make_mesh, shard_rows
    from sift_jax.training.losses import sum_loss
    from sift_jax.training.step import make_train_step

    mesh = make_mesh(MeshConfig(data=-1, fsdp=1, tensor=1))
    optimizer = make_adamw()
    first = make_state(jax.tree.map(np.asarray, params), TRAINABLE, optimizer)
    state = jax.device_put(first, shard_state(first, mesh))
    step = make_train_step(config, optimizer, first, mesh, microbatches=1)
    placed = [jax.device_put(batch, shard_rows(mesh)) for batch in batches]
    measure = jax.jit(sum_loss, static_argnums=0)

    def train() -> float:
        nonlocal state
        for batch in placed:
            state, metrics = step(state, batch)
        return float(metrics["loss"])

    def measure_loss() -> float:
        found = [measure(config, params, batch) for batch in batches]
        return sum(float(total) for total, _ in found) / sum(float(weight) for _, weight in found)

    return train, measure_loss


def make_theirs(config, params, groups, flags: argparse.Namespace, kind: str):
    """The same for PyTorch, of one kind: eager, compiled or bf16."""
    import numpy as np
    import torch

    from benchmarks.torch_speech_lm import IGNORED, TorchSpeechLM, collate, make_step

    torch.set_num_threads(flags.cores)
    order = np.random.default_rng(1).permutation(len(groups))
    chunks = [order[i : i + flags.torch_batch] for i in range(0, len(order), flags.torch_batch)]
    batches = [collate([groups[i] for i in chunk], config.encoder.mel_bins) for chunk in chunks]
    model = TorchSpeechLM(config, params, LORA_RANK, LORA_ALPHA)
    step = make_step(
        torch.compile(model, dynamic=True) if kind == "compiled" else model, is_bf16=kind == "bf16"
    )

    def train() -> float:
        return [step(batch) for batch in batches][-1]

    def measure_loss() -> float:
        with torch.no_grad():
            counts = [int((batch["labels"] != IGNORED).sum()) for batch in batches]
            return sum(float(model(**b)) * n for b, n in zip(batches, counts, strict=True)) / sum(
                counts
            )

    return train, measure_loss


def make_sides(
    flags: argparse.Namespace,
) -> tuple[int, dict[str, tuple[Callable, Callable]], dict[str, float]]:
    """(examples, side → (train, measure_loss), token efficiency of ours)."""
    import jax
    import numpy as np

    from benchmarks.speech_batches import (
        Sizes,
        count_questions,
        make_batches,
        make_groups,
        split_group,
    )
    from sift_jax.models.speech_lm import init_params

    config = make_config(flags)
    params = jax.tree.map(
        np.asarray, jax.jit(init_params, static_argnums=0)(config, jax.random.key(0))
    )
    sizes = Sizes(
        utterances=flags.utterances,
        questions=flags.questions,
        shortest=flags.shortest,
        longest=flags.longest,
        vocab_size=config.decoder.vocab_size,
    )
    count_frames = config.count_frames
    groups = make_groups(sizes, count_frames)
    singles = [single for group in groups for single in split_group(group)]
    span = flags.longest - flags.shortest
    windows = tuple(round(flags.shortest + span * part, 2) for part in (0.25, 0.5, 0.75, 1.0))
    shapes = {
        "packed": make_shapes(config, groups, windows, rows=2),
        "unshared": make_shapes(config, singles, windows, rows=4),
    }
    sides, efficiency = {}, {}
    for name in flags.sides.split(","):
        if name in shapes:
            batches = make_batches(
                groups if name == "packed" else singles, shapes[name], count_frames
            )
            efficiency[name] = float(np.mean([(batch["group_bt"] > 0).mean() for batch in batches]))
            sides[name] = make_ours(config, params, batches)
        else:
            sides[name] = make_theirs(config, params, singles, flags, name)
    return count_questions(groups), sides, efficiency


def main() -> None:
    flags = parse_flags()
    take_cores(flags.cores, flag="cores")
    from sift_jax.parallel.hardware import use_virtual_devices

    # as in `make quickstart`: two devices of one core are faster than one of two
    use_virtual_devices(flags.cores)
    examples, sides, efficiency = make_sides(flags)
    losses = (
        {}
        if flags.no_losses
        else {name: measure_loss() for name, (_, measure_loss) in sides.items()}
    )
    taken = measure({name: train for name, (train, _) in sides.items()}, flags.rounds)
    report(examples, losses, taken, efficiency)


def report(examples: int, losses: dict, taken: dict, efficiency: dict) -> None:
    """A line a side, and the figures as JSON."""
    figures = {"examples": examples, "losses": losses, "token_efficiency": efficiency}
    for kind, ending in (("wall", ""), ("cpu", "_cpu")):
        rates = {name: examples / min(found[kind]) for name, found in taken.items()}
        figures[f"examples_per_{'cpu_' if ending else ''}second"] = rates
        for name, found in taken.items():
            more = f"  tokens/slots {efficiency[name]:.3f}" if name in efficiency else ""
            median = examples / statistics.median(found[kind])
            print(f"  {kind:4} {name:9} {rates[name]:8.2f} examples/s (median {median:.2f}){more}")
        rivals = {name: rates[name] for name in ("eager", "compiled") if name in rates}
        for name, key in (("packed", "ratio_packed"), ("unshared", "ratio_unpacked")):
            if rivals and name in rates:
                figures[key + ending] = rates[name] / max(rivals.values())
                figures |= {
                    f"{key}_{rival}{ending}": rates[name] / rate for rival, rate in rivals.items()
                }
    if losses:
        print(
            "  loss before training: "
            f"{', '.join(f'{name} {loss:.4f}' for name, loss in losses.items())}"
        )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
