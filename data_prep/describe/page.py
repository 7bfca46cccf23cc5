"""report.html of a dataset: one file, to be opened in a browser; audio is inside it.

report.json, samples, rejected.jsonl ─► rows beside the paper's · by corpus and language · labels · durations
                                        · samples to listen to · what was skipped
"""

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from data_prep.corpora.splits import SPLITS, TRAIN
from data_prep.describe.html_charts import (
    STYLE_PATH,
    join_charts,
    make_bars,
    make_histogram,
    make_stacks,
    make_table,
)
from data_prep.describe.paper import PAPER_HOURS, PAPER_ROWS, share_rows
from data_prep.instructions.claims import describe_claims
from data_prep.pipeline.split_gaps import describe_shared, list_warnings
from data_prep.pipeline.statistics import BACKGROUNDS
from sift_jax.pages.document import Document, Drawing, Heading, Note, Part, Section, Table, say
from sift_jax.pages.markup import escape_text
from sift_jax.pages.players import BUDGET_BYTES, Players
from sift_jax.sift.rows import Row, name_utterance

_SHOWN_REJECTIONS = 50
_TYPES = {
    ".flac": "audio/flac",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".opus": "audio/ogg",
    ".ogg": "audio/ogg",
}


class Recordings:
    """Utterances as players inside the page; `find` gives the file of one."""

    def __init__(self, find: Any, budget: int = BUDGET_BYTES):
        self._find, self._players = find, Players(budget)

    def make_player(self, name: str) -> str:
        path = self._find(name)
        if path is None or not Path(path).is_file():
            return say(f"The recording {name} is not here.")
        kind = _TYPES.get(Path(path).suffix.lower(), "audio/flac")
        return self._players.embed(kind, Path(path).read_bytes(), name=name, label=name)


def make_page(
    name: str,
    report: Mapping[str, Any],
    samples: Mapping[tuple[str, str], Row],
    rejected: Path,
    recordings: Recordings,
) -> str:
    """`rejected` may be absent: then nothing was skipped."""
    total = sum(
        count for by in report["counts"].values() for rows in by.values() for count in rows.values()
    )
    hours = sum(found["hours"] for found in report.get("durations", {}).values())
    size = f"{total:,} rows" + (f" about {hours:,.2f} hours of speech" if hours else "")
    sections = [
        _make_rows(report["counts"]),
        _make_corpora(report),
        _make_labels(report),
        _make_durations(report),
        _make_samples(samples, recordings),
        _make_rejections(report, rejected),
    ]
    return Document(
        title=name,
        intro=(
            f"{size}; the released SIFT-50M has "
            f"{sum(rows[TRAIN] for rows in PAPER_ROWS.values()):,} training rows about "
            f"{PAPER_HOURS:,} hours."
        ),
        top=[],
        sections=[section for section in sections if section.parts],
        footer="README.md says how to load it; report.json has these figures for a program.",
        style=STYLE_PATH.read_text(encoding="utf-8"),
    ).write_html()


def _make_rows(counts: Mapping[str, Any]) -> Section:
    """Rows by category and split beside the paper's, and the shares of training rows on one
    scale."""
    splits = [split for split in SPLITS if split in counts]
    own = share_rows(
        {category: sum(rows.values()) for category, rows in counts.get(TRAIN, {}).items()}
    )
    theirs = share_rows({category: rows[TRAIN] for category, rows in PAPER_ROWS.items()})
    most = max(*own.values(), *theirs.values())
    total = sum(
        sum(rows.values())
        for category, rows in counts.get(TRAIN, {}).items()
        if category in PAPER_ROWS
    )
    rows = []
    for category in dict.fromkeys(
        [*PAPER_ROWS, *(category for by in counts.values() for category in by)]
    ):
        paper = PAPER_ROWS.get(category)
        cells: list[Any] = [category]
        for split in splits:
            cells += [
                sum(counts[split].get(category, {}).values()),
                paper[split] if paper else None,
            ]
        cells.append(round(theirs[category] * total) if paper else None)
        cells.append(make_bars(own[category], theirs[category], most) if paper else None)
        rows.append(cells)
    head = [
        "category",
        *(cell for split in splits for cell in (split, "SIFT-50M")),
        "train, scaled",
        "share of training rows",
    ]
    lead = (
        "Table 2 of the paper as it is, and its training rows scaled to the total here; the bars "
        "set the shares of the six categories side by side: here above, SIFT-50M below."
    )
    return Section(
        anchor="rows",
        title="Rows beside the paper’s",
        lead=lead,
        parts=[make_table("Rows by category", head, rows)],
    )


def _make_corpora(report: Mapping[str, Any]) -> Section:
    counts, sources = report["counts"], report["sources"]
    splits = [split for split in SPLITS if split in counts]
    names = sorted({source for by in sources.values() for rows in by.values() for source in rows})
    by_source = [
        [
            name,
            *(
                sum(rows.get(name, 0) for rows in sources.get(split, {}).values())
                for split in splits
            ),
        ]
        for name in names
    ]
    languages = list(
        dict.fromkeys(x for by in counts.values() for rows in by.values() for x in rows)
    )
    by_language = [
        [f"{split}, {category}", *(rows.get(language, 0) for language in languages)]
        for split in splits
        for category, rows in counts[split].items()
    ]
    spoken = [
        [
            split,
            len(report["speakers"][split]),
            report["sentences"][split],
            *(found.get(language, 0) for language in languages),
        ]
        for split, found in report.get("utterances", {}).items()
    ]
    parts: list[Part] = [
        make_table("Rows by corpus", ["corpus", *splits], by_source),
        make_table("Rows by language", ["split, category", *languages], by_language),
    ]
    if report.get("splits"):
        told = [*describe_shared(report["splits"]), *list_warnings(report["splits"])]
        parts += [Heading(text="Splits"), *(Note(text=line) for line in told)]
    if spoken:
        head = ["split", "speakers", "sentences", *languages]
        parts.append(make_table("Utterances by language", head, spoken))
    return Section(
        anchor="corpora",
        title="Corpora and languages",
        lead="A row counts for the corpus of its first recording.",
        parts=parts,
    )


def _make_labels(report: Mapping[str, Any]) -> Section:
    stacks = [
        make_stacks(key.replace("_", " "), by_language)
        for key, by_language in report.get("labels", {}).items()
    ]
    means = describe_claims(report["claims"]["kind"]) if report.get("claims") else ""
    lead = (
        "Share of the utterances in per cent, low to high; what a corpus does not tell is left "
        f"out. {means}"
    )
    tables = [_make_truths(report), _make_backgrounds(report), _make_doubts(report)]
    return Section(
        anchor="labels",
        title="Labels",
        lead=lead,
        parts=[join_charts(stacks), *filter(None, tables)] if stacks else [],
    )


def _make_truths(report: Mapping[str, Any]) -> Table | None:
    found = [
        [key.replace("_", " "), "–" if entry["rho"] is None else f"{entry['rho']:.3f}", entry["n"]]
        for key, entry in report.get("rank_correlation", {}).items()
    ]
    head = ["key", "Spearman’s ρ", "n"]
    return make_table("Measured against synthesized", head, found) if found else None


def _make_backgrounds(report: Mapping[str, Any]) -> Table | None:
    found = report.get("backgrounds") or {}
    languages = list(found)
    rows = [
        [text, *(found[language].get(kind, 0) for language in languages)]
        for kind, text in BACKGROUNDS.items()
        if any(found[language].get(kind) for language in languages)
    ]
    head = ["recordings with", *languages]
    return make_table("Where noise was heard", head, rows) if rows else None


def _make_doubts(report: Mapping[str, Any]) -> Table | None:
    found = report.get("in_doubt") or {}
    keys = sorted({key for counts in found.values() for key in counts})
    rows = [
        [key.replace("_", " "), *(counts.get(key, 0) for counts in found.values())] for key in keys
    ]
    title = "Recordings without a class, since two ways of measuring disagree"
    return make_table(title, ["key", *found], rows) if rows else None


def _make_durations(report: Mapping[str, Any]) -> Section:
    figures = [
        make_histogram(
            f"{language}, {found['hours']:,.2f} h",
            found["histogram"]["edges"],
            found["histogram"]["counts"],
            "s",
        )
        for language, found in report.get("durations", {}).items()
    ]
    return Section(
        anchor="durations",
        title="Durations",
        lead="Utterances by their length.",
        parts=[join_charts(figures)] if figures else [],
    )


def _make_samples(samples: Mapping[tuple[str, str], Row], recordings: Recordings) -> Section:
    cards = []
    # Languages change first, so that a budget that runs out leaves something of each category.
    for category, language in sorted(
        samples, key=lambda key: (_rank_language(samples, key), key[0])
    ):
        row, parts = samples[category, language], []
        for message in row["messages"]:
            for part in message["content"]:
                if "text" in part:
                    parts.append(
                        f'<p class="{message["role"]}" '
                        f'lang="{escape_text(language)}">{escape_text(part["text"])}</p>'
                    )
                else:
                    parts.append(recordings.make_player(name_utterance(part["audio_path"])))
        cards.append(
            (
                category,
                language,
                f'<article class="card"><header>{escape_text(category)} · {escape_text(language)} · '
                f"{escape_text(row['data_source'])}</header>{''.join(parts)}</article>",
            )
        )
    shown = "".join(card for _, _, card in sorted(cards, key=lambda card: card[:2]))
    return Section(
        anchor="samples",
        title="Samples",
        lead="A row of each category and language, drawn with a fixed seed.",
        parts=[
            Drawing(
                html=f'<div class="cards">{shown}</div>' if shown else say("There are no rows.")
            )
        ],
    )


def _rank_language(samples: Mapping[tuple[str, str], Row], key: tuple[str, str]) -> int:
    """How many languages of the category stand before this one, turned by the category's place."""
    languages = sorted(language for category, language in samples if category == key[0])
    turn = sorted({category for category, _ in samples}).index(key[0])
    return (languages.index(key[1]) - turn) % len(languages)


def _make_rejections(report: Mapping[str, Any], rejected: Path) -> Section:
    accounts = report.get("accounts") or {}
    rows = [
        [
            stage,
            account["unit"],
            account["in"],
            account["out"],
            sum(account["rejected"].values()),
            ", ".join(f"{reason} {count:,}" for reason, count in account["rejected"].items())
            or "–",
        ]
        for stage, account in accounts.items()
    ]
    head = ["stage", "of", "in", "out", "skipped", "for"]
    parts: list[Part] = (
        [make_table("By stage", head, rows, texts=frozenset({1, 5}))] if rows else []
    )
    found = _read_head(rejected)
    if found:
        head = ["stage", "reason", "detail", "id", "place"]
        parts.append(
            make_table(f"The first {len(found)}", head, found, texts=frozenset({1, 2, 3, 4}))
        )
    return Section(
        anchor="skipped",
        title="What was skipped",
        lead=(
            "What goes into a stage comes out of it or is skipped with its reason; all of it is "
            "in rejected.jsonl."
        ),
        parts=parts or [Drawing(html=say("Nothing was skipped."))],
    )


def _read_head(rejected: Path) -> list[Sequence[Any]]:
    if not rejected.is_file():
        return []
    with rejected.open(encoding="utf-8") as lines:
        items = [json.loads(line) for line in islice(lines, _SHOWN_REJECTIONS)]
    return [
        [
            item.get("stage", "–"),
            item.get("reason"),
            item.get("detail"),
            item.get("id"),
            f"{item['file']}:{item.get('line')}" if item.get("file") else None,
        ]
        for item in items
    ]
