"""Curves of the page, plain SVG: how a recording's pitch and energy go, and what was asked against
what came out.

draw_recording   ~∿_~   F0 on a log scale above, energy below; all recordings of a sentence on one time axis
draw_staircase   ▁▃▅█   a column a class asked for, a band a class of the corpus; who obeys climbs the steps
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from data_prep.metadata import intensity, pitch
from sift_jax.pages.markup import escape_text

_WIDTH, _PITCH, _ENERGY, _GAP = 280.0, 62.0, 26.0, 6.0
_GUIDES_HZ = (100, 200, 300)
_QUIETEST_DB, _LOUDEST_DB = -60.0, -5.0
# more points tell an eye nothing
_EVERY = 2
# height of a text
_LETTER = 13.0


def draw_recording(
    wave: np.ndarray, track: np.ndarray, *, seconds: float, low: float, high: float, label: str
) -> str:
    """F0 every 10 ms between two pitches in Hz, and the energy; `seconds` is the width of the
    picture."""

    def place(hz: float) -> float:
        return 4 + (_PITCH - 4) * (1 - math.log(hz / low) / math.log(high / low))

    step = _WIDTH / seconds
    body = []
    for guide in (hz for hz in _GUIDES_HZ if low < hz < high):
        body.append(
            f'<line x1="0" y1="{place(guide):.1f}" x2="{_WIDTH:g}" y2="{place(guide):.1f}" '
            'class="guide"/>'
        )
    for hz, y in _thin_out(
        [(hz, place(hz)) for hz in _GUIDES_HZ if low < hz < high and place(hz) > _LETTER]
    ):
        body.append(f'<text x="{_WIDTH - 2:g}" y="{y - 2:.1f}" text-anchor="end">{hz} Hz</text>')
    for first, values in _find_runs(track):
        points = " ".join(
            f"{((first + i) * pitch.STEP_SECONDS + pitch.FRAME_SECONDS / 2) * step:.1f},"
            f"{place(min(max(value, low), high)):.1f}"
            for i, value in enumerate(values)
        )
        body.append(f'<polyline points="{points}" class="pitch"/>')
    body.append(_draw_energy(wave, step))
    height = _PITCH + _GAP + _ENERGY
    return (
        f'<svg viewBox="0 0 {_WIDTH:g} {height:g}" class="recording" role="img" '
        f'aria-label="{escape_text(label)}">'
        f"{''.join(body)}</svg>"
    )


def _thin_out(marks: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """(value, y) of the marks whose texts do not stand on the one before."""
    kept: list[tuple[float, float]] = []
    for value, y in marks:
        if not kept or abs(kept[-1][1] - y) >= _LETTER:
            kept.append((value, y))
    return kept


def _find_runs(track: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Where each voiced stretch begins, and its values."""
    is_voiced = np.isfinite(track)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_voiced.astype(int), [0]])))
    return [(int(a), track[a:b]) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _draw_energy(wave: np.ndarray, step: float) -> str:
    db = 10 * np.log10(intensity.frame_power(wave))[::_EVERY]
    share = np.clip((db - _QUIETEST_DB) / (_LOUDEST_DB - _QUIETEST_DB), 0, 1)
    floor = _PITCH + _GAP + _ENERGY
    times = (np.arange(len(share)) * _EVERY + 1) * intensity.STEP_SECONDS * step
    top = " ".join(
        f"{x:.1f},{floor - _ENERGY * part:.1f}" for x, part in zip(times, share, strict=True)
    )
    return f'<polygon points="0,{floor:g} {top} {times[-1]:.1f},{floor:g}" class="energy"/>'


def draw_staircase(
    edges: Sequence[float],
    points: Sequence[tuple[int, float]],
    *,
    names: Sequence[str],
    unit: str,
    label: str,
) -> str:
    """`points` are (class asked, value measured); `edges` the inner ones of the classes `names`."""
    left, top, width, height = 52.0, 6.0, 400.0, 190.0
    spread = [*edges, *(value for _, value in points)]
    margin = 0.08 * (max(spread) - min(spread)) or 1.0
    low, high = min(spread) - margin, max(spread) + margin

    def place(value: float) -> float:
        return top + height * (1 - (value - low) / (high - low))

    column = width / len(names)
    body = []
    for number, (a, b) in enumerate(itertools.pairwise([low, *edges, high])):
        rect = f'<rect y="{place(b):.1f}" height="{place(a) - place(b):.1f}"'
        body.append(f'{rect} x="{left:g}" width="{width:g}" class="band{number % 2}"/>')
        body.append(
            f'{rect} x="{left + number * column:.1f}" width="{column:.1f}" class="goal">'
            f"<title>{escape_text(names[number])}</title></rect>"
        )
    for edge, y in _thin_out([(edge, place(edge)) for edge in edges]):
        body.append(f'<text x="{left - 6:g}" y="{y + 4:.1f}" text-anchor="end">{edge:.3g}</text>')
    for number in range(len(names)):
        body.append(
            f'<text x="{left + (number + 0.5) * column:.1f}" y="{top + height + 15:g}" '
            'text-anchor="middle">'
            f"{number + 1}</text>"
        )
    body.append(
        f'<text x="{left + width / 2:g}" y="{top + height + 30:g}" text-anchor="middle">class '
        "asked for, low "
        f"to high; boxes: where it is hit, in {escape_text(unit)}</text>"
    )
    for asked, value in points:
        found = int(np.searchsorted(edges, value, side="right"))
        css = "hit" if found == asked else "miss"
        body.append(
            f'<circle cx="{left + (asked + 0.5) * column:.1f}" cy="{place(value):.1f}" r="5" '
            f'class="{css}">'
            f"<title>asked {escape_text(names[asked])}, measured {value:.3g} {escape_text(unit)}: "
            f"{escape_text(names[found])}</title></circle>"
        )
    return (
        f'<svg viewBox="0 0 {left + width + 4:g} {top + height + 36:g}" class="staircase" '
        f'role="img" aria-label="{escape_text(label)}">{"".join(body)}</svg>'
    )
