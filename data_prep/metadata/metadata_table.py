"""The table that all questions are made from: what was measured, with its classes.

    parts/measured/… ─ genders ─ edges ─►  metadata.jsonl {… "values": {key: number}, "labels": {key: class},
                                                           "bounds": {key: [at least, at most]},
                                                           "sentence_length": class, "background": how it was heard, …}
                                           bins.json, for another corpus to be labelled by: --edges=bins.json

What was measured is read several times over rather than held: there may be millions.
"""

import dataclasses
import functools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from data_prep.corpora.splits import TRAIN
from data_prep.engine.chunks import BuildError, Chunk
from data_prep.engine.ledger import Rejection, settle
from data_prep.engine.versions import hash_files
from data_prep.metadata.absolute import find_scales
from data_prep.metadata.bins import (
    BY_GENDER,
    EDGES,
    LEAST_VALUES,
    Bins,
    bound_values,
    label_values,
    make_bins,
    name_length,
    read_bins,
    write_bins,
)
from data_prep.metadata.experts import Chosen
from data_prep.metadata.fields import HEARD, label_fields, settle_fields
from data_prep.metadata.gender import (
    BY_NETWORK,
    BY_PITCH,
    JUDGES,
    Genders,
    check_stated,
    learn_genders,
)
from data_prep.metadata.gender_network import FEMALE_SHARE
from data_prep.metadata.measure import SAMPLES, SILENCE
from sift_jax.sift.fields import FILE, Fields, write_fields
from sift_jax.sift.labels import ACOUSTIC_LABELS, GENDERS, LANGUAGES

Row = dict[str, Any]
_REASONS = {SAMPLES: "samples are no numbers", SILENCE: "more than half is digital silence"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measuring:
    """Who measures what; whose edges make classes of it (of `bins.EDGES`, or a bins.json); and who
    says what gender a voice has where the corpus does not ("own": nobody; "pitch"; or "network",
    the one in `gender_model`)."""

    experts: Chosen
    edges: str
    genders: str
    gender_model: Path | None

    def __post_init__(self) -> None:
        if self.genders == BY_PITCH and "average_pitch" not in dict(self.experts):
            raise ValueError(
                "--genders=pitch needs the pitch; leave average_pitch=none out of --experts"
            )
        if (self.genders == BY_NETWORK) != (self.gender_model is not None):
            raise ValueError(
                f"--genders={BY_NETWORK} and --gender_model=<folder of an audio classifier> go "
                "together; give both or neither"
            )
        if self.gender_model is not None and not self.gender_model.is_dir():
            raise ValueError(
                f"--gender_model={self.gender_model} is not a folder; fetch an audio classifier there"
            )
        if self.edges not in EDGES:
            read_bins(self.edges, ACOUSTIC_LABELS)

    @property
    def hearing(self) -> str:
        """What decides the measured values; an expert of a free field is a folder."""
        folders = [hash_files(Path(name)) for _, name in self.experts if Path(name).is_dir()]
        return f"{self.experts} {self.gender_model and hash_files(self.gender_model)} {folders}"

    @property
    def labelling(self) -> str:
        """What decides the labels, once all is measured."""
        edges = self.edges if self.edges in EDGES else hash_files(Path(self.edges))
        return f"{edges} {self.genders}"


def write_metadata(
    out: Path, chunks: Sequence[Chunk], measuring: Measuring, fields: Fields, *, is_synthetic: bool
) -> None:
    """Writes metadata.jsonl, bins.json and the tables of the free fields that it has, and closes
    the accounts of measuring, of genders and of fields."""
    judge = JUDGES.get(measuring.genders)
    genders = learn_genders(_read_kept(chunks), judge) if judge else None
    read = functools.partial(_read_kept, chunks, genders)
    draft, left, has_faults = out / "metadata.jsonl.part", 0, False
    used: set[str] = set()
    try:
        bins, scale = _make_scales(read, measuring, is_synthetic=is_synthetic)
        with draft.open("w", encoding="utf-8") as lines:
            for row in read():
                row.pop(FEMALE_SHARE, None)
                found, faults = label_fields(row, fields)
                used, has_faults = used | found.keys(), has_faults or bool(faults)
                row.pop(HEARD, None)
                scaled = scale(row)
                row |= {
                    "labels": label_values(scaled, bins, ACOUSTIC_LABELS),
                    "bounds": bound_values(scaled, bins),
                    "sentence_length": name_length(row["transcript"], bins),
                    "fields": found,
                }
                lines.write(json.dumps(row, ensure_ascii=False) + "\n")
                left += 1
    except ValueError as error:
        raise BuildError(str(error)) from error
    entered = sum(len(chunk.read_lines("utterances")) for chunk in chunks)
    settle(out, "measure", "utterances", entered, left, _list_infeasible(chunks))
    _settle_genders(out, chunks, genders)
    _settle_stated(out, chunks)
    if used or has_faults:
        settle_fields(out, functools.partial(_read_kept, chunks), fields)
    if used:
        write_fields(out / FILE, (field for field in fields if field.name in used))
    write_bins(bins, out / "bins.json")
    draft.replace(out / "metadata.jsonl")


def _make_scales(
    read: Callable[[], Iterable[Row]], measuring: Measuring, *, is_synthetic: bool
) -> tuple[Bins, Callable[[Row], Row]]:
    """The edges, and a function from a row to what of it has a class."""
    if measuring.edges not in EDGES:
        bins = read_bins(measuring.edges, ACOUSTIC_LABELS)
        return bins, functools.partial(
            _keep, genders={g for key in BY_GENDER for g in bins.get(key, ())}, keys=None
        )
    genders: Counter[str | None] = Counter()
    measured: Counter[str] = Counter()
    for row in read():
        if row["split"] == TRAIN and row["language"] in LANGUAGES:
            genders[row["gender"]] += 1
            measured.update(row["values"].keys())
    # In a synthesized corpus nothing is too rare, unless it is too small to be of use: that is an
    # error of the bins.
    least, fewest = (
        (0, 0) if is_synthetic else (len(ACOUSTIC_LABELS["average_pitch"]), LEAST_VALUES)
    )
    scale = functools.partial(
        _keep,
        genders={gender for gender in GENDERS if is_synthetic or genders[gender] >= least},
        keys=None if is_synthetic else {key for key, count in measured.items() if count >= fewest},
    )
    # What is only to be told from the five languages has no say in what is fast or high in them.
    training = (
        scale(row) for row in read() if row["split"] == TRAIN and row["language"] in LANGUAGES
    )
    scales = find_scales(measuring.experts)
    return make_bins(training, ACOUSTIC_LABELS, measuring.edges, scales), scale


def _keep(row: Row, *, genders: set[str], keys: set[str] | None) -> Row:
    """What can be labelled: no pitch of a gender, and no key, that there are too few of for
    edges."""
    values = {key: value for key, value in row["values"].items() if keys is None or key in keys}
    return {**row, "values": values, "gender": row["gender"] if row["gender"] in genders else None}


def _read_kept(chunks: Sequence[Chunk], genders: Genders | None = None) -> Iterator[Row]:
    """The measured rows, with the genders that are known or guessed."""
    for row in _read_measured(chunks):
        if "rejected" not in row:
            yield row if genders is None else {**row, "gender": genders.find(row)}


def _read_measured(chunks: Sequence[Chunk]) -> Iterator[Row]:
    return (json.loads(line) for chunk in chunks for line in chunk.read_lines("measured"))


def _list_infeasible(chunks: Sequence[Chunk]) -> Iterator[Rejection]:
    return (
        Rejection(
            reason=_REASONS.get(row["rejected"], f"{row['rejected']} is not feasible"), id=row["id"]
        )
        for row in _read_measured(chunks)
        if "rejected" in row
    )


def _settle_stated(out: Path, chunks: Sequence[Chunk]) -> None:
    """How many of the genders that the corpus states are those of the pitch; a stated one is kept
    in any case."""
    checked, doubts = check_stated(_read_kept(chunks))
    contradicted = (
        Rejection(
            reason="kept, though the pitch is of the other gender",
            detail=doubt.detail,
            id=doubt.id,
            language=doubt.language,
        )
        for doubt in doubts
    )
    settle(out, "stated_genders", "voices", checked, checked - len(doubts), contradicted)


def _settle_genders(out: Path, chunks: Sequence[Chunk], genders: Genders | None) -> None:
    """How many of the missing genders were filled; the others have no class of pitch, and are asked
    about all else."""
    if genders is None:
        return

    def list_missing() -> Iterator[Row]:
        return (row for row in _read_kept(chunks) if row["gender"] not in GENDERS)

    counts = Counter(genders.find(row) is not None for row in list_missing())
    unsure = (
        Rejection(reason="no sure gender", id=row["id"], language=row["language"])
        for row in list_missing()
        if genders.find(row) is None
    )
    settle(out, "genders", "without one", counts.total(), counts[True], unsure)
