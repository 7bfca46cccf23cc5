"""Proof that nothing of one split is in another, over all that a build has written.

Every build does it, but for the samples, as soon as its instructions are written.

    python -m data_prep.check_splits --build=runs/mls

    metadata.jsonl    no id, no speaker, no sentence (by its words) in two splits
    audio/*.flac      no two splits with the same samples
    sift/{split}/     each row names utterances of its own split, and no others

What a manifest states against that, and sentences that the build was told to allow, are told and
are no fault. Nobody knows whether the voice of an utterance without a speaker is in another split:
they are counted.
"""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from data_prep.corpora.splits import ALLOW, APART, SPLITS, Leak, find_leaks
from data_prep.pipeline.split_gaps import AS_STATED, load_splits
from sift_jax.exits import CHECK_FAILED, end, flatten, report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.rows import SiftError, audio_ids, list_files, read_rows

# Of what was meant to stand in two splits: there may be thousands.
_SHOWN = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proof:
    """What stands in two splits, in words, by fault or as it was meant; what was looked at; the
    utterances that no row is about; and how many have no speaker, by split."""

    leaks: list[str]
    meant: list[str]
    without_speaker: dict[str, int]
    utterances: int
    rows: int
    unasked: list[str]


def prove_apart(build: Path, *, use_audio: bool) -> Proof:
    """Looks at all metadata and rows of a build, and at its audio if asked; line by line, holding
    ids and hashes."""
    found = find_leaks(
        _read_metadata(build, use_audio=use_audio),
        ("id", "speaker", "sentence", *(("samples",) if use_audio else ())),
    )
    is_meant = _make_test(build)
    leaks = [str(leak) for leak in found if not is_meant(leak)]
    meant = [str(leak) for leak in found if is_meant(leak)]
    owners: dict[str, str] = {}
    nameless: Counter[str] = Counter()
    for row in _read_metadata(build, use_audio=False):
        owners[row["id"]] = row["split"]
        nameless[row["split"]] += not row["speaker"]
    asked: set[str] = set()
    count = 0
    for split in SPLITS:
        for path in list_files(build / "sift", split):
            for question in read_rows(path):
                count += 1
                for name in audio_ids(question):
                    owner = owners.get(name, "no split")
                    if owner == split:
                        asked.add(name)
                    else:
                        leaks.append(f"{path}: a row of {split} names {name}, which is in {owner}")
    without = {split: nameless[split] for split in SPLITS if nameless[split]}
    return Proof(
        leaks=leaks,
        meant=meant,
        without_speaker=without,
        utterances=len(owners),
        rows=count,
        unasked=sorted(owners.keys() - asked),
    )


def _make_test(build: Path) -> Callable[[Leak], bool]:
    """Whether something may stand in two splits: by the word of the manifest, or because the build
    allowed it."""
    drawn = load_splits(build) or {"speakers": [], "shared_sentences": APART}
    speakers, may_share = set(drawn["speakers"]), drawn["shared_sentences"] in (ALLOW, AS_STATED)
    return lambda leak: (
        leak.value in speakers if leak.key == "speaker" else leak.key == "sentence" and may_share
    )


def _read_metadata(build: Path, *, use_audio: bool) -> Iterator[dict[str, Any]]:
    with (build / "metadata.jsonl").open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            kept = {key: row[key] for key in ("id", "language", "speaker", "transcript", "split")}
            if use_audio:
                # The build writes equal samples as equal bytes.
                kept["samples"] = hashlib.sha256(
                    (build / "audio" / f"{row['id']}.flac").read_bytes()
                ).hexdigest()
            yield kept


def make_parser() -> Parser:
    """Which build."""
    parser = Parser(
        "data_prep.check_splits",
        description="Proves that no speaker, sentence or sound of one split of a build is in "
        "another; status 1 if one is.",
        examples=("--build=runs/mls",),
    )
    parser.add_argument(
        "--build",
        type=Path,
        required=True,
        help="folder that python -m data_prep.build has written",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Says what was looked at, or what stands in two splits."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags.build), is_debug=is_debug(flags))


def _run(build: Path) -> None:
    try:
        proof = prove_apart(build, use_audio=True)
    except (OSError, SiftError) as error:
        raise ValueError(f"{flatten(error)}; give --build=<the --out of a whole build>") from error
    if proof.leaks:
        print("\n".join(proof.leaks))
        end(
            CHECK_FAILED,
            f"{len(proof.leaks)} things stand in two splits; build again into another folder",
            is_error=False,
        )
    if proof.meant:
        print("\n".join([*proof.meant[:_SHOWN], *(["…"] if len(proof.meant) > _SHOWN else [])]))
        print(
            f"as the manifest states or --shared_sentences allows: {len(proof.meant)} things "
            "stand in two splits"
        )
    other = "nothing else" if proof.meant else "nothing"
    print(
        f"apart: {proof.utterances} utterances and {proof.rows} rows, {other} of one split is in "
        "another"
    )
    if proof.without_speaker:
        each = ", ".join(f"{split} {count}" for split, count in proof.without_speaker.items())
        print(
            f"not checked: {sum(proof.without_speaker.values())} of {proof.utterances} utterances "
            f"have no speaker ({each}), so the same voice may be in several splits; name the "
            "speakers to know"
        )


if __name__ == "__main__":
    main()
