"""What training on speech cost the decoder, as a section of the report.

results["forgetting"]: the decoder alone on the words, the model on the recordings ─► Section
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sift_jax.evaluation.report.number_format import (
    MISSING,
    find_metric,
    format_count,
    is_number,
    name_subset,
    name_title,
)
from sift_jax.pages.document import Row, Section, Table


def make_forgetting_section(found: Sequence[Mapping[str, Any]]) -> Section:
    rows = []
    for one in found:
        metric = find_metric(one["metric"])
        interval = (
            f"{metric.write_gap(one['low'], 0)} to {metric.write_gap(one['high'], 0)}"
            if is_number(one["low"]) and is_number(one["high"])
            else MISSING
        )
        part = name_subset(one["subset"]) if one["subset"] else "all parts"
        rows.append(
            Row(
                title=f"{name_title(one['suite'])}, {part}, {metric.title}",
                figures=[
                    metric.write(one["first"]),
                    metric.write(one["second"]),
                    metric.write_gap(one["second"], one["first"]),
                    interval,
                    format_count(one["n"]),
                ],
                is_total=not one["subset"],
            )
        )
    return Section(
        anchor="forgetting",
        title="The decoder alone",
        lead="The same questions asked of the decoder without its adapters, with each recording’s "
        "transcript where the model has the recording. What the model answers less well it has "
        "forgotten, or has misheard; in how it sounds a transcript has no part.",
        parts=[
            Table(
                title="Model minus decoder, on the questions that both were asked",
                columns=["", "decoder, transcript", "model, audio", "difference", "95 %", "n"],
                rows=rows,
            )
        ],
    )
