"""Log-mel: clips per second against transformers' WhisperFeatureExtractor, called clip by clip, in
one run.

    python -m benchmarks.log_mel [--seconds=30] [--mel_bins=80] [--clips=60] [--threads=1]

Both take turns on the same clip, so that another load on the machine slows both. A clip of ours is
features in a window of 30 s, as theirs. CPU time counts every thread. Without torch (`make parity`
installs it) theirs is slower.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics

from benchmarks.sides import THREAD_VARIABLES, measure

FULL_WINDOW = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Times log-mel against transformers' extractor.")
    parser.add_argument(
        "--seconds", type=float, default=FULL_WINDOW, help="of a clip; theirs is padded to 30 s"
    )
    parser.add_argument("--mel_bins", type=int, default=80, help="bins of the mel filter bank")
    parser.add_argument("--clips", type=int, default=60, help="recordings that are measured")
    parser.add_argument("--threads", type=int, default=1, help="threads of each side")
    flags = parser.parse_args()
    # read once, when numpy and torch are imported
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(flags.threads)))
    import numpy as np
    import transformers

    from sift_jax.audio.whisper_mel import RATE, fill_log_mel

    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(flags.threads)
    else:
        print(
            "torch is not installed: their extractor runs in numpy, more slowly; `make "
            "parity` installs it"
        )
    wave = np.random.default_rng(0).normal(size=round(flags.seconds * RATE)).astype(np.float32) / 10
    extractor = transformers.WhisperFeatureExtractor(feature_size=flags.mel_bins)
    window = np.empty((round(FULL_WINDOW * 100), flags.mel_bins), np.float32)
    calls = {
        "sift_jax": lambda: fill_log_mel(wave, window),
        "transformers": lambda: extractor(wave, sampling_rate=RATE, return_tensors="np"),
    }
    taken = measure(calls, flags.clips)
    print(
        f"{flags.clips} clips of {flags.seconds:g} s, {flags.mel_bins} mels, {flags.threads} "
        "threads"
    )
    for kind in ("wall", "cpu"):
        for name, figure in (("median", statistics.median), ("minimum", min)):
            ours, theirs = (figure(taken[who][kind]) for who in ("sift_jax", "transformers"))
            print(
                f"  {kind:4} {name:7}  sift_jax {1e3 * ours:6.2f} ms   transformers "
                f"{1e3 * theirs:6.2f} ms   ratio {theirs / ours:5.2f}"
            )


if __name__ == "__main__":
    main()
