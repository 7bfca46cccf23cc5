"""A copy of a set of transcripts with a wanted share of words wrong, to be asked about in place of
the right ones.

    DATA/metadata.jsonl  audio/  ─►  OUT/metadata.jsonl   "transcript" wrong, "reference" right; EvalSIFT as it is
                                     OUT/audio            a link
                                     OUT/report.json      the rate asked for and the one reached, by kind of error

`ask --corpus=build --root=OUT` goes on from there, as from what `transcribe` leaves.
"""

import json
from pathlib import Path

from data_prep.corpora.splits import EVALUATION
from data_prep.engine.chunks import BuildError
from data_prep.synthesis.corruption import corrupt
from data_prep.synthesis.job_folder import describe_file, hold_job
from data_prep.synthesis.speech_sources import find_metadata
from sift_jax.storage.whole_files import open_whole, write_whole

VERSION = "1"


def corrupt_build(data: Path, rate: float, seed: int, out: Path) -> None:
    """The whole copy, and a line of what was reached."""
    listed = find_metadata(data)
    if listed is None:
        raise BuildError(
            f"--data={data} has no metadata.jsonl; give the folder of a build, or the --out "
            "of another command here"
        )
    told = data / "job.json"
    source = json.loads(told.read_text(encoding="utf-8")).get("source") if told.is_file() else None
    settings = {
        "way": "corrupt",
        "version": VERSION,
        "data": describe_file(listed),
        "rate": rate,
        "seed": seed,
        "source": source or data.resolve().name,
    }
    with hold_job(out, settings):
        rows = [json.loads(line) for line in listed.read_text(encoding="utf-8").splitlines()]
        # nobody is tested on what was never said
        texts = {row["id"]: row["transcript"] for row in rows if row.get("split") != EVALUATION}
        if not any(texts.values()):
            raise BuildError(
                f"{listed} has no transcripts outside of EvalSIFT; there is nothing to corrupt"
            )
        found = corrupt(texts, rate, seed)
        empty = 0
        with open_whole(out / "metadata.jsonl") as joined:
            for row in rows:
                text = found.texts.get(row["id"], row["transcript"])
                empty += not text
                if text:
                    row = {**row, "transcript": text, "reference": row["transcript"]}
                    joined.write(json.dumps(row, ensure_ascii=False) + "\n")
        if not (out / "audio").exists():
            (out / "audio").symlink_to((data / "audio").resolve())
        report = {
            "asked": rate,
            "word_error_rate": round(found.rate, 4),
            "errors": dict(found.counts),
            "transcripts": len(texts),
            "nothing left": empty,
        }
        write_whole(out / "report.json", json.dumps(report, indent=1))
    print(
        (
            f"word error rate {found.rate:.2%} of {rate:.0%} asked for, over {len(texts):,} "
            "transcripts: "
        )
        + ", ".join(f"{count:,} {kind}s" for kind, count in found.counts.items())
        + f"; {empty:,} left empty"
    )
