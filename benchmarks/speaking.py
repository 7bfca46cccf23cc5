"""Speaking: units a second against `generate` of transformers under the same constraint, in one
run, with the same weights.

    python -m benchmarks.speaking [--rows=1] [--decoder=smollm2-135m] [--codes=2000] [--new=128]
    [--rounds=5] [--threads=2]

Both may choose among the units and their end alone, which a processor of logits sees to there (one
masked sum, the cheapest that there is) and the narrow head here. Prompts end in the delimiter that
opens speech. Otherwise as benchmarks.decoding: random weights in a real decoder's geometry,
float32, greedy, interleaved, the ids of both compared. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from functools import partial

from benchmarks.decoding import make_ours, make_theirs
from benchmarks.sides import measure, take_cores


def parse_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times speaking against transformers' generate.")
    parser.add_argument("--rows", type=int, default=1, help="sequences that are decoded at once")
    parser.add_argument("--decoder", default="smollm2-135m", help="a preset's name")
    parser.add_argument("--codes", type=int, default=2000, help="units that there are")
    parser.add_argument("--prompt", type=int, default=64, help="tokens")
    parser.add_argument("--new", type=int, default=128, help="units")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each measurement")
    parser.add_argument("--threads", type=int, default=2, help="cores for both")
    return parser.parse_args()


def make_constraint(begin: int, vocabulary: int):
    """A processor of logits that leaves units, and behind a unit the end."""
    import torch

    outside = torch.zeros(vocabulary)
    outside[: begin + 1] = -torch.inf

    def constrain(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = scores + outside
        scores[ids[:, -1] <= begin + 1, begin + 1] = -torch.inf
        return scores

    return constrain


def main() -> None:
    flags = parse_flags()
    take_cores(flags.threads, flag="threads")
    os.environ["JAX_PLATFORMS"] = "cpu"
    ids, config, params, ours = make_ours(flags, codes=flags.codes)
    constraint = make_constraint(int(ids[0, -1]), config.decoder.vocab_size)
    theirs = make_theirs(flags, ids, config, params, processors=[constraint])
    is_same = (ours(flags.new) == theirs(flags.new)).all(axis=1)
    taken = measure(
        {"ours": partial(ours, flags.new), "theirs": partial(theirs, flags.new)}, flags.rounds
    )
    units = flags.rows * flags.new
    found = {
        f"{kind}_{name}": {who: units / figure(taken[who][kind]) for who in taken}
        for kind in ("wall", "cpu")
        for name, figure in (("median", statistics.median), ("minimum", min))
    }
    print(
        f"{flags.decoder}, {flags.rows} rows, {flags.codes} codes, prompts of {flags.prompt} and "
        f"{flags.new} units, {flags.threads} cores, {flags.rounds} rounds; rows with the same "
        f"units: {is_same.sum()} of {flags.rows}"
    )
    for name, rates in found.items():
        rates["ratio"] = rates["ours"] / rates["theirs"]
        print(
            f"  {name:13} sift_jax {rates['ours']:7.1f}   transformers {rates['theirs']:7.1f} "
            f"units a second   ratio {rates['ratio']:5.2f}"
        )
    print(json.dumps({"rows": flags.rows, "same": int(is_same.sum()), **found}))


if __name__ == "__main__":
    main()
