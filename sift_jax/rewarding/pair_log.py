"""What was answered and which pairs came of it, on disk.

    pairs/answers_train.jsonl  a line a question: all answers with their rewards, the pair or why there is none,
                               the place behind it in the plan
    pairs/audio/3f….flac       the recordings of the pairs, by their samples
    pairs/train.jsonl          the pairs (sift_jax/data/records/pair_files.py), once all questions are answered
    pairs/report_train.json    how many, and why the others are none
    pairs/made_train.json      what made the answers: others are not put among them

A command that was killed goes on behind the last whole step of its journal.
"""

from __future__ import annotations

import collections
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.data.records.record_audio import encode_clip
from sift_jax.rewarding.rewards import RewardError
from sift_jax.storage.whole_files import write_whole

Line = dict[str, Any]


class PairLog:
    """The journal of one split."""

    def __init__(self, folder: Path, split: str, *, most_failed: float):
        self.folder, self.split = folder, split
        self._most_failed = most_failed
        self._path = folder / f"answers_{split}.jsonl"
        self.lines: list[Line] = []

    def claim(self, made: Mapping[str, Any]) -> None:
        """Writes down what makes the answers, or refuses where others are there; then reads what is
        done."""
        path = self.folder / f"made_{self.split}.json"
        made = json.loads(json.dumps(made))
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
            wrong = next((key for key in {**found, **made} if found.get(key) != made.get(key)), "")
            if wrong:
                raise ValueError(
                    f"{self.folder} has answers that were made with {wrong} = {found.get(wrong)!r}, "
                    f"and asked is {made.get(wrong)!r}; choose another OUT_DIR, or the same as before"
                )
        else:
            write_whole(path, json.dumps(made, indent=1, ensure_ascii=False) + "\n")
        self.lines = self._keep()

    def _keep(self) -> list[Line]:
        """Those of whole steps; a kill may have torn the last one."""
        if not self._path.is_file():
            return []
        text = self._path.read_text(encoding="utf-8").split("\n")
        # behind the last line break is nothing, or what was torn
        lines = [json.loads(line) for line in text[:-1]]
        steps = collections.Counter(line["step"] for line in lines)
        kept = [line for line in lines if steps[line["step"]] == line["questions"]]
        write_whole(self._path, "".join(map(_write, kept)))
        return kept

    def add(self, lines: Sequence[Line]) -> None:
        """Those of a step."""
        self.lines += lines
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(map(_write, lines))
            file.flush()
            os.fsync(file.fileno())
        answers = [answer for line in self.lines for answer in line["answers"]]
        failed = [answer for answer in answers if answer["failures"]]
        if len(failed) > self._most_failed * len(answers):
            reasons = collections.Counter(
                f"{name} {said}" for answer in failed for name, said in answer["failures"].items()
            )
            said = "; ".join(f"{reason}: {count}" for reason, count in reasons.most_common(3))
            raise RewardError(
                f"the rewards of {len(failed)} of {len(answers)} answers failed, which is more than "
                f"PairsConfig.most_failed = {self._most_failed:g} ({said}); fix the reward, or raise "
                f"PairsConfig.seconds; the answers are in {self._path}"
            )

    def write_clip(self, samples: np.ndarray) -> str:
        """Keeps a recording; its name beside the pairs."""
        data = encode_clip(samples)
        name = f"audio/{hashlib.sha256(data).hexdigest()[:24]}.flac"
        path = self.folder / name
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(f".{os.getpid()}.part")
            draft.write_bytes(data)
            draft.replace(path)
        return name

    def finish(self, passed_over: Mapping[str, int]) -> dict[str, Any]:
        """The file of pairs and the report of what became of all questions."""
        pairs = [line["pair"] for line in self.lines if line["pair"]]
        reasons = collections.Counter(line["reason"] for line in self.lines if line["reason"])
        report = {
            "questions": len(self.lines),
            "pairs": len(pairs),
            "no_pair": dict(sorted(reasons.items())),
            "passed_over": dict(sorted(passed_over.items())),
            "margin": sum(pair["margin"] for pair in pairs) / max(len(pairs), 1),
        }
        write_whole(self.folder / f"{self.split}.jsonl", "".join(map(_write, pairs)))
        text = json.dumps(report, indent=1) + "\n"
        write_whole(self.folder / f"report_{self.split}.json", text)
        return report


def _write(line: Mapping[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False) + "\n"
