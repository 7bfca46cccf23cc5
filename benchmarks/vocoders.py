"""Real-time factors of the codecs' ways from units to samples: seconds of computing for a second of
speech.

    python -m benchmarks.vocoders [--seconds=8] [--rounds=3] [--threads=2] [--width=1]

    embedded      pulses and noise through filters, in numpy
    hubert        the generator of configs/vocoder/hubert.gin, and the same with HiFi-GAN's leaky ReLU
    xcodec2       the published decoder's sizes

Random weights and random units: what they say is noise, how long they take is not. Where torch is
installed, the HiFi-GAN of transformers (SpeechT5HifiGan), in the sizes of `hubert leaky_relu`,
takes turns with ours. A width of 4 divides channels by 4, to try the benchmark. CPU time counts
every thread. The last line is JSON.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
from collections.abc import Callable

from benchmarks.sides import THREAD_VARIABLES, measure


def main() -> None:
    parser = argparse.ArgumentParser(description="Times what turns units into samples.")
    parser.add_argument("--seconds", type=float, default=8.0, help="of speech in a call")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement")
    parser.add_argument("--threads", type=int, default=2, help="threads of each side")
    parser.add_argument("--width", type=int, default=1, help="divides every network's channels")
    flags = parser.parse_args()
    # read once, when numpy and torch are imported
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(flags.threads)))
    calls = {
        "embedded": make_embedded(flags.seconds),
        "hubert snake": make_hubert("snake", flags.seconds, flags.width),
        "hubert leaky_relu": make_hubert("leaky_relu", flags.seconds, flags.width),
        "xcodec2": make_xcodec2(flags.seconds, flags.width),
    }
    if importlib.util.find_spec("torch"):
        calls["transformers HiFi-GAN"] = make_theirs(flags.seconds, flags.width, flags.threads)
    taken, figures = measure(calls, flags.rounds), {}
    print(
        f"{flags.seconds:g} s of speech, {flags.threads} threads; seconds of computing for a "
        "second of speech:"
    )
    for name, times in taken.items():
        wall, cpu = (statistics.median(times[kind]) / flags.seconds for kind in ("wall", "cpu"))
        print(
            f"  {name:24} {wall:7.4f} of wall time, {cpu:7.4f} of CPU time, {1 / cpu:7.1f} times "
            "real time a core"
        )
        figures[name] = {"wall": round(wall, 5), "cpu": round(cpu, 5)}
    print(json.dumps(figures))


def make_embedded(seconds: float) -> Callable[[], object]:
    """A voice of wandering pitch and envelope."""
    import numpy as np

    from sift_jax.codecs.embedded.embedded_features import BANDS, STEPS_A_SECOND
    from sift_jax.codecs.embedded.pulse_synthesis import synthesise

    random, steps = np.random.default_rng(0), round(seconds * STEPS_A_SECOND)
    log_power = (
        np.cumsum(random.standard_normal((steps, BANDS)).astype(np.float32), axis=0) * 0.2 - 8
    )
    semitone, voicing = 14 + np.sin(np.arange(steps) * 0.05), np.arange(steps) % 60 < 40
    return lambda: synthesise(log_power, semitone, voicing.astype(np.float32), seed=0)


def make_hubert(activation: str, seconds: float, width: int) -> Callable[[], object]:
    import jax
    import numpy as np

    from sift_jax.codecs.vocoder.network import VocoderConfig, init_vocoder, speak

    config = VocoderConfig(
        unit_width=128, voice_width=128, mel_bins=80, generator=make_generator(activation, width)
    )
    params = init_vocoder(config, jax.random.key(0), codes=2_000, has_durations=False)
    ids = np.random.default_rng(0).integers(0, 2_000, (1, round(seconds * 50))).astype(np.int32)
    voice, length = np.zeros((1, 128), np.float32), np.array([ids.shape[1]])
    return lambda: np.asarray(speak(config, params, ids, voice, length))


def make_generator(activation: str, width: int):
    from sift_jax.codecs.vocoder.hifi_gan import HifiGanConfig

    return HifiGanConfig(
        channels=512 // width,
        rates=(5, 4, 4, 2, 2),
        rate_kernels=(11, 8, 8, 4, 4),
        block_kernels=(3, 7, 11),
        block_dilations=((1, 3, 5),) * 3,
        activation=activation,
        slope=0.1,
    )


def make_xcodec2(seconds: float, width: int) -> Callable[[], object]:
    import jax
    import numpy as np

    from sift_jax.codecs.xcodec2.xcodec2_decoder import Xcodec2Config, decode_codes

    d, heads, layers = 1_024 // width, 16 // width, 12
    config = Xcodec2Config(
        num_hidden_layers=layers,
        num_attention_heads=heads,
        head_dim=64,
        rms_norm_eps=1e-6,
        rope_theta=10_000.0,
        quantization_levels=(4,) * 8,
        downsampling_ratios=(2, 2, 4, 4, 5),
        sampling_rate=16_000,
    )
    random = np.random.default_rng(0)

    def draw(*shape: int) -> dict[str, np.ndarray]:
        weight = random.standard_normal(shape, np.float32) * (
            1 / np.sqrt(np.prod(shape[1:]))
        ).astype(np.float32)
        return {"weight": weight, "bias": np.zeros(shape[0], np.float32)}

    def stack(*shape: int) -> dict[str, np.ndarray]:
        return {"weight": np.stack([draw(*shape)["weight"] for _ in range(layers)])}

    norm = {"weight": np.ones(d, np.float32), "bias": np.zeros(d, np.float32)}
    params = {
        "project_out": draw(2 * d, 8),
        "fc": draw(d, 2 * d),
        "embed": draw(d, d, 7),
        "norm": norm,
        "head": draw(4 * config.hop + 2, d),
    }
    for net in ("prior_0", "prior_1", "post_0", "post_1"):
        params[net] = {"norm1": norm, "norm2": norm, "conv1": draw(d, d, 3), "conv2": draw(d, d, 3)}
    params["layers"] = (
        {f"{name}_proj": stack(d, d) for name in "qkvo"}
        | {"fc1": stack(4 * d, d)}
        | {"fc2": stack(d, 4 * d)}
        | {
            f"{name}_norm": {"weight": np.ones((layers, d), np.float32)}
            for name in ("attention", "mlp")
        }
    )
    params = jax.device_put(params)
    ids = random.integers(0, config.codes, (1, round(seconds * 50))).astype(np.int32)
    return lambda: np.asarray(decode_codes(config, params, ids, np.array([ids.shape[1]])))


def make_theirs(seconds: float, width: int, threads: int) -> Callable[[], object]:
    import torch
    import transformers

    torch.set_num_threads(threads)
    ours = make_generator("leaky_relu", width)
    model = transformers.SpeechT5HifiGan(
        transformers.SpeechT5HifiGanConfig(
            model_in_dim=256,
            upsample_initial_channel=ours.channels,
            upsample_rates=list(ours.rates),
            upsample_kernel_sizes=list(ours.rate_kernels),
            resblock_kernel_sizes=list(ours.block_kernels),
            resblock_dilation_sizes=[list(d) for d in ours.block_dilations],
        )
    ).eval()
    features = torch.randn(1, round(seconds * 50), 256)

    @torch.inference_mode()
    def run() -> object:
        return model(features).numpy()

    return run


if __name__ == "__main__":
    main()
