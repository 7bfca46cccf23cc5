"""HuBERT units: times real time of a codec against transformers' HuBERT and torch's nearest code,
in one run.

    python -m benchmarks.units_extraction [--layers=12] [--layer=9] [--codes=2000] [--clips=48]
    [--threads=2]

Random weights in the sizes of HuBERT base, clips of 1 to 8 s. Both hear the same clips and take
turns, so that another load on the machine slows both: ours in static buckets, theirs clip by clip
(as the published features were made; a padded batch would change HuBERT base's own numbers) up to
the layer asked for. CPU time counts every thread: on a machine with other work it is the one to
look at. The last line is JSON. Needs torch.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

from benchmarks.sides import THREAD_VARIABLES, measure


def make_codec(model, points, layer: int):
    """A codec of this model of transformers and these codes."""
    from sift_jax.codecs.codec import INPUT_RATE
    from sift_jax.codecs.codec_folder import CodecConfig, write_folder
    from sift_jax.codecs.hubert.hubert_codec import find_files, fingerprint_encoder
    from sift_jax.codecs.registry import load_codec

    with tempfile.TemporaryDirectory() as place:
        encoder, folder = Path(place) / "encoder", Path(place) / "codec"
        model.save_pretrained(encoder)
        found = find_files(encoder)
        write_folder(
            folder,
            CodecConfig(
                kind="hubert",
                codes=len(points),
                frame_rate=50.0,
                sample_rate=INPUT_RATE,
                is_deduplicated=False,
                options={
                    "encoder": str(encoder),
                    "encoder_fingerprint": fingerprint_encoder(found),
                    "layer": layer,
                    "is_normalised": False,
                    "has_weights": True,
                    "config": dict(found.raw),
                    "frames": 0,
                },
            ),
            {"book": {"points": points}}
            | {f"encoder_{i:05}": path for i, path in enumerate(found.files)},
        )
        return load_codec(folder)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Times HuBERT units against transformers and torch."
    )
    parser.add_argument("--layers", type=int, default=12, help="layers of the encoder")
    parser.add_argument("--layer", type=int, default=9, help="whose output becomes units")
    parser.add_argument("--width", type=int, default=768, help="width of the encoder")
    parser.add_argument("--codes", type=int, default=2_000, help="entries of the code book")
    parser.add_argument(
        "--clips", type=int, default=48, help="of few, some stand in rows much longer than they are"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement")
    parser.add_argument("--threads", type=int, default=2, help="threads of each side")
    parser.add_argument("--device", default="cpu", help="of torch: cpu or cuda; ours is JAX's own")
    flags = parser.parse_args()
    # read once, when numpy and torch are imported
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(flags.threads)))
    import numpy as np
    import torch
    import transformers

    from sift_jax.codecs.codec import INPUT_RATE

    torch.set_num_threads(flags.threads)
    torch.manual_seed(0)
    sizes = {
        "hidden_size": flags.width,
        "num_attention_heads": flags.width // 64,
        "intermediate_size": 4 * flags.width,
    }
    model = transformers.HubertModel(
        transformers.HubertConfig(num_hidden_layers=flags.layers, **sizes)
    ).eval()
    random = np.random.default_rng(0)
    seconds = np.linspace(1, 8, flags.clips)
    waves = [random.standard_normal(round(s * INPUT_RATE)).astype(np.float32) / 10 for s in seconds]
    points = random.standard_normal((flags.codes, flags.width)).astype(np.float32)
    codec = make_codec(model, points, flags.layer)
    model.encoder.layers = model.encoder.layers[: flags.layer]
    model.to(flags.device)
    book = torch.from_numpy(points).to(flags.device)

    @torch.inference_mode()
    def run_theirs() -> list[np.ndarray]:
        ids = []
        for wave in waves:
            states = model(torch.from_numpy(wave)[None].to(flags.device)).last_hidden_state[0]
            ids.append(torch.cdist(states, book).argmin(-1).cpu().numpy())
        return ids

    same = np.mean(np.concatenate(run_theirs()) == np.concatenate(codec.encode(waves)))
    taken = measure(
        {"transformers": run_theirs, "sift_jax": lambda: codec.encode(waves)}, flags.rounds
    )
    figures = {
        "threads": flags.threads,
        "clips": flags.clips,
        "seconds": float(sum(seconds)),
        "same": float(same),
    }
    for kind in ("wall", "cpu"):
        for figure in (statistics.median, min):
            ours, theirs = (figure(taken[name][kind]) for name in ("sift_jax", "transformers"))
            print(
                f"{kind} time, {figure.__name__}: sift_jax {sum(seconds) / ours:.1f} times real "
                f"time, transformers {sum(seconds) / theirs:.1f}: {theirs / ours:.2f} ×"
            )
            figures[f"{kind}_{figure.__name__}"] = round(theirs / ours, 3)
    print(f"{same:.2%} of the units are the same")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
