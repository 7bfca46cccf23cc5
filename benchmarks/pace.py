"""How well a codec's pace, which is heard without a transcript, follows the phones a second; and
its constants again.

    python -m benchmarks.pace --build=runs/quickstart/data [--clips=900]

Over training recordings of a build, evenly taken, whose metadata has each one's phones a second.
The constants are a regression's, stretched so that what is left over has nothing to do with the
rate.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from sift_jax.audio.files import read_audio
from sift_jax.codecs.embedded.embedded_codec import find_relative, hear
from sift_jax.codecs.embedded.utterance_header import describe_pace


def main() -> None:
    parser = argparse.ArgumentParser(description="Fits the pace of units to phones a second.")
    parser.add_argument("--build", type=Path, required=True, help="a build: metadata.jsonl, audio/")
    parser.add_argument("--clips", type=int, default=900, help="recordings that are measured")
    flags = parser.parse_args()
    rows = [
        json.loads(line)
        for line in (flags.build / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    rows = [row for row in rows if row["split"] == "train" and row["values"].get("speaking_rate")]
    rows = rows[:: max(len(rows) // flags.clips, 1)][: flags.clips]
    heard = hear([read_audio(flags.build / "audio" / f"{row['id']}.flac") for row in rows])
    described = [describe_pace(find_relative(one.log_power_sf, one.level_s)) for one in heard]
    rates = np.log(
        [
            row["values"]["speaking_rate"]
            for row, found in zip(rows, described, strict=True)
            if found is not None
        ]
    )
    points = np.stack([found for found in described if found is not None])
    with_one = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    fitted = with_one @ np.linalg.lstsq(with_one, rates, rcond=None)[0]
    correlation = np.corrcoef(fitted, rates)[0, 1]
    wanted = rates.mean() + (fitted - rates.mean()) / correlation**2
    slopes = np.linalg.lstsq(with_one, wanted, rcond=None)[0]
    paces = np.array(
        [one.head.pace for one, found in zip(heard, described, strict=True) if found is not None]
    )
    print(
        f"{len(points)} recordings: correlation of logarithms {correlation:.3f}; of the paces as "
        f"they are {np.corrcoef(np.log(paces), rates)[0, 1]:.3f}"
    )
    print(
        f"_SLOPES, _OFFSET = ({', '.join(f'{slope:.3f}' for slope in slopes[:-1])}), "
        f"{slopes[-1]:.3f}"
    )


if __name__ == "__main__":
    main()
