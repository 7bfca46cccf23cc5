"""Command line that turns SIFT files into the JSON lines of ms-swift and LLaMA-Factory, and back.

    python -m data_prep.convert --from=sift --to=ms_swift --sift=data/sift --out=data/swift
    [--audio=data/audio]
        swift sft --dataset data/swift/train/open_ended/en/split0.jsonl …

    python -m data_prep.convert --from=sift --to=llama_factory --sift=data/sift --out=data/factory
    --audio=data/audio
        data/factory/dataset_info.json names a dataset a folder: `dataset: sift_train_open_ended_en`

    python -m data_prep.convert --from=ms_swift --to=sift --chat=data/swift --out=data/sift_again
    python -m data_prep.convert --from=llama_factory --to=sift --chat=theirs.json --out=data/theirs
        --place=train/open_ended/en          where a file goes that does not lie in {split}/{category}/{language}/

With --audio the placeholders become the paths of files. What has no counterpart is in
<out>/rejected.jsonl.
"""

import argparse
import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from data_prep.chat_formats import FormatError, Placeholders, make_chat_row, make_sift_row
from data_prep.released.audio_roots import AudioRoots, parse_audio_flags
from data_prep.released.read_rows import read_sift_lines
from data_prep.released.sift_paths import list_places
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.rows import SPLITS, SiftError, name_utterance, write_rows

SIFT, MS_SWIFT, LLAMA_FACTORY = "sift", "ms_swift", "llama_factory"
_PLACE = re.compile(rf"(?:.*/)?((?:{'|'.join((*SPLITS, 'validation'))})/.+)/[^/]+")
# What tells LLaMA-Factory how to read a folder of these lines.
_INFO = {
    "formatting": "sharegpt",
    "columns": {"messages": "messages", "audios": "audios"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    },
}


@dataclasses.dataclass(kw_only=True)
class Outcome:
    """Rows that went in and came out; what was skipped is written as it comes."""

    rejected: Path
    entered: int = 0
    left: int = 0
    set_aside: int = 0

    def reject(self, path: Path, line: int, reason: str) -> None:
        with self.rejected.open("a" if self.set_aside else "w", encoding="utf-8") as out:
            out.write(
                json.dumps({"file": str(path), "line": line, "reason": reason}, ensure_ascii=False)
                + "\n"
            )
        self.set_aside += 1


def export_sift(sift_dir: Path, out: Path, target: str, roots: AudioRoots | None) -> Outcome:
    """SIFT files to chat lines, file by file, in the same folders."""
    outcome = _begin(out)

    def locate(path: str) -> str:
        found = path if roots is None else roots.find(name_utterance(path))
        if found is None:
            raise FormatError(f"{name_utterance(path)}: no audio file of that name")
        return found

    info = {}
    for place in list_places(sift_dir):
        lines = (
            (line.number, line.fault.describe() if line.fault else line.row)
            for line in read_sift_lines(place.path)
        )
        folder = f"{place.split}/{place.category}/{place.language}"
        _convert(
            place.path,
            lines,
            lambda row: make_chat_row(row, locate),
            out / folder / place.path.name,
            outcome,
        )
        info[f"sift_{folder.replace('/', '_')}"] = {"file_name": folder, **_INFO}
    if not info:
        raise ValueError(
            f"no SIFT files under {sift_dir}; expected "
            f"{{train,dev,EvalSIFT}}/{{category}}/{{lang}}/split0.jsonl"
        )
    if target == LLAMA_FACTORY:
        (out / "dataset_info.json").write_text(json.dumps(info, indent=1), encoding="utf-8")
    return outcome


def import_chat(chat: Path, out: Path, *, place: str | None, task: str, source: str) -> Outcome:
    """Chat files to SIFT files: in the folders that they have, or in the one that is named."""
    files = (
        [chat]
        if chat.is_file()
        else sorted(
            path
            for path in chat.rglob("*.json*")
            if path.name not in ("dataset_info.json", "rejected.jsonl")
        )
    )
    if not files:
        raise ValueError(f"--chat={chat} has no JSON files; give one, or a folder of them")
    outcome = _begin(out)
    written: dict[str, set[str]] = {}
    place_audio = Placeholders().make
    for path in files:
        found = _PLACE.fullmatch(path.as_posix())
        folder = place or (found and found[1])
        if not folder:
            raise ValueError(
                f"{path} is in no {{split}}/{{category}}/{{language}}/; say where it goes, as in "
                f"--place=train/open_ended/en"
            )
        taken = written.setdefault(folder, set())
        # Its own name, unless another file of this folder has it: two trees may meet here.
        name = path.name if place is None and re.fullmatch(r"split\d+\.jsonl", path.name) else None
        name = next(
            name
            for name in (name, *(f"split{number}.jsonl" for number in range(len(taken) + 1)))
            if name and name not in taken
        )
        taken.add(name)
        _convert(
            path,
            _read_chat(path),
            lambda row: make_sift_row(row, place_audio, task=task, source=source),
            out / folder / name,
            outcome,
        )
    return outcome


def _begin(out: Path) -> Outcome:
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"--out={out} is not empty; choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    return Outcome(rejected=out / "rejected.jsonl")


def _convert(
    path: Path,
    lines: Iterator[tuple[int, Any]],
    make: Callable[[Any], Any],
    target: Path,
    outcome: Outcome,
) -> None:
    def make_rows() -> Iterator[Any]:
        for number, row in lines:
            outcome.entered += 1
            try:
                if isinstance(row, str):
                    raise FormatError(row)
                made = make(row)
            except (FormatError, SiftError) as error:
                outcome.reject(path, number, str(error))
                continue
            outcome.left += 1
            yield made

    write_rows(target, make_rows())


def _read_chat(path: Path) -> Iterator[tuple[int, Any]]:
    """Rows, or what is wrong with them, by line; of a file that is one JSON array, by place in it,
    held in memory."""
    with path.open("rb") as file:
        is_array = file.read(64).lstrip().startswith(b"[")
    if is_array:
        rows = json.loads(path.read_text(encoding="utf-8"))
        yield from ((number, _check(row)) for number, row in enumerate(rows, 1))
        return
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if raw.strip():
                try:
                    yield number, _check(json.loads(raw.decode("utf-8")))
                except ValueError as error:
                    yield number, f"not JSON: {error}"


def _check(row: Any) -> Any:
    return row if isinstance(row, dict) else f"a row is {type(row).__name__}, not an object"


def make_parser() -> Parser:
    """From what to what, and where it is."""
    parser = Parser(
        "data_prep.convert",
        description="Converts SIFT files to the JSON lines of ms-swift or LLaMA-Factory, and back.",
        examples=(
            "--from=sift --to=ms_swift --sift=data/sift --out=data/swift --audio=data/audio",
            "--from=llama_factory --to=sift --chat=theirs.json --out=data/theirs "
            "--place=train/open_ended/en",
        ),
    )
    formats = (SIFT, MS_SWIFT, LLAMA_FACTORY)
    parser.add_argument(
        "--from", dest="given", choices=formats, required=True, help="the form that there is"
    )
    parser.add_argument(
        "--to", dest="target", choices=formats, required=True, help="the form that is made"
    )
    parser.add_argument("--sift", type=Path, help="folder of SIFT files, with --from=sift")
    parser.add_argument("--chat", type=Path, help="file or folder of chat lines, with --to=sift")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is made")
    parser.add_argument(
        "--audio",
        action="append",
        default=[],
        help=(
            "with --from=sift: folders of audio, as in mls=/a,common_voice=/b,/c; without any, "
            "placeholders stay"
        ),
    )
    parser.add_argument(
        "--place", help="with --to=sift: the folder of the rows, as in train/open_ended/en"
    )
    parser.add_argument("--task", default="closed_ended", help="of rows that name none")
    parser.add_argument(
        "--data_source", default="converted", help="of rows that name none, as in mine_en"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Converts, and says how much."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags))


def _run(flags: argparse.Namespace) -> None:
    if (flags.given == SIFT) == (flags.target == SIFT):
        raise ValueError("one of --from and --to is sift")
    if flags.given == SIFT and flags.sift and not flags.chat:
        roots = parse_audio_flags(flags.audio) if flags.audio else None
        outcome = export_sift(flags.sift, flags.out, flags.target, roots)
    elif flags.target == SIFT and flags.chat and not flags.sift:
        outcome = import_chat(
            flags.chat, flags.out, place=flags.place, task=flags.task, source=flags.data_source
        )
    else:
        raise ValueError("--from=sift needs --sift=DIR; --to=sift needs --chat=<file or folder>")
    print(
        f"{outcome.entered:,} rows in, {outcome.left:,} out, {outcome.set_aside:,} skipped"
        + (f", listed in {outcome.rejected}" if outcome.set_aside else "")
    )


if __name__ == "__main__":
    main()
