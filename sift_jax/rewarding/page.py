"""Rollouts as a page: each prompt with its recording, and its answers from the best to the worst,
with what each part of the reward gave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sift_jax.evaluation.report.players import AudioShelf
from sift_jax.pages.document import (
    Document,
    Drawing,
    Figure,
    Row,
    Section,
    Table,
    Tile,
    Tiles,
)
from sift_jax.pages.markup import escape_text
from sift_jax.rewarding.rollout_log import LIMIT, StepRollouts


def make_rollout_page(
    found: StepRollouts, figures: dict[str, float], *, run: str, groups: int
) -> Document:
    """The first so many groups of a step."""
    lines, each = found.list_lines(), len(found.rollouts[0])
    shelf = AudioShelf(None)
    sections = [
        _make_section(number, found, lines[number * each : (number + 1) * each], shelf)
        for number in range(min(groups, len(found.asked)))
    ]
    shown = {
        "reward": "Reward",
        "answer_tokens": "Tokens an answer",
        "at_limit_share": "At the limit",
        "failed_share": "Rewards that failed",
    }
    tiles = [
        Tile(title=title, value=f"{figures[name]:.3g}", unit="")
        for name, title in shown.items()
        if name in figures
    ]
    return Document(
        title="sift_jax · rollouts",
        intro=f"{run}, step {found.step}: what the model answered, and what it was worth.",
        top=[Tiles(tiles=tiles)],
        sections=sections,
        footer=f"{run} · step {found.step} · all rollouts are in rollouts.jsonl",
    )


def _make_section(
    number: int, found: StepRollouts, lines: Sequence[dict[str, Any]], shelf: AudioShelf
) -> Section:
    asked = found.asked[number]
    players = "".join(
        shelf.make_player_of_samples(
            clip.astype(np.float32) / 32768.0,
            f"recording {place}",
            f"Prompt {number + 1}, recording {place}",
        )
        for place, clip in enumerate(asked.clips, 1)
    )
    parts = sorted({name for line in lines for name in (*line["parts"], *line["failures"])})
    ordered = sorted(
        lines, key=lambda line: -(line["reward"] if line["reward"] is not None else -1)
    )
    rows = [
        Row(
            title=line["answer"] or "(empty)",
            is_quoted=bool(line["answer"]),
            figures=[
                "–" if line["reward"] is None else f"{line['reward']:.3g}",
                f"{line['advantage']:+.2f}" if line["is_used"] else "not used",
                *(_write_part(line, name) for name in parts),
                f"{line['tokens']}{' (limit)' if line['end'] == LIMIT else ''}",
            ],
        )
        for line in ordered
    ]
    columns = ["Answer", "Reward", "Advantage", *parts, "Tokens"]
    return Section(
        anchor=f"prompt-{number + 1}",
        title=f"{number + 1}. {asked.item}",
        lead=f"Prompt: {asked.text} Reference: {asked.reference}",
        parts=[
            Drawing(html=f'<div class="heard">{players}</div>'),
            Table(title="Rollouts, the best first", columns=columns, rows=rows),
        ],
    )


def _write_part(line: dict[str, Any], name: str) -> Figure | str:
    if name in line["failures"]:
        return Figure(text="failed", notes=(escape_text(line["failures"][name]),))
    return f"{line['parts'][name]:.3g}"
