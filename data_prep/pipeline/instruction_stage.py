"""The stage that asks: metadata to SIFT files, and the proof that no row leaves its split.

metadata.jsonl ─ shares, through the engine ─►  sift/{split}/{category}/{lang}/split0.jsonl …   parts/counts.json
"""

import json

from data_prep.check_splits import prove_apart
from data_prep.corpora.registry import name_source
from data_prep.engine.chunks import BuildError
from data_prep.engine.ledger import Rejection, settle
from data_prep.instructions import write
from data_prep.pipeline.build_config import BuildConfig
from sift_jax.sift.fields import read_build_fields
from sift_jax.storage.whole_files import write_whole


def write_instructions(config: BuildConfig) -> None:
    """Writes all rows, counts them, and settles which utterances none is about."""
    counts = write.write_instructions(
        config.out / "metadata.jsonl",
        config.out / "sift",
        folder=config.out,
        engine=config.engine,
        seed=config.seed,
        rows_per_language=config.evaluation_rows,
        wordings=config.wordings,
        skip_wordings=config.skip_wordings,
        rows_per_utterance=config.rows_per_utterance,
        is_plain=config.plain,
        claims=config.claims,
        corpus=name_source(config.corpus),
        fields=read_build_fields(config.out),
    )
    proof = prove_apart(config.out, use_audio=False)
    if proof.leaks:
        raise BuildError(
            f"the splits are not apart: {proof.leaks[0]} (of {len(proof.leaks)}); use another --out"
        )
    unasked = [Rejection(reason="no row is about it", id=name) for name in proof.unasked]
    settle(
        config.out,
        "instructions",
        "utterances",
        proof.utterances,
        proof.utterances - len(unasked),
        unasked,
    )
    write_whole(config.out / "parts" / "counts.json", json.dumps(counts))
