"""What stands first on a page: alarms, where the model stands, the tiles, who judged, how many of
how many.

results, cells ─► banner · one sentence · tiles · judge · counts by suite
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sift_jax.evaluation.report.number_format import (
    JUDGED,
    MISSING,
    find_metric,
    format_count,
    format_number,
    format_seconds,
    is_number,
    is_unanimous,
    name_subset,
    name_system,
    name_title,
)
from sift_jax.evaluation.report.score_index import (
    Board,
    Place,
    Systems,
    find_baseline,
    read_value,
    sort_systems,
)
from sift_jax.evaluation.scores.schema import MODEL
from sift_jax.pages.document import Note, Part, Row, Section, Table, Tile, Tiles

NOT_CLEAR = ", which may be chance"
LEVEL = "level"
_COUNTS = {
    "left_out": "Left out by a limit",
    "set_aside": "Set aside",
    "items": "Asked",
    "answered": "Answered",
    "empty": "Of these empty",
    "scored": "Scored",
}
MOST_TILES, MOST_SENTENCES, MOST_NAMED = 8, 3, 3


def make_alarms(results: dict) -> list[Part]:
    """What makes the figures worth nothing, or less."""
    judge = results.get("judge") or {}
    alarms: list[Part] = []
    planted = judge.get("planted") or {}
    if planted.get("is_valid") is False:
        alarms.append(
            Note(
                kind="alarm",
                text=(
                    f"These figures are not valid. The judge {judge.get('name', '')} told only "
                    f"{format_count(planted.get('right'))} of {format_count(planted.get('n'))} "
                    "planted answers right from wrong. Judge the predictions again with another "
                    "judge: python -m sift_jax.judge."
                ),
            )
        )
    for suite, entry in results.get("suites", {}).items():
        counts = entry.get("counts", {})
        asked, scored = counts.get("items"), counts.get("scored")
        if is_number(asked) and is_number(scored) and scored < asked:
            alarms.append(
                Note(
                    kind="warning",
                    text=(
                        f"{name_title(suite)}: {format_count(asked - scored)} of "
                        f"{format_count(asked)} questions have no score, and the figures are over "
                        f"the others{describe_unscored(counts)}."
                    ),
                )
            )
        if is_number(counts.get("left_out")) and counts["left_out"]:
            alarms.append(
                Note(
                    kind="warning",
                    text=(
                        f"{name_title(suite)}: a limit leaves out "
                        f"{format_count(counts['left_out'])} questions. These figures "
                        "are of a sample, published ones are of all."
                    ),
                )
            )
    return alarms


def describe_unscored(counts: dict) -> str:
    found = counts.get("unscored") or {}
    return (
        f" ({', '.join(f'{name}: {format_count(n)}' for name, n in found.items())})"
        if found
        else ""
    )


def name_head(suite: str, place: Place, *, is_alone: bool) -> str:
    if not place.subset:
        return name_title(suite)
    return (
        name_subset(place.subset)
        if is_alone
        else f"{name_title(suite)}, {name_subset(place.subset)}"
    )


def list_heads(board: Board) -> list[tuple[str, str, Place, Systems]]:
    """(title, suite, place, figures) of what stands for each suite."""
    suites = board.suites
    heads = []
    for suite in suites:
        for place in board.heads(suite):
            title = name_head(suite, place, is_alone=len(suites) == 1)
            heads.append((title, suite, place, board.find(suite, place)))
    return heads


def make_head_tile(title: str, place: Place, cells: Systems) -> Tile:
    metric = find_metric(place.metric)
    notes = [
        f"{name_system(s).lower()} {metric.write(cells[s].value)}".replace(" %", "\u00a0%")
        for s in sort_systems(cells)
        if s != MODEL
    ]
    cell = cells.get(MODEL)
    if cell is not None:
        notes.append(f"{format_count(cell.n)} of {format_count(cell.of)} scored")
    of = f"of {metric.top:g}" if metric.top == 10 else ""
    share = "% right" if metric.is_binary else "%"
    name = title if metric.title.startswith("Judged") else f"{title}, {metric.title}"
    return Tile(
        title=name,
        value=metric.write_bare(read_value(cells, MODEL)),
        notes=tuple(notes),
        unit=share if metric.is_share else of,
    )


def make_tiles(board: Board, results: dict, corpus: dict) -> Tiles:
    tiles = [make_head_tile(title, place, cells) for title, _, place, cells in list_heads(board)][
        :MOST_TILES
    ]
    gain = results.get("audio_gain")
    if is_number(gain):
        value = format_number(gain) if gain <= 0 else f"+{format_number(gain)}"
        tiles.append(
            Tile(
                title="Audio gain",
                value=value,
                unit="nats",
                notes=("loss with other people’s audio minus loss with its own; 0 is deaf",),
            )
        )
    if corpus:
        hours = sum(d.get("hours", 0) for d in corpus.get("durations", {}).values())
        rows = {
            split: sum(n for by_lang in categories.values() for n in by_lang.values())
            for split, categories in corpus.get("counts", {}).items()
        }
        notes = tuple(f"{name_title(split)}: {n:,} questions" for split, n in rows.items())
        tiles.append(
            Tile(
                title="Speech",
                value=f"{hours:.1f}" if hours else MISSING,
                unit="hours",
                notes=notes,
            )
        )
    times = {name: s for name, s in (results.get("seconds") or {}).items() if is_number(s)}
    if times:
        tiles.append(
            Tile(
                title="Time",
                value=f"{sum(times.values()) / 60:.1f}",
                unit="min",
                notes=tuple(f"{name_title(name)} {format_seconds(s)}" for name, s in times.items()),
            )
        )
    return Tiles(tiles=tiles)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """A figure of the model beside the constant answer's: `lead` is "2.0 points better", "level",
    or says that there is nothing to be ahead of; `ahead` and `behind` name the parts that can be
    compared."""

    title: str
    baseline: str
    lead: str
    is_ahead: bool
    ahead: Sequence[str]
    behind: Sequence[str]
    is_clear: bool = True

    def write(self) -> str:
        """The whole sentence."""
        if not self.lead:
            return (
                f"{self.title}: one constant answer is right for all questions, so that nobody "
                "can be ahead of it."
            )
        than = "with" if self.lead == LEVEL else "than"
        text = (
            f"{self.title}: {self.lead} {than} the "
            f"{self.baseline}{'' if self.is_clear else NOT_CLEAR}"
        )
        if not self.ahead and not self.behind:
            return f"{text}."
        if self.is_ahead:
            count = len(self.ahead)
            each = f"each of its {count} parts" if count > 1 else "its one part"
            return (
                f"{text}, "
                f"{f'but not in {list_some(self.behind)}' if self.behind else f'and in {each}'}."
            )
        return (
            f"{text}; ahead of it "
            f"{f'only in {list_some(self.ahead)}' if self.ahead else 'in no part'}."
        )


def make_standing(board: Board) -> list[Part]:
    """Whether the model beats the constant answer, and where it does not: sentences, or a table
    where they are many."""
    rows = [
        row
        for row in (find_standing(board, *head) for head in list_heads(board))
        if row is not None
    ]
    if len(rows) > MOST_SENTENCES:
        made = [
            Row(
                title=row.title,
                figures=[
                    (row.lead or "all have one answer") + ("" if row.is_clear else NOT_CLEAR),
                    row.baseline.capitalize(),
                    list_some(row.behind) if row.ahead or row.behind else MISSING,
                ],
            )
            for row in rows
        ]
        return [
            Table(
                title="Against one answer to everything",
                rows=made,
                css="facts standing",
                columns=["", "Model", "Beside", "Not ahead in"],
            )
        ]
    return [Note(text=row.write(), kind="verdict") for row in rows] or [
        Note(text="There are no figures beside those of a constant answer.", kind="verdict")
    ]


def find_standing(
    board: Board, title: str, suite: str, place: Place, cells: Systems
) -> Standing | None:
    """Nothing where one of the two has no figure."""
    metric, baseline = find_metric(place.metric), find_baseline(cells)
    value, other = read_value(cells, MODEL), read_value(cells, baseline)
    if value is None or other is None:
        return None
    named = name_system(baseline).lower()
    if is_unanimous(metric, other):
        return Standing(title=title, baseline=named, lead="", is_ahead=False, ahead=(), behind=())
    cell, (ahead, behind) = cells[MODEL], compare_parts(board, suite, place)
    is_chance = (
        is_number(cell.low)
        and is_number(cell.high)
        and cell.low <= other <= cell.high
        and value != other
    )
    return Standing(
        title=title,
        baseline=named,
        is_ahead=metric.is_ahead(value, other),
        ahead=ahead,
        behind=behind,
        lead=LEVEL if value == other else metric.write_lead(value, other),
        is_clear=not is_chance,
    )


def compare_parts(board: Board, suite: str, place: Place) -> tuple[list[str], list[str]]:
    """The parts that a figure sums up, in which the model is ahead of the constant answer and in
    which it is not; those whose questions all have one answer are neither."""
    metric = find_metric(place.metric)
    ahead: list[str] = []
    behind: list[str] = []
    parts = [
        p
        for p in board.places(suite)
        if p.metric == place.metric
        and p != place
        and (not place.subset or p.subset.startswith(f"{place.subset}/"))
    ]
    for part in parts:
        cells = board.find(suite, part)
        mine, theirs = read_value(cells, MODEL), read_value(cells, find_baseline(cells))
        if mine is not None and theirs is not None and not is_unanimous(metric, theirs):
            found = ahead if metric.is_ahead(mine, theirs) else behind
            found.append(f"{name_subset(part.subset)} ({metric.write_gap(mine, theirs)})")
    return ahead, behind


def list_some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more or "none"


def make_counts_table(results: dict) -> Table:
    rows, suites = [], results.get("suites", {})
    statuses = list(
        dict.fromkeys(s for e in suites.values() for s in e.get("counts", {}).get("unscored") or {})
    )
    for suite, entry in suites.items():
        counts = entry.get("counts", {})
        figures = [format_count(counts.get(key)) for key in _COUNTS]
        figures += [
            format_count((counts.get("unscored") or {}).get(status, 0)) for status in statuses
        ]
        rows.append(Row(title=name_title(suite), figures=figures))
    columns = ["Suite", *_COUNTS.values(), *(f"Unscored: {name_title(s)}" for s in statuses)]
    return Table(title="How many of how many", columns=columns, rows=rows)


def make_judge_table(results: dict) -> list[Part]:
    judge = results.get("judge") or {}
    if not any(str(cell.get("metric")).startswith(JUDGED) for cell in results.get("cells", [])):
        return [Note(text="No judge was asked: all scores are computed from the texts.")]
    planted = judge.get("planted") or {}
    rows = [
        ("Judge", judge.get("name")),
        ("Model", judge.get("model")),
        ("Prompt", judge.get("prompt_hash")),
    ]
    rows += [(name_title(key), value) for key, value in (judge.get("parameters") or {}).items()]
    if planted:
        states: dict[bool | None, str] = {True: "valid", False: "NOT valid"}
        state = states.get(planted.get("is_valid"), "not tried")
        right, n = format_count(planted.get("right")), format_count(planted.get("n"))
        kinds = "".join(
            f"; {kind} {of[0]} of {of[1]}" for kind, of in (planted.get("kinds") or {}).items()
        )
        rows.append(("Planted answers", f"{right} of {n} told right from wrong: {state}{kinds}"))
    made = [
        Row(title=str(name), figures=[str(value)])
        for name, value in rows
        if value not in (None, "", {})
    ]
    failed = [
        Row(
            title=str(row.get("kind", "")),
            figures=[
                str(row.get(key, ""))
                for key in ("question", "reference", "answer", "score", "reason")
            ],
        )
        for row in planted.get("failed") or []
    ]
    missed = (
        [
            Table(
                title="Planted answers that the judge got wrong",
                rows=failed,
                is_open=False,
                css="facts",
                columns=["Planted as", "Question", "Reference", "Answer", "Score", "Reason"],
            )
        ]
        if failed
        else []
    )
    return [
        Table(title="Who judged", columns=["", "In this evaluation"], rows=made, css="facts"),
        *missed,
    ]


def describe_meta(model: dict) -> list[tuple[str, str]]:
    """What is known of the weights and of how they were asked, one line each."""
    facts = []
    for key, value in model.items():
        if isinstance(value, dict):
            text = ", ".join(
                f"{k} {v:,}" if isinstance(v, int) and v > 9999 else f"{k} {v}"
                for k, v in value.items()
            )
        else:
            text = (
                f"{value:,}"
                if isinstance(value, int) and not isinstance(value, bool)
                else str(value)
            )
        if value not in (None, "", {}):
            facts.append((name_title(key), text))
    return facts


def make_facts_section(results: dict) -> Section:
    """What somebody needs who wants these figures again."""
    facts = describe_meta(results.get("model") or {})
    facts += [
        (find_metric(name).title, str(text))
        for name, text in (results.get("metrics") or {}).items()
    ]
    model: Sequence[Part] = (
        [
            Table(
                title="The model, and how it was asked",
                columns=["", "In this evaluation"],
                rows=[Row(title=name, figures=[text]) for name, text in facts],
                css="facts",
            )
        ]
        if facts
        else []
    )
    return Section(
        anchor="facts",
        title="How it was measured",
        lead="What is needed to get these figures again, and how many questions they stand on.",
        parts=[make_counts_table(results), *make_judge_table(results), *model],
    )
