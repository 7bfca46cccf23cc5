"""What the splits of a corpus lack and share, in words: no split is empty or tiny in silence.

    gather ─► parts/splits.json {"shared_sentences": "apart", "sentences": 3, "recordings": 41, "left_out": 0,
                                 "speakers": ["s1"], "without_speaker": 12, "placed": {"de": {"dev": 0, …}},
                                 "gaps": [{"language": "de", "split": "dev", "count": 0, "cause", "remedy"}],
                                 "absent": ["fr"]}
           ─► report.json "splits", and a warning for each gap at the start and at the end of a build

`sentences` are those of several splits, of `recordings`; `left_out` is what their sentence cost;
`speakers` are those whom the manifest states in several splits; `absent` are languages asked for of
which nothing was read.
"""

import dataclasses
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.corpora.splits import (
    APART,
    DEV,
    ELSEWHERE,
    EVALUATION,
    HELD_BACK,
    SPLITS,
    TRAIN,
    Candidate,
    Leak,
    Sizes,
)
from data_prep.engine.chunks import BuildError
from sift_jax.storage.whole_files import write_whole

# Fewer say little, unless no more were asked for.
TINY = 20
_FLAGS = {TRAIN: "train", DEV: "dev", EVALUATION: "evaluation"}
_PATH = Path("parts") / "splits.json"
_SHOWN_SPEAKERS = 3
AS_STATED = "apart, but for what the manifest states"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gap:
    """A split of a language that is empty or tiny, why, and what to do."""

    language: str
    split: str
    count: int
    cause: str
    remedy: str

    def __str__(self) -> str:
        size = f"{_count(self.count, 'utterance')} only" if self.count else "no utterance"
        return f"{self.language}: {self.split} has {size}: {self.cause}; {self.remedy}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawing:
    """How the splits came about: the sizes asked for a language, the choice for shared sentences,
    who stated what."""

    sizes: Sizes
    others: Mapping[str, Sizes]
    shared: str | None
    is_stated: bool


def describe_splits(
    candidates: Sequence[Candidate],
    placed: Mapping[str, str],
    leaks: Sequence[Leak],
    drawing: Drawing,
    languages: Sequence[str],
) -> dict[str, Any]:
    """What goes to parts/splits.json; `languages` are those asked for."""
    shared = {leak.value for leak in leaks if leak.key == "sentence"}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for candidate in candidates:
        counts[candidate.language][placed[candidate.id]] += 1
    stated = drawing.is_stated and any(candidate.held for candidate in candidates)
    return {
        "shared_sentences": drawing.shared or (AS_STATED if stated else APART),
        "sentences": len(shared),
        "recordings": sum(
            placed[c.id] in SPLITS and f"{c.language} {c.sentence}" in shared for c in candidates
        ),
        "left_out": sum(
            found[name] for found in counts.values() for name in found if name.startswith(ELSEWHERE)
        ),
        "speakers": [leak.value for leak in leaks if leak.key == "speaker"],
        "without_speaker": sum(placed[c.id] in SPLITS and not c.speaker for c in candidates),
        "placed": {
            language: {split: found[split] for split in SPLITS}
            for language, found in sorted(counts.items())
        },
        "gaps": [dataclasses.asdict(gap) for gap in _find_gaps(candidates, counts, drawing)],
        "absent": [language for language in languages if language not in counts],
    }


def _find_gaps(
    candidates: Sequence[Candidate], counts: Mapping[str, Counter[str]], drawing: Drawing
) -> list[Gap]:
    by_language: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_language[candidate.language].append(candidate)
    return [
        Gap(
            language=language,
            split=split,
            count=counts[language][split],
            **_explain(split, by_language[language], counts[language], is_stated=drawing.is_stated),
        )
        for language in sorted(by_language)
        for split in SPLITS
        if _is_gap(counts[language][split], drawing.others.get(language, drawing.sizes)[split])
    ]


def _is_gap(count: int, size: int | None) -> bool:
    return count < (TINY if size is None else min(size, TINY))


def _explain(
    split: str, found: Sequence[Candidate], counts: Counter[str], *, is_stated: bool
) -> dict[str, str]:
    """The cause of a gap and its remedy, by what the recordings of a language are like."""
    held = Counter(candidate.held for candidate in found)
    speakers = {candidate.speaker for candidate in found if candidate.speaker}
    left_out = sum(
        count
        for name, count in counts.items()
        if name.startswith(ELSEWHERE) and name != f"{ELSEWHERE} {split}"
    )
    without = f"give --{_FLAGS[split]}=0 to do without"
    if split == TRAIN:
        without = (
            "give --train=0 and --edges=<bins.json of another build> for a build that only "
            "evaluates"
        )
    if left_out > counts[split] or counts[split] + left_out >= TINY:
        return {
            "cause": f"for their sentence, which another split has, {left_out:,} of "
            f"{len(found):,} recordings are left out",
            "remedy": "--shared_sentences=allow keeps them, or record other sentences",
        }
    if is_stated and set(held) != {None}:
        stated = f"the manifest's split field gives it {held[split]:,} of {len(found):,} recordings"
        return {"cause": stated, "remedy": f"state it for more lines, or {without}"}
    if split == TRAIN and counts[HELD_BACK]:
        return {
            "cause": (
                f"the corpus holds {counts[HELD_BACK]:,} of {len(found):,} recordings back for "
                "evaluation"
            ),
            "remedy": f"unpack its training part too, or {without}",
        }
    if split != TRAIN and held[split]:
        return {
            "cause": f"the corpus has {held[split]:,} recordings there",
            "remedy": f"unpack more, or {without}",
        }
    if speakers:
        return {
            "cause": f"its {_count(len(found), 'recording')} are of "
            f"{_count(len(speakers), 'speaker')}, and training needs the most of them",
            "remedy": "leave the speaker out of a manifest, so that sentences alone are kept "
            f"apart, or state a split for each line, or {without}",
        }
    sentences = _count(len({candidate.sentence for candidate in found}), "sentence")
    return {
        "cause": f"there is no more than {_count(len(found), 'recording')} of {sentences}",
        "remedy": f"record more sentences, or state a split for each line, or {without}",
    }


def save_splits(out: Path, found: Mapping[str, Any]) -> None:
    write_whole(out / _PATH, json.dumps(found, ensure_ascii=False))


def load_splits(out: Path) -> dict[str, Any] | None:
    """What `save_splits` left; None of a build that drew no splits."""
    path = out / _PATH
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def check_trained(
    found: Mapping[str, Any], counts: Mapping[str, int], drawing: Drawing, stage: str
) -> None:
    """An error where a language has recordings and none to train on; `counts` is what there is
    after `stage`.

    Languages that are only to be told from the others need none.
    """
    if drawing.sizes[TRAIN] == 0:
        return
    for language, placed in found["placed"].items():
        if language in drawing.others or counts.get(language):
            continue
        gap = next(
            (
                Gap(**gap)
                for gap in found["gaps"]
                if (gap["language"], gap["split"]) == (language, TRAIN) and not gap["count"]
            ),
            None,
        )
        raise BuildError(str(gap or _lose(language, TRAIN, placed[TRAIN], 0, stage)))


def _lose(language: str, split: str, placed: int, left: int, stage: str) -> Gap:
    lost = placed - left
    return Gap(
        language=language,
        split=split,
        count=left,
        cause=f"{lost:,} of its {placed:,} recordings were skipped {stage}",
        remedy="rejected.jsonl or parts/accounts say why, line by line",
    )


def follow_splits(
    found: Mapping[str, Any], utterances: Mapping[str, Mapping[str, int]], drawing: Drawing
) -> dict[str, Any]:
    """The same with the gaps that are left when all is measured: {split: {language:
    utterances}}."""
    known = {(gap["language"], gap["split"]): gap for gap in found["gaps"]}
    gaps = []
    for language, placed in found["placed"].items():
        for split in SPLITS:
            left, gap = utterances[split].get(language, 0), known.get((language, split))
            if not gap and _is_gap(left, drawing.others.get(language, drawing.sizes)[split]):
                lost = _lose(
                    language, split, placed[split], left, "when they were decoded and measured"
                )
                gap = dataclasses.asdict(lost)
            if gap:
                gaps.append({**gap, "count": left})
    return {**found, "gaps": gaps}


def list_warnings(found: Mapping[str, Any]) -> list[str]:
    """A line for each gap, and for what the manifest contradicts itself in."""
    lines = [str(Gap(**gap)) for gap in found["gaps"]]
    if found["absent"]:
        here = ",".join(found["placed"])
        lines.append(
            f"{', '.join(found['absent'])}: no recording was read; "
            f"parts/accounts/read_rejected.jsonl says what was skipped, --languages={here} asks "
            "for no more than there is"
        )
    if found["speakers"]:
        lines.append(tell_speakers(found["speakers"]))
    if found["sentences"]:
        lines.append(
            f"{_count(found['sentences'], 'sentence')} of several splits, in "
            f"{found['recordings']:,} recordings: their words are not unseen; "
            "--shared_sentences=apart or drop keeps them apart"
        )
    return lines


def describe_shared(found: Mapping[str, Any]) -> list[str]:
    """What came of the sentences that splits share, and who is not known."""
    lines = [
        f"shared sentences ({found['shared_sentences']}): {found['sentences']:,} in several "
        f"splits, in {found['recordings']:,} recordings; {found['left_out']:,} left out for theirs"
    ]
    if found["without_speaker"]:
        lines.append(
            f"{_count(found['without_speaker'], 'recording')} without a speaker: nobody knows "
            "whether their voices are in several splits"
        )
    return lines


def tell_speakers(speakers: Sequence[str]) -> str:
    names = ", ".join(map(repr, speakers[:_SHOWN_SPEAKERS])) + (
        ", …" if len(speakers) > _SHOWN_SPEAKERS else ""
    )
    return (
        f"{_count(len(speakers), 'speaker')} in several splits, as the manifest states ({names}): "
        "their voices are not unseen; state one split for each speaker if they are to be"
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def count_trained(rows: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Language to its training utterances."""
    return Counter(row["language"] for row in rows if row["split"] == TRAIN)
