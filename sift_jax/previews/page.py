"""A mixture as a page: how often each task comes, how a batch is packed, and examples token by token.

    BatchStream ─► the first batches, as training would read them ─► tasks and rates · rows · examples ─► Document

Everything that is shown of a token is read from the batch itself: its group, its segment, what is
learnt of it and how much that counts. Segment 0 of a group is what its questions share; a question
sees that and itself, and nothing else.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from sift_jax.batch import Batch
from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.plan.batch_plan import PlannedBatch
from sift_jax.data.records.index_records import split_clips
from sift_jax.data.records.unreadable import UnreadableAudio
from sift_jax.evaluation.report.players import AudioShelf
from sift_jax.pages.document import (
    Document,
    Drawing,
    Note,
    Part,
    Row,
    Section,
    Table,
    Tile,
    Tiles,
)
from sift_jax.pages.markup import escape_text
from sift_jax.text.spelling import name_token, spell_tokens

STYLE_PATH = Path(__file__).with_name("preview.css")
# batches whose examples are counted beside the rates
COUNTED_BATCHES = 50
_ROLES = (
    ("frames", "recording, a position for each frame"),
    ("template", "template"),
    ("text", "text that is read"),
    ("learnt", "learnt"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """Positions of one group of a row of a batch."""

    batch: Batch
    row: int
    group: int

    @property
    def positions(self) -> np.ndarray:
        return np.flatnonzero(self.batch["group_bt"][self.row] == self.group)

    def weigh(self) -> dict[int, float]:
        """Position to what its token counts in the loss, of those that are learnt."""
        weights = self.batch["weight_bm"][self.row]
        # a target is predicted from the position before it
        places = self.batch["predict_bm"][self.row] + 1
        return {
            int(place): float(weight)
            for place, weight in zip(places, weights, strict=True)
            if weight > 0
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shown:
    """A group of a batch, with the task that it is of and its recordings."""

    task: str
    span: Span
    clips: list[np.ndarray]


def read_shown(
    stream: BatchStream,
    count: int,
    batches: Iterable[tuple[PlannedBatch, Batch]] | None = None,
) -> tuple[list[Shown], list[str]]:
    """The first `count` groups of these batches, or that the stream reads, and what could not be
    read."""
    found: list[Shown] = []
    unread: list[str] = []
    for planned, batch in _read_batches(stream) if batches is None else batches:
        for row, groups in enumerate(planned.rows):
            for number, group in enumerate(groups, 1):
                if len(found) == count:
                    return found, unread
                try:
                    example = stream.read_example(planned.groups, group)
                except UnreadableAudio as error:
                    unread.append(str(error))
                    continue
                task = stream.plan.draws.tasks[planned.groups.task[group]].name
                span = Span(batch=batch, row=row, group=number)
                clips = [clip.astype(np.float32) / 32768.0 for clip in split_clips(example)]
                found.append(Shown(task=task, span=span, clips=clips))
    return found, unread


def _read_batches(stream: BatchStream) -> Iterator[tuple[PlannedBatch, Batch]]:
    for _, batches in stream.plan.blocks():
        for planned in batches:
            for _, batch in stream.read([planned]):
                yield planned, batch


def make_page(stream: BatchStream, *, name: str, split: str, count: int) -> Document:
    """The page of a mixture that goes by `name`, with `count` examples."""
    shown, unread = read_shown(stream, count)
    planned = next((batches[0] for _, batches in stream.plan.blocks() if batches), None)
    if planned is None:
        raise ValueError(
            f"{name}: split {split} makes no batch; choose another --split, or rates with tasks "
            "that the records have"
        )
    return Document(
        title="sift_jax · mixture preview",
        intro=f"{name}, split {split}: what training draws, and what it makes of it.",
        top=[make_tiles(stream, planned)],
        sections=[
            _make_rates_section(stream),
            make_packing_section(stream, planned),
            make_examples_section(stream, shown, unread),
        ],
        footer=f"Records {stream.config.records} · tokenizer {stream.config.tokenizer}",
        style=STYLE_PATH.read_text(encoding="utf-8"),
    )


def make_tiles(stream: BatchStream, planned: PlannedBatch) -> Tiles:
    config, draws = stream.config, stream.plan.draws
    full = planned.tokens / (config.rows * config.tokens)
    return Tiles(
        tiles=[
            Tile(title="Tasks", value=str(len(draws.tasks)), unit=""),
            Tile(
                title="Examples per step" if draws.is_endless else "Recordings in the split",
                value=f"{stream.plan.examples_per_batch:.1f}"
                if draws.is_endless
                else f"{draws.size:,}",
                unit="",
            ),
            Tile(
                title="Packed sequences × length",
                value=f"{config.rows} × {config.tokens:,}",
                unit="tokens",
            ),
            Tile(
                title="Packing efficiency",
                value=f"{100 * full:.0f}",
                unit="%",
                notes=("of the first batch",),
            ),
        ]
    )


def _make_rates_section(stream: BatchStream) -> Section:
    draws = stream.plan.draws
    drawn = _count_drawn(stream)
    rates = sum(task.rate for task in draws.tasks)
    total = max(drawn.total(), 1)
    order = sorted(range(len(draws.tasks)), key=lambda i: -draws.tasks[i].rate)
    rows = [
        Row(
            title=draws.tasks[i].name,
            figures=[
                f"{draws.tasks[i].rate:.4g}",
                f"{100 * draws.tasks[i].rate / rates:.1f} %",
                f"{100 * drawn[i] / total:.1f} %",
                f"{len(draws.tasks[i].index):,}",
                f"{draws.surveys[i].questions:,}",
            ],
        )
        for i in order
    ]
    counted = "examples" if draws.rates_count == "examples" else "recordings"
    title = f"Tasks, by rate as a share of {counted}"
    columns = ["Task", "Rate", "Share asked", "Examples drawn", "Recordings", "Questions that fit"]
    parts: list[Part] = [Note(text=note) for note in stream.notes]
    parts += [Note(text=f"Set aside of {line}") for line in draws.describe_set_aside()]
    return Section(
        anchor="rates",
        title="Tasks and rates",
        lead=(
            f"Examples drawn are those of the first {COUNTED_BATCHES} batches: an example is one "
            "question with its audio."
        ),
        parts=[Table(title=title, columns=columns, rows=rows), *parts],
    )


def _count_drawn(stream: BatchStream) -> Counter[int]:
    """Examples of each task in the first batches."""
    drawn: Counter[int] = Counter()
    batches = itertools.chain.from_iterable(found for _, found in stream.plan.blocks())
    for planned in itertools.islice(batches, COUNTED_BATCHES):
        for group in (group for row in planned.rows for group in row):
            drawn[int(planned.groups.task[group])] += int(planned.groups.chosen[group])
    return drawn


def make_packing_section(
    stream: BatchStream,
    planned: PlannedBatch,
    *,
    title: str = "The first batch",
    lead: str = "A line is a packed sequence, a block a recording with its questions. Blocks do not "
    "see each other; what is left is padding.",
) -> Section:
    tasks, groups, most = stream.plan.draws.tasks, planned.groups, stream.config.tokens
    bars = []
    for number, row in enumerate(planned.rows, 1):
        parts = []
        for place, group in enumerate(row):
            tokens = int(groups.sizes.tokens[group])
            said = (
                f"{tasks[groups.task[group]].name}: {tokens} tokens, "
                f"{int(groups.chosen[group])} questions"
            )
            parts.append(
                f'<i class="group g{place % 6}" style="width:{100 * tokens / most:.3f}%" '
                f'title="{escape_text(said)}"></i>'
            )
        used = sum(int(groups.sizes.tokens[group]) for group in row)
        bars.append(
            f'<div class="packed"><span>{number}</span><div class="row" role="img" '
            f'aria-label="Sequence {number}: {len(row)} recordings with their questions, {used} of '
            f'{most} tokens">{"".join(parts)}</div><span>{100 * used / most:.0f} %</span></div>'
        )
    return Section(
        anchor="packing",
        title=title,
        lead=lead,
        parts=[Drawing(html=f'<div class="card batch">{"".join(bars)}</div>')],
    )


def make_examples_section(
    stream: BatchStream,
    shown: Sequence[Shown],
    unread: Sequence[str],
    *,
    title: str = "Examples",
    lead: str = "The first that the run reads.",
    losses: Mapping[tuple[int, int, int], float] = MappingProxyType({}),
) -> Section:
    """Groups token by token; `losses` of their questions by row, group and segment."""
    shelf = AudioShelf(None)
    keys = "".join(
        f'<li><span class="token {css}">token</span>{escape_text(said)}</li>'
        for css, said in _ROLES
    )
    cards = "".join(
        _write_example(stream, number, one, shelf, losses) for number, one in enumerate(shown, 1)
    )
    return Section(
        anchor="examples",
        title=title,
        lead=(
            f"{lead} A question sees what all questions of its recording share, and itself. Point "
            "at a token for its id, its position and what it counts in the loss; the darker it is, "
            "the more."
        ),
        parts=[
            Drawing(html=f'<ul class="legend roles">{keys}</ul>{cards}'),
            *[Note(text=f"Left out: {text}") for text in unread],
        ],
    )


def _write_example(
    stream: BatchStream,
    number: int,
    shown: Shown,
    shelf: AudioShelf,
    losses: Mapping[tuple[int, int, int], float],
) -> str:
    batch, row = shown.span.batch, shown.span.row
    positions, weights = shown.span.positions, shown.span.weigh()
    segments = batch["segment_bt"][row][positions]
    heaviest = max(weights.values(), default=1.0)
    blocks = []
    for segment in sorted(set(segments.tolist())):
        own = positions[segments == segment]
        title = "Shared by all questions" if segment == 0 else f"Question {segment}"
        learnt = sum(int(place) in weights for place in own)
        what = f"{len(own)} tokens" + (f", {learnt} learnt" if learnt else "")
        if (loss := losses.get((row, shown.span.group, int(segment)))) is not None:
            what += f", loss {loss:.3f}"
        tokens = _write_tokens(stream, batch, row, own, weights, heaviest)
        blocks.append(
            f'<div class="segment {"shared" if segment == 0 else "own"}" tabindex="0" role="group" '
            f'aria-label="{title}"><h4>{title} <span>{what}</span></h4><p>{tokens}</p></div>'
        )
    players = "".join(
        shelf.make_player_of_samples(
            clip, f"recording {place}", f"Example {number}, recording {place}"
        )
        for place, clip in enumerate(shown.clips, 1)
    )
    return (
        f'<article class="card example"><header><h3>{number}</h3><span class="tag">'
        f'{escape_text(shown.task)}</span></header><div class="heard">{players}</div>'
        f"{''.join(blocks)}</article>"
    )


def _write_tokens(
    stream: BatchStream,
    batch: Batch,
    row: int,
    positions: np.ndarray,
    weights: dict[int, float],
    heaviest: float,
) -> str:
    """The tokens of a segment; the frames of a recording are one mark."""
    ids = batch["token_bt"][row][positions].tolist()
    slots = batch["slot_bt"][row][positions].tolist()
    places = batch["position_bt"][row][positions].tolist()
    texts = spell_tokens(ids, stream.tokenizer)
    made = []
    place = 0
    while place < len(ids):
        if slots[place] >= 0:
            end = place
            while end < len(ids) and slots[end] >= 0 and slots[end] - slots[place] == end - place:
                end += 1
            said = f"positions {places[place]} to {places[end - 1]}: frames of a recording"
            made.append(f'<span class="token frames" title="{said}">♪ {end - place} frames</span>')
            place = end
            continue
        weight = weights.get(int(positions[place]))
        said = f"position {places[place]} · id {ids[place]}"
        said += " · not learnt" if weight is None else f" · learnt, weight {weight:g}"
        role = "template" if name_token(ids[place], stream.tokenizer) else "text"
        css = f"{role} learnt" if weight is not None else role
        share = "" if weight is None else f' style="--weight:{weight / heaviest:.3f}"'
        text = escape_text(texts[place]).replace("\n", "<b>⏎</b>")
        made.append(f'<span class="token {css}" title="{said}"{share}>{text}</span>')
        place += 1
    return "".join(made)
