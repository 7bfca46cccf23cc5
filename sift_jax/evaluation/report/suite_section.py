"""The figures of one suite as a section: bars, the table with all systems, by language, by facet,
what is not scored.

Board ─► rows (subset, metric) × (model, interval, constant answer, untrained, n of all) ─► Section
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sift_jax.evaluation.report.charts import draw_score_groups, draw_score_rows
from sift_jax.evaluation.report.confusions import make_confusions
from sift_jax.evaluation.report.number_format import (
    MISSING,
    Metric,
    find_metric,
    format_count,
    is_number,
    is_unanimous,
    name_subset,
    name_system,
    name_title,
)
from sift_jax.evaluation.report.score_index import Board, Place, Systems, find_baseline, read_value
from sift_jax.evaluation.scores.schema import BASELINES, MAJORITY, MODEL, UNTRAINED
from sift_jax.evaluation.suites.protocols import describe_protocol
from sift_jax.pages.document import (
    Drawing,
    Figure,
    Heading,
    Note,
    Part,
    Row,
    Section,
    Table,
    fold_long,
    make_legend,
    say,
    wrap_chart,
)
from sift_jax.pages.markup import escape_text
from sift_jax.sift.labels import LABELS

# as many columns as a page takes; what has more is written with the languages as columns
MOST_COLUMNS, MOST_GROUPS, MOST_ROWS = 7, 8, 14
ONE_ANSWER = "all have one answer"


def make_suite_section(board: Board, suite: str, results: dict) -> Section:
    title, entry = name_title(suite), results.get("suites", {}).get(suite, {})
    places = board.places(suite)
    protocol = describe_protocol(suite, entry.get("protocol", ""))
    lead = f"{describe_counts(entry.get('counts', {}))} {protocol}".strip()
    if not places:
        return Section(
            anchor=suite,
            title=title,
            lead=lead,
            parts=[Note(text=f"There are no figures of {title}.", kind="absent")],
        )
    parts: list[Part] = [make_bars(board, suite, places), *make_summary(board, suite, places)]
    parts += make_language_table(board, suite, places)
    parts += make_facets(board, suite, places)
    parts += make_confusions([c for c in results.get("confusions", []) if c.get("suite") == suite])
    parts += make_set_aside(entry)
    return Section(anchor=suite, title=title, lead=lead, parts=parts)


def describe_counts(counts: dict) -> str:
    if not is_number(counts.get("items")):
        return "The results hold no counts of this suite."
    total = counts["items"]
    cut = counts.get("cut")
    said = f" Of {format_count(cut)} the end of a recording was not heard." if cut else ""
    return (
        f"{format_count(counts.get('scored'))} of {format_count(total)} questions are scored; "
        f"{format_count(counts.get('answered'))} were answered; "
        f"{format_count(counts.get('set_aside', 0))} more were skipped before.{said}"
    )


def make_bars(board: Board, suite: str, places: Sequence[Place]) -> Drawing:
    """One chart a metric: bars side by side while there are few, rows when there are many."""
    systems = board.systems(suite)
    panels = []
    for name in dict.fromkeys(place.metric for place in places):
        metric = find_metric(name)
        bars = [(name_subset(p.subset), board.find(suite, p)) for p in places if p.metric == name]
        if not metric.top or all(read_value(cells, MODEL) is None for _, cells in bars):
            continue
        label = f"{name_title(suite)}, {metric.title}"
        svg = (
            draw_score_groups(bars, metric=metric, systems=systems, label=label)
            if len(bars) <= MOST_GROUPS
            else draw_score_rows(bars, metric=metric, label=label, is_wide=True)
        )
        panels.append(
            f"<figure><figcaption>{escape_text(metric.title)}</figcaption>{wrap_chart(svg)}</figure>"
        )
    if not panels:
        return Drawing(html=say("There is nothing to draw: no figure of this suite has a scale."))
    looks = {MODEL: MODEL, **dict.fromkeys(BASELINES, MAJORITY)}
    legend = make_legend([(looks.get(s, "untrained"), name_system(s)) for s in systems])
    return Drawing(html=f'{legend}<div class="flow">{"".join(panels)}</div>')


def tint_figure(metric: Metric, systems: Systems) -> float | None:
    """How far the model is from the constant answer, a half of the scale being all of the
    colour."""
    value, other = read_value(systems, MODEL), read_value(systems, find_baseline(systems))
    if value is None or other is None:
        return None
    distance = (value - other) / (metric.top or max(abs(other), 1e-9)) * 2
    return -distance if metric.is_lower_better else distance


def write_row(
    title: str, metric: Metric, cells: Systems, systems: Sequence[str], *, is_total: bool = False
) -> Row:
    cell = cells.get(MODEL)
    n = f"{format_count(cell.n)} of {format_count(cell.of)}" if cell is not None else MISSING
    others = [
        write_baseline(metric, read_value(cells, system), system)
        for system in systems
        if system != MODEL
    ]
    model = Figure(text=metric.write(read_value(cells, MODEL)), tint=tint_figure(metric, cells))
    return Row(
        title=title,
        figures=[metric.title, model, metric.write_interval(cell), *others, n],
        is_total=is_total,
    )


def write_baseline(metric: Metric, value: float | None, system: str) -> Figure:
    """A constant answer that is always right says that the questions have one answer, and nothing
    of a model."""
    is_all = system in BASELINES and is_unanimous(metric, value)
    return Figure(text=metric.write(value), notes=(ONE_ANSWER,) if is_all else ())


def make_columns(first: str, systems: Sequence[str]) -> list[str]:
    return [
        first,
        "Score",
        "Model",
        "95 % interval",
        *(name_system(s) for s in systems if s != MODEL),
        "n of all",
    ]


def make_summary(board: Board, suite: str, places: Sequence[Place]) -> list[Part]:
    systems = board.systems(suite)
    rows = [
        write_row(
            name_subset(p.subset),
            find_metric(p.metric),
            board.find(suite, p),
            systems,
            is_total=board.is_group(suite, p),
        )
        for p in places
    ]
    return [
        *fold_long(
            Table(
                title=f"{name_title(suite)}: figures",
                columns=make_columns("Part", systems),
                rows=rows,
                note=(
                    "The interval is a bootstrap over recordings. n counts what is scored, of all "
                    "that was asked."
                ),
            )
        )
    ]


def write_cell(metric: Metric, cells: Systems) -> Figure:
    """The model's figure, its distance from the constant answer's, the untrained model's and n."""
    if read_value(cells, MODEL) is None:
        return Figure(text=MISSING)
    notes, counts = [], f"n {format_count(cells[MODEL].n)}"
    model, constant = read_value(cells, MODEL), read_value(cells, find_baseline(cells))
    if is_unanimous(metric, constant):
        notes.append(ONE_ANSWER)
    elif find_baseline(cells) in cells:
        notes.append(f"{metric.write_gap(model, constant)} on {metric.write(constant)}")
    if UNTRAINED in cells:
        counts = f"untrained {metric.write(read_value(cells, UNTRAINED))} · {counts}"
    return Figure(
        text=metric.write(read_value(cells, MODEL)),
        notes=(*notes, counts),
        tint=tint_figure(metric, cells),
    )


def make_language_table(board: Board, suite: str, places: Sequence[Place]) -> list[Part]:
    languages = board.languages(suite)
    if len(languages) < 2:
        return []
    shown = [p for p in places if any(board.find(suite, p, language=x) for x in languages)]
    several = len({p.metric for p in shown}) > 1
    repeated = Counter(p.subset for p in shown)
    names = [
        name_subset(p.subset)
        + (f", {find_metric(p.metric).title}" if several and repeated[p.subset] > 1 else "")
        for p in shown
    ]
    keys = [*languages, ""]
    figures = [
        [write_cell(find_metric(p.metric), board.find(suite, p, language=x)) for p in shown]
        for x in keys
    ]
    titles = [name_title(x) if x else "All" for x in keys]
    if len(shown) <= MOST_COLUMNS:
        columns = ["Language", *names]
        rows = [
            Row(title=t, figures=row, is_total=not x)
            for x, t, row in zip(keys, titles, figures, strict=True)
        ]
    else:
        columns = ["Part", *titles]
        rows = [
            Row(
                title=name,
                figures=[row[i] for row in figures],
                is_total=board.is_group(suite, place),
            )
            for i, (name, place) in enumerate(zip(names, shown, strict=True))
        ]
    baseline = name_system(find_baseline(board.systems(suite))).lower()
    note = (
        f"Large: the model. Small: its distance from the {baseline} and that answer’s figure, the "
        "untrained model’s, and the number of questions scored. The tint follows the distance."
    )
    return [
        Heading(text="By language"),
        Table(
            title=f"{name_title(suite)} by language",
            columns=columns,
            rows=rows,
            note=note,
            css="scores",
        ),
    ]


def make_facets(board: Board, suite: str, places: Sequence[Place]) -> list[Part]:
    """For each facet a panel a subset, and the same as shut tables with intervals."""
    panels: dict[str, list[str]] = {}
    tables: dict[str, list[Part]] = {}
    systems = board.systems(suite)
    for place in places:
        metric = find_metric(place.metric)
        for name, values in board.facets(suite, place).items():
            found = [(value, board.find(suite, place, facet=f"{name}={value}")) for value in values]
            known = [
                (name_title(v), cells)
                for v, cells in found[:MOST_ROWS]
                if read_value(cells, MODEL) is not None
            ]
            sign = 1 if metric.is_lower_better else -1
            known.sort(key=lambda row: sign * (read_value(row[1], MODEL) or 0))
            title = name_subset(place.subset)
            # the classes of one property are a table alone: confusion matrices draw them better
            if metric.top and known and name not in LABELS:
                svg = draw_score_rows(
                    known, metric=metric, label=f"{metric.title} by {name}, {title}"
                )
                rest = len(values) - len(known)
                more = (
                    f'<p class="note">and {rest} smaller ones, in the table below</p>'
                    if rest
                    else ""
                )
                panels.setdefault(name, []).append(
                    f"<figure><figcaption>{escape_text(title)}</figcaption>{wrap_chart(svg)}{more}</figure>"
                )
            rows = [write_row(name_title(v), metric, cells, systems) for v, cells in found]
            tables.setdefault(name, []).append(
                Table(
                    title=f"By {name_title(name).lower()}: {title}",
                    columns=make_columns(name_title(name), systems),
                    rows=rows,
                    is_open=False,
                )
            )
    parts: list[Part] = []
    marks = [("model", MODEL), *(("tick", s) for s in BASELINES), ("ring", UNTRAINED)]
    legend = make_legend([(css, name_system(s)) for css, s in marks if s in systems])
    for name, made in sorted(tables.items(), key=lambda table: table[0] in LABELS):
        if name in panels:
            parts += [
                Heading(text=f"By {name_title(name).lower()}"),
                Drawing(html=f'{legend}<div class="grid wide">{"".join(panels[name])}</div>'),
            ]
        parts += made
    return parts


def make_set_aside(entry: dict) -> list[Part]:
    """What was not asked, and why, by reason; one id of each reason to look at."""
    found = [s for s in entry.get("set_aside", []) if isinstance(s, dict)]
    if not found:
        return []
    reasons = Counter((str(s.get("subset", "")), shorten_reason(s)) for s in found)
    examples = {
        (str(s.get("subset", "")), shorten_reason(s)): str(s.get("id", "")) for s in reversed(found)
    }
    rows = [
        Row(title=reason, figures=[name_subset(subset), examples[subset, reason], format_count(n)])
        for (subset, reason), n in reasons.most_common()
    ]
    total = entry.get("counts", {}).get("set_aside", len(found))
    note = "" if total <= len(found) else f"These are the first {len(found):,} of {total:,}."
    return [
        Table(
            title="Skipped, by reason",
            columns=["Reason", "Part", "Such as", "Items"],
            rows=rows,
            note=note,
            is_open=False,
        )
    ]


def shorten_reason(entry: dict) -> str:
    """The reason without the item's own name, so that equal reasons are counted together."""
    return str(entry.get("reason", "")).replace(str(entry.get("id", "")) or "\0", "…")
