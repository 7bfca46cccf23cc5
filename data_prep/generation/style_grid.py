"""The generation page: a sentence in every class of rate, volume, pitch and intonation, to listen
to and to look at.

    spoken.jsonl of `items --sweep`, *.wav ─ measure, bins ─►  page.html: for each class asked a player, the class that
                                                               was measured, the curves of F0 and energy
"""

import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
import soundfile

from data_prep.engine.beam_engine import Engine
from data_prep.generation.classify import find_labels, read_build_bins
from data_prep.generation.measure_speech import Hearing, measure_folder
from data_prep.generation.page import read_css
from data_prep.generation.pitch_curves import draw_recording, draw_staircase
from data_prep.generation.report import TITLES
from data_prep.generation.score import find_phonemes
from data_prep.generation.spoken_folder import Spoken, read_spoken
from data_prep.metadata.bins import Bins
from data_prep.metadata.pitch import HIGHEST_HZ, LOWEST_HZ, track_pitch
from sift_jax.audio.files import AudioError, read_audio
from sift_jax.pages.document import Document, Drawing, Section, say
from sift_jax.pages.markup import escape_text
from sift_jax.pages.players import Players
from sift_jax.sift.labels import LABELS, LANGUAGE_NAMES, space_signs
from sift_jax.storage.whole_files import write_whole

UNITS = {
    "speaking_rate": "phones/s",
    "average_intensity": "dBFS",
    "pitch_variation": "semitones",
    "average_pitch": "Hz",
    "gender": "Hz",
}
# in the order of the page
_SWEPT = ("speaking_rate", "average_intensity", "average_pitch", "gender", "pitch_variation")
_RATE = 16_000
# of base64 text
_BUDGET = 12_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Take:
    """One recording of the sweep, measured."""

    line: Spoken
    key: str
    asked: int
    value: float | None
    label: str | None
    reason: str | None
    # None where the file cannot be read
    wave: np.ndarray | None


def write_page(spoken: Path, build: Path, out: Path, hearing: Hearing, engine: Engine) -> str:
    """Writes the page; returns what the terminal shows."""
    lines = [line for line in read_spoken(spoken) if line.request.swept]
    if not lines:
        raise ValueError(
            f"{spoken}: nothing of a sweep is spoken there; have a model speak the items of "
            "`python -m data_prep.generation items --sweep`"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = measure_folder(
        spoken, lines, find_phonemes(build, lines), hearing, out.parent, "swept", engine
    )
    bins = read_build_bins(build)
    takes = [_make_take(spoken, line, row, bins) for line, row in zip(lines, rows, strict=True)]
    texts = list(dict.fromkeys((line.request.language, line.request.text) for line in lines))
    players = Players(_BUDGET)
    sections = [
        _make_sentence(
            language,
            text,
            [
                take
                for take in takes
                if take.line.request.text == text and take.line.request.language == language
            ],
            bins,
            players,
        )
        for language, text in texts
    ]
    title = "One sentence, spoken in every way"
    runs = len({line.sample for line in lines})
    lead = (
        "What was asked for stands above each recording, what the corpus’s experts measured on it "
        "below. The line is the pitch, the area the loudness, over one axis of time: slow speech "
        "is long."
        + (
            f" The first of {runs} runs is to be heard; the charts have all of them."
            if runs > 1
            else ""
        )
    )
    page = Document(
        title=title,
        intro=lead,
        top=[],
        sections=sections,
        footer="A class is one of the corpus’s own, by the same experts and bins.",
        style=read_css(),
    )
    write_whole(out, page.write_html())
    hits = sum(take.label == LABELS[take.key][take.asked] for take in takes)
    return (
        f"{out}: {len(texts)} sentences, {len(takes)} recordings, {hits} of them in the class "
        "asked for"
    )


def _encode(wave: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.clip(wave, -1.0, 1.0), _RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _make_take(folder: Path, line: Spoken, row: Mapping[str, Any], bins: Bins) -> Take:
    key = line.request.swept
    if key is None:
        raise ValueError(f"{folder / line.audio}: its item {line.request.id} is of no sweep")
    labels, reasons = find_labels(row, bins, line.request.asked.get("gender"))
    try:
        wave = read_audio(folder / line.audio)
    except AudioError:
        wave = None
    # what tells women from men on a page is the pitch
    value = row["values"].get("average_pitch" if key == "gender" else key)
    return Take(
        line=line,
        key=key,
        asked=LABELS[key].index(line.request.asked[key]),
        value=value,
        label=labels.get(key),
        reason=reasons.get(key),
        wave=wave,
    )


def _make_sentence(
    language: str, text: str, takes: Sequence[Take], bins: Bins, players: Players
) -> Section:
    first = min(take.line.sample for take in takes)
    tracks = [track_pitch(take.wave) for take in takes if take.wave is not None]
    voiced = (
        np.concatenate([track[np.isfinite(track)] for track in tracks]) if tracks else np.zeros(0)
    )
    low, high = (voiced.min() / 1.1, voiced.max() * 1.1) if len(voiced) else (LOWEST_HZ, HIGHEST_HZ)
    seconds = max((len(take.wave) / _RATE for take in takes if take.wave is not None), default=1.0)
    parts = []
    for key in _SWEPT:
        of_key = sorted(
            (take for take in takes if take.key == key),
            key=lambda take: (take.asked, take.line.sample),
        )
        if not of_key:
            continue
        shown = [take for take in of_key if take.line.sample == first]
        cards = "".join(_make_card(take, seconds, low, high, players) for take in shown)
        parts.append(
            f'<h3>{TITLES[key][:1].upper()}{TITLES[key][1:]}</h3><div class="swept">'
            f'{_make_chart(key, of_key, bins)}<div class="takes">{cards}</div></div>'
        )
    return Section(
        anchor=f"{language}-{text}",
        title=f"“{text}”",
        lead=LANGUAGE_NAMES[language],
        parts=[Drawing(html="".join(parts))],
    )


def _make_chart(key: str, takes: Sequence[Take], bins: Bins) -> str:
    hits = sum(take.label == LABELS[key][take.asked] for take in takes)
    said = f"{hits} of {len(takes)} in the class asked for"
    # its classes are no bands of one value
    if key == "gender":
        return f'<p class="lead">{said}</p>'
    points = [(take.asked, take.value) for take in takes if take.value is not None]
    gender = takes[0].line.request.asked.get("gender", "")
    edges = bins.get(key, {}).get("all" if "all" in bins.get(key, {}) else gender, {}).get("edges")
    if not points or edges is None:
        return say("Nothing of it could be measured.")
    if len({asked for asked, _ in points}) > 1 and len({value for _, value in points}) > 1:
        rho = scipy.stats.spearmanr(
            [asked for asked, _ in points], [value for _, value in points]
        ).statistic
        said += f"; rank correlation of what was asked and what was measured {rho:.2f}"
    chart = draw_staircase(
        edges, points, names=LABELS[key], unit=UNITS[key], label=f"{TITLES[key]}: {said}"
    )
    return f'<figure class="chart">{chart}<figcaption>{escape_text(said)}</figcaption></figure>'


def _make_card(take: Take, seconds: float, low: float, high: float, players: Players) -> str:
    asked = LABELS[take.key][take.asked]
    if take.label is None:
        verdict = f'<span class="verdict miss">not measured: {escape_text(take.reason)}</span>'
    else:
        steps = LABELS[take.key].index(take.label) - take.asked
        mark = "✓" if not steps else f"{steps:+d}".replace("-", "−")
        verdict = f'<span class="verdict {"miss" if steps else "hit"}">{mark} {escape_text(take.label)}</span>'
    written = "" if take.value is None else f"{take.value:.3g} {UNITS[take.key]}".replace("-", "−")
    value = written and f'<span class="value">{written}</span>'
    if take.wave is None:
        sound = say("The recording is not here.")
    else:
        label = f"pitch and energy of the recording that was asked for {asked}"
        sound = draw_recording(
            take.wave, track_pitch(take.wave), seconds=seconds, low=low, high=high, label=label
        ) + players.embed("audio/flac", _encode(take.wave), name=asked, label=asked)
    request = take.line.request
    text = space_signs(request.text, request.language)
    wish = request.instruction.removesuffix(text).removesuffix(request.text).rstrip(" :")
    return (
        f'<article class="card take"><header><b>{escape_text(asked)}</b><span '
        f'lang="{escape_text(request.language)}">'
        f"{escape_text(wish)}</span></header>{sound}<p>{verdict}{value}</p></article>"
    )
