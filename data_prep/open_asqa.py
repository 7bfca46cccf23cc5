"""Command line that turns OpenASQA, the questions that LTU-AS was trained on, into SIFT files.

    python -m data_prep.open_asqa --from=openasqa_10.3M_v2.json --out=data/o_asqa/sift
    [--parts=speech,joint] [--audio=/data/sls=/corpora --links=data/o_asqa/audio] [--dev=0.002]

    [{"instruction": "How does she sound?", "input": "I am so sad...", "audio_id": "/data/sls/…/LZq4Neh-oWU.flac",
      "dataset": "audioset", "task": "open-ended question", "output": "Sad."}, …]
        ─► out/train/open_ended/en/split0.jsonl       every "…open-ended…"       task "open_ended"
               train/pretraining/asr/en/…             every "ASR"
               train/closed_ended/acoustic_level/en/… all others, closed ones
           out/counts.json  out/rejected.jsonl

The release is one JSON list of gigabytes: it is read object by object. Questions and answers are
kept; "input", the words that a recognizer heard for LTU-AS, is left out, since the model listens
itself. An utterance is called after its dataset and its file, and where two files share a name,
after the folder above, too: of VoxCeleb that is the rule. --links gives every recording a link of
that name, so that `data_prep.records --audio=LINKS` finds it; a row without its recording is set
aside. A recording of dev is not in train.
"""

import argparse
import collections
import dataclasses
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.rows import Row

CHUNK = 1 << 20
ROWS_PER_FILE = 100_000
FIELDS = ("instruction", "output", "audio_id")
# part → datasets; what a dataset is called is in the row, or in the path of its audio
PARTS = {
    "speech": ("libritts", "iemocap", "voxceleb", "mosei"),
    "music": ("fma",),
    # AudioSet where speech in it was transcribed: understanding of both
    "joint": ("audioset",),
    "audio": (),
}
# what holds of the recordings; the questions are a release of their own
LICENCES = {
    "libritts": "CC BY 4.0",
    "iemocap": "research, by agreement with USC",
    "voxceleb": "CC BY 4.0 for the lists; the recordings are YouTube's uploaders'",
    "mosei": "research, by CMU's terms; the recordings are YouTube's uploaders'",
    "fma": "each track its own Creative Commons licence; metadata CC BY 4.0",
    "audioset": "CC BY 4.0 for the labels; the recordings are YouTube's uploaders'",
    "vggsound": "CC BY 4.0 for the lists; the recordings are YouTube's uploaders'",
    "fsd50k": "each clip its own Creative Commons licence; labels CC BY 4.0",
    "audiocaps": "captions for research; the recordings are AudioSet's",
    "clotho": "research, by Tampere's licence; each recording its own Creative Commons licence",
}
RELEASE = (
    "The questions and answers: the release names no licence; its open-ended ones were written by "
    "OpenAI's models, whose terms hold for them."
)


@dataclasses.dataclass(kw_only=True)
class Outcome:
    """What went in, by (dataset, task), and what came out."""

    entered: int = 0
    kept: collections.Counter[tuple[str, str]] = dataclasses.field(
        default_factory=collections.Counter
    )
    reasons: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    left_out: int = 0


def read_objects(path: Path) -> Iterator[Any]:
    """The members of a JSON list, one after the other, a mebibyte of text in memory."""
    decoder, text, is_open = json.JSONDecoder(), "", False
    with path.open(encoding="utf-8") as file:
        while True:
            text = text.lstrip(" \t\r\n,")
            if not is_open and text:
                if text[0] != "[":
                    raise ValueError(f"{path} is not a JSON list; give a file of the release")
                text, is_open = text[1:], True
                continue
            if is_open and text.startswith("]"):
                return
            try:
                found, end = decoder.raw_decode(text) if text else (None, 0)
            except ValueError:
                end = 0
            if end:
                text = text[end:]
                yield found
                continue
            more = file.read(CHUNK)
            if not more:
                raise ValueError(f"{path} ends within its list; download it again")
            text += more


def name_dataset(row: dict[str, Any]) -> str:
    """The corpus of a row in one word, by its own field or by the path of its audio."""
    given = str(row.get("dataset") or "").lower()
    path = str(row["audio_id"]).lower()
    known = (
        "libritts",
        "iemocap",
        "voxceleb",
        "mosei",
        "vggsound",
        "fsd50k",
        "audiocaps",
        "clotho",
    )
    for name in known:
        if name in given:
            return name
    if given.startswith("as_") or "audioset" in given:
        return "audioset"
    if "fma" in given:
        return "fma"
    if given:
        return re.sub(r"\W+", "_", given)
    found = next((name for name in (*known, "audioset") if name in path), None)
    return found or ("fma" if "/fma" in path else "unknown")


def find_part(row: dict[str, Any], dataset: str) -> str:
    """Of AudioSet a row is of both where words were heard in it."""
    for part, names in PARTS.items():
        if dataset in names:
            return part if part != "joint" or str(row.get("input") or "").strip() else "audio"
    return "audio"


def find_place(task: str) -> tuple[str, str]:
    """(category, task of the row)."""
    if "open" in task.lower():
        return "open_ended", "open_ended"
    if task.lower() == "asr":
        return "pretraining/asr", "asr"
    return "closed_ended/acoustic_level", "closed_ended"


class Names:
    """Names of utterances, each of one recording."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}

    def find(self, dataset: str, audio_id: str) -> str:
        parts = PurePosixPath(audio_id).with_suffix("").parts
        name = ""
        for count in range(1, len(parts) + 1):
            name = "_".join((dataset, *parts[-count:])).replace("/", "")
            if self._of.setdefault(name, audio_id) == audio_id:
                return name
        raise ValueError(f"{audio_id} has the name of another recording, {name}")


class Audio:
    """Where recordings are, and the links to them; None where nothing was said of them."""

    def __init__(self, moved: str | None, links: Path | None):
        before, sign, after = (moved or "").partition("=")
        if moved is not None and not sign:
            raise ValueError(f"--audio={moved} is no OLD=NEW; give /data/sls=/your/corpora")
        self.before, self.after, self.links = before, after, links
        self.is_asked = moved is not None

    def has(self, audio_id: str, name: str) -> bool:
        if not self.is_asked:
            return True
        path = Path(self.after + audio_id.removeprefix(self.before))
        if not path.is_file():
            return False
        if self.links is not None:
            link = self.links / f"{name}{path.suffix}"
            if not link.is_symlink():
                link.symlink_to(path.resolve())
        return True


class Files:
    """Rows into files of a limited length, by the folder that they belong to."""

    def __init__(self, out: Path):
        self.out = out
        self._counts: collections.Counter[str] = collections.Counter()
        self._open: dict[str, TextIO] = {}

    def write(self, folder: str, row: Row) -> None:
        number, place = divmod(self._counts[folder], ROWS_PER_FILE)
        if place == 0:
            if folder in self._open:
                self._open[folder].close()
            (self.out / folder).mkdir(parents=True, exist_ok=True)
            path = self.out / folder / f"split{number}.jsonl"
            self._open[folder] = path.open("x", encoding="utf-8")
        self._open[folder].write(json.dumps(row, ensure_ascii=False) + "\n")
        self._counts[folder] += 1

    def close(self) -> None:
        for file in self._open.values():
            file.close()


def convert(source: Path, out: Path, *, parts: Sequence[str], dev: float, audio: Audio) -> Outcome:
    """Writes the SIFT files, counts.json, and what was skipped."""
    strange = sorted(set(parts) - set(PARTS))
    if strange:
        raise ValueError(f"--parts has {strange[0]!r}; the parts are {', '.join(PARTS)}")
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"--out={out} is not empty; choose another folder")
    if not 0 <= dev < 1:
        raise ValueError(f"--dev={dev} is not a share below 1")
    out.mkdir(parents=True, exist_ok=True)
    if audio.links is not None:
        audio.links.mkdir(parents=True, exist_ok=True)
    outcome, names, files = Outcome(), Names(), Files(out)
    with (out / "rejected.jsonl").open("w", encoding="utf-8") as rejected:
        for number, row in enumerate(read_objects(source)):
            outcome.entered += 1
            reason = _find_fault(row)
            if reason is None:
                dataset = name_dataset(row)
                if find_part(row, dataset) not in parts:
                    outcome.left_out += 1
                    continue
                name = names.find(dataset, row["audio_id"])
                reason = None if audio.has(row["audio_id"], name) else "no such recording"
            if reason is not None:
                outcome.reasons[reason] += 1
                rejected.write(json.dumps({"number": number, "reason": reason}) + "\n")
                continue
            task = str(row.get("task") or "open-ended question")
            category, kind = find_place(task)
            split = "dev" if zlib.crc32(name.encode()) < dev * 2**32 else "train"
            files.write(f"{split}/{category}/en", _make_row(row, name, dataset, kind))
            outcome.kept[dataset, task] += 1
    files.close()
    counts = _arrange(outcome)
    (out / "counts.json").write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")
    return outcome


def _find_fault(row: Any) -> str | None:
    if not isinstance(row, dict):
        return "no object"
    for name in FIELDS:
        if not isinstance(row.get(name), str) or not row[name].strip():
            return f"no {name}"
    return None


def _make_row(row: dict[str, Any], name: str, dataset: str, task: str) -> Row:
    asked = [{"audio_path": f"/path/to/{name}.wav"}, {"text": row["instruction"].strip()}]
    return {
        "id": name,
        "messages": [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": [{"text": row["output"].strip()}]},
        ],
        "task": task,
        "data_source": f"{dataset}_en",
    }


def _arrange(outcome: Outcome) -> dict[str, Any]:
    datasets: dict[str, dict[str, int]] = {}
    for (dataset, task), count in sorted(outcome.kept.items()):
        datasets.setdefault(dataset, {})[task] = count
    return {
        "entered": outcome.entered,
        "kept": outcome.kept.total(),
        "of other parts": outcome.left_out,
        "set aside": dict(sorted(outcome.reasons.items())),
        "by dataset and task": datasets,
        "licences": {name: _find_licence(name) for name in datasets},
        "release": RELEASE,
    }


def _find_licence(dataset: str) -> str:
    return LICENCES.get(dataset, "not known here; ask where it was taken from")


def describe(outcome: Outcome) -> Iterable[str]:
    """A line for each dataset and task, and one for each licence."""
    counts = _arrange(outcome)
    for dataset, tasks in counts["by dataset and task"].items():
        said = ", ".join(f"{task} {count:,}" for task, count in tasks.items())
        yield f"{dataset}: {said}; recordings: {counts['licences'][dataset]}"
    aside = ", ".join(f"{reason} {count:,}" for reason, count in counts["set aside"].items())
    yield (
        f"{counts['entered']:,} rows in, {counts['kept']:,} out, {counts['of other parts']:,} of "
        f"other parts, skipped: {aside or 'none'}"
    )
    yield RELEASE


def make_parser() -> Parser:
    """The release, what is taken of it, and where its recordings are."""
    parser = Parser(
        "data_prep.open_asqa",
        description="Turns OpenASQA, the training data of LTU-AS, into SIFT files.",
        examples=(
            "--from=openasqa_10.3M_v2.json --out=data/o_asqa/sift",
            "--from=openasqa_10.3M_v2.json --parts=speech --audio=/data/sls=/corpora "
            "--links=data/o_asqa/audio --out=data/o_asqa/sift",
        ),
    )
    parser.add_argument(
        "--from", dest="source", type=Path, required=True, help="a JSON file of the release"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the SIFT files")
    parser.add_argument(
        "--parts", default=",".join(PARTS), help=f"which of {', '.join(PARTS)}; all if not given"
    )
    parser.add_argument(
        "--audio", help="OLD=NEW: the beginning of their paths, and what it is with you"
    )
    parser.add_argument("--links", type=Path, help="folder for a link to each recording")
    parser.add_argument(
        "--dev", type=float, default=0.002, help="share of the recordings that is for dev"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Converts, and says how much there is of what, and under which licence."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags))


def _run(flags: argparse.Namespace) -> None:
    if not flags.source.is_file():
        raise ValueError(f"no file {flags.source}; download it where its authors keep it")
    if flags.links is not None and flags.audio is None:
        raise ValueError("--links needs --audio=OLD=NEW, which says where the recordings are")
    audio = Audio(flags.audio, flags.links)
    parts = [part for part in flags.parts.split(",") if part]
    outcome = convert(flags.source, flags.out, parts=parts, dev=flags.dev, audio=audio)
    for line in describe(outcome):
        print(line)


if __name__ == "__main__":
    main()
