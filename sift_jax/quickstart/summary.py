"""What there is at the end: figures, questions that work, and one page that joins the others.

results.json, predictions ─► a summary on the terminal     runs/quickstart/index.html ─► the corpus, the evaluation,
                                                           how it speaks, and what was spoken
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from sift_jax.evaluation.report.page import describe_model, format_summary
from sift_jax.evaluation.report.read_results import Evaluation, read_evaluation
from sift_jax.evaluation.report.score_index import Board
from sift_jax.evaluation.report.summary_section import make_tiles
from sift_jax.evaluation.scores.schema import MODEL, Prediction
from sift_jax.pages.document import Document, Drawing, Note, Part, Section
from sift_jax.pages.markup import escape_text
from sift_jax.progress import format_seconds
from sift_jax.recipes.run import StepTime
from sift_jax.storage.whole_files import write_whole

# what the index joins: where it lies below the run's folder, what it is called, what it shows
PAGES = (
    ("data/report.html", "The corpus", "how much of what, with recordings and questions to hear"),
    ("report.html", "The evaluation", "scores beside two baselines, samples to hear, the curves"),
    ("generation/figures/report.html", "How it speaks", "what was asked of the voice, measured"),
    ("generation/page.html", "What it says", "one sentence in every style, to hear"),
)
MOST_QUESTIONS, MOST_ANSWER = 4, 120


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answered:
    """A question that the model answered right in the evaluation, with its one recording."""

    audio: str
    question: str
    answer: str

    def write_command(self, run: str) -> str:
        """As it is typed."""
        words = ["python", "-m", "sift_jax.ask", f"--checkpoint={run}/export"]
        return shlex.join([*words, f"--audio={self.audio}", self.question])


def finish(run: str, times: Mapping[str, StepTime]) -> str:
    """Writes the index; returns the summary for the terminal."""
    evaluation = read_evaluation(run)
    answered = find_answered(evaluation, run)
    page = write_whole(Path(run) / "index.html", make_index(run, evaluation, answered).write_html())
    seconds = sum(time.seconds for time in times.values())
    cpu = sum(time.cpu_seconds for time in times.values())
    tried = [
        line for each in answered for line in (f"  {each.write_command(run)}", f"    {each.answer}")
    ]
    return "\n".join(
        [
            "",
            f"finished in {format_seconds(seconds)}, {cpu / 60:.0f} CPU-minutes",
            "",
            format_summary(evaluation.results),
            *(["", "questions that it answered right, to try:", *tried] if tried else []),
            "",
            f"look, and listen: {page}",
        ]
    )


def find_answered(evaluation: Evaluation, run: str) -> list[Answered]:
    """Of each kind of closed question, one that was answered right; English ones first."""
    right = [
        prediction
        for prediction in evaluation.predictions.get(MODEL, ())
        if len(prediction.item.audio) == 1 and _is_right(evaluation, prediction)
    ]
    right.sort(key=lambda found: (found.item.language != "en", found.item.id))
    chosen: dict[tuple[str, str], Answered] = {}
    for prediction in right:
        item = prediction.item
        audio = _find_audio(item.audio[0], run)
        key = (item.subset, item.facets.get("kind", ""))
        if key not in chosen and audio:
            chosen[key] = Answered(
                audio=str(audio), question=item.question, answer=prediction.answer[:MOST_ANSWER]
            )
    return list(chosen.values())[:MOST_QUESTIONS]


def _is_right(evaluation: Evaluation, prediction: Prediction) -> bool:
    verdict = evaluation.find_verdict(prediction.item)
    return verdict is not None and verdict.score == 1


def _find_audio(name: str, run: str) -> Path | None:
    """A suite names a recording by its path or by its id."""
    folder = Path(run) / "data" / "audio"
    paths = [Path(name), folder / Path(name).name, folder / f"{Path(name).name}.flac"]
    return next((path for path in paths if path.is_file()), None)


def make_index(run: str, evaluation: Evaluation, answered: Sequence[Answered]) -> Document:
    """The page; it links to each of PAGES that is there."""
    links = "".join(
        f'<li><a href="{escape_text(path)}">{escape_text(title)}</a>: {escape_text(text)}</li>'
        for path, title, text in PAGES
        if Path(run, path).is_file()
    )
    asked: list[Part] = [
        Drawing(
            html=f"<p><code>{escape_text(each.write_command(run))}</code><br>"
            f"{escape_text(each.answer)}</p>"
        )
        for each in answered
    ]
    sections = [
        Section(
            anchor="questions",
            title="Questions to try",
            lead="The model answered these right in the evaluation.",
            parts=asked or [Note(text="None of one recording was answered right.")],
        )
    ]
    if Path(run, "speech.wav").is_file():
        player = '<audio controls preload="none" src="speech.wav" aria-label="Speech"></audio>'
        sections.append(
            Section(
                anchor="speech",
                title="It speaks",
                lead="“The train to the coast leaves at noon.”, very slowly, softly.",
                parts=[Drawing(html=player)],
            )
        )
    return Document(
        title="Quickstart",
        intro="A small model, trained from nothing on synthetic voices of five languages.",
        top=[
            Drawing(html=f"<ul>{links}</ul>"),
            make_tiles(Board(evaluation.cells), evaluation.results, {}),
        ],
        sections=sections,
        footer=describe_model(evaluation.results),
    )
