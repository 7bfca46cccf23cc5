"""Evaluation sets on a run's way: asked of the parameters as they are, every so many steps and at
the end.

    EvaluationSets ─ open, before the first step ─► items, prompts with their audio, read once
    a step whose turn it is ─► TextGenerator over the run's mesh ─► run/evaluations/<set>/<step>.jsonl
                                       ├ offline scores ─► eval/<set>/<subset>/<metric>, …_n, eval/seconds
                                       └ a few items of each subset ─► eval/<set>/<subset>/1/text: what was answered
                                                                       at each step, beside the reference

All processes of a run answer the same batches together. Nothing is drawn from the run's keys and
nothing is kept of its parameters, so that it trains as it would alone. What follows a checkpoint is
asked again by a run that resumes from there, as its steps are taken again.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from jax.sharding import Mesh

from sift_jax.decoding.generate import Prompt
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.decoding.text_answers import TextGenerator, make_prompt
from sift_jax.evaluation.model_inputs import ClipReader, Question, make_questions
from sift_jax.evaluation.predict import plan_questions
from sift_jax.evaluation.scores.aggregate import make_cells
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.evaluation.scores.metrics import judge_texts
from sift_jax.evaluation.scores.offline_judge import OfflineJudge
from sift_jax.evaluation.scores.schema import (
    MODEL,
    Cell,
    EvaluationError,
    Item,
    Prediction,
    SetAside,
    write_prediction,
)
from sift_jax.evaluation.shown_answers import ShownAnswers
from sift_jax.evaluation.suites import SuiteConfig, read_checked_suites
from sift_jax.field_ranges import CheckedConfig, Count, OneOf, Seed, Whole
from sift_jax.models.speech_lm import Params, SpeechLMConfig
from sift_jax.parallel.distributed import check_same, is_first_process
from sift_jax.parallel.mesh import count_batch_shards
from sift_jax.pretrained import Model
from sift_jax.storage.whole_files import write_whole
from sift_jax.text.tokenizers import SpeechTokenizer
from sift_jax.training.evaluator import Evaluated
from sift_jax.training.logged_samples import Samples

# figures that the terminal names
SHOWN = 6
NO_INTERVALS = BootstrapConfig(samples=0, confidence=0.95, seed=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationSets(CheckedConfig):
    """What a run is asked on its way. A suite's limit is what bounds the time that it takes."""

    suites: tuple[SuiteConfig, ...]
    decoding: DecodingConfig
    every: Count
    # answered at once; rounded up to what the mesh takes
    rows: Count
    # as EvaluationConfig has them
    most_clips: Whole
    long_audio: Annotated[str, OneOf("set_aside", "cut")]
    seed: Seed

    def __post_init__(self) -> None:
        super().__post_init__()
        for suite in self.suites:
            if isinstance(suite, SuiteConfig) and isinstance(suite.limit, int) and suite.limit < 1:
                raise EvaluationError(
                    f"the evaluation set {suite.name} has no limit; set SuiteConfig.limit to a few"
                )

    def open(
        self, config: SpeechLMConfig, tokenizer: SpeechTokenizer, mesh: Mesh, run_dir: Path
    ) -> AskedSets:
        return AskedSets(self, config, tokenizer, mesh, run_dir)


class AskedSets:
    """The sets of a run that has begun. Calling it answers, scores and writes."""

    def __init__(
        self,
        sets: EvaluationSets,
        config: SpeechLMConfig,
        tokenizer: SpeechTokenizer,
        mesh: Mesh,
        run_dir: Path,
    ):
        self._sets, self._mesh, self._folder = sets, mesh, run_dir / "evaluations"
        # questions and prompts need a model's shape and words, not its parameters
        self._model = Model(config=config, params={}, tokenizer=tokenizer, step=None)
        self._items = [item for suite in read_checked_suites(sets.suites) for item in suite.items]
        reader = ClipReader(config.longest_seconds, sets.long_audio)
        questions, aside = make_questions(
            self._model,
            self._items,
            reader,
            most_clips=sets.most_clips,
            max_new_tokens=sets.decoding.max_new_tokens,
        )
        _check_asked(self._items, questions, aside)
        # what is skipped has no answer, and counts as such: it is of all items, not among the
        # scored
        check_same(
            "what its evaluation sets ask",
            json.dumps([(question.item.id, question.length) for question in questions]),
            "give all processes the same suites",
        )
        shards = count_batch_shards(mesh)
        self._rows = -(-sets.rows // shards) * shards
        self._batches = [
            [
                (
                    batch,
                    [
                        make_prompt(self._model, list(question.messages), reader)
                        for question in batch
                    ],
                )
                for batch in window
            ]
            for window in plan_questions(questions, self._rows)
        ]
        asked = {question.item.id: question.audio for question in questions}
        self._shown = ShownAnswers(self._folder, self._items, asked, reader)

    def __call__(self, step: int, params: Params, is_last: bool) -> Evaluated | None:
        if step % self._sets.every and not is_last:
            return None
        started = time.perf_counter()
        predictions = list(self._answer(params))
        if is_first_process():
            self._write(step, predictions)
        figures = list(self._score(predictions))
        seconds = time.perf_counter() - started
        values = {"eval/seconds": seconds}
        for cell in figures:
            if cell.value is not None:
                values |= {name_figure(cell): cell.value, f"{name_figure(cell)}_n": float(cell.n)}
        samples = self._shown.describe(step) if is_first_process() else Samples()
        return Evaluated(figures=values, line=format_figures(figures, seconds), samples=samples)

    def _answer(self, params: Params) -> Iterator[Prediction]:
        """A generator for these parameters alone; what it runs was compiled for the first ones."""
        generator = TextGenerator(
            dataclasses.replace(self._model, params=params), rows=self._rows, mesh=self._mesh
        )
        for window in self._batches:
            generator.hear([prompt for _, prompts in window for prompt in prompts])
            for batch, prompts in window:
                yield from self._answer_batch(generator, batch, prompts)

    def _answer_batch(
        self, generator: TextGenerator, batch: Sequence[Question], prompts: Sequence[Prompt]
    ) -> Iterator[Prediction]:
        draws = [question.draw for question in batch]
        texts = generator.answer_batch(
            prompts, self._sets.decoding, seed=self._sets.seed, draws=draws
        )
        for question, text in zip(batch, texts, strict=True):
            yield Prediction(item=question.item, answer=text)

    def _write(self, step: int, predictions: Sequence[Prediction]) -> None:
        """The answers in the order of the items, a file for each set."""
        answers = {prediction.item.id: prediction for prediction in predictions}
        for config in self._sets.suites:
            own = [
                answers[item.id]
                for item in self._items
                if item.suite == config.name and item.id in answers
            ]
            path = self._folder / config.name / f"{step}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, "".join(map(write_prediction, own)))

    def _score(self, predictions: Sequence[Prediction]) -> Iterator[Cell]:
        """The figures over all languages and facets."""
        verdicts = [*judge_texts(predictions), *OfflineJudge().judge(predictions)]
        for config in self._sets.suites:
            own = [item for item in self._items if item.suite == config.name]
            for cell in make_cells(
                own, predictions, verdicts, system=MODEL, bootstrap=NO_INTERVALS
            ):
                if not cell.language and not cell.facet and cell.value is not None:
                    yield cell


def _check_asked(
    items: Sequence[Item], questions: Sequence[Question], aside: Sequence[SetAside]
) -> None:
    """Each set asks something."""
    asked, reasons = (
        {question.item.suite for question in questions},
        {one.id: one.reason for one in aside},
    )
    for item in items:
        if item.suite not in asked:
            raise EvaluationError(
                f"{item.suite}: the model can be asked nothing; {item.id}: {reasons[item.id]}"
            )


def name_figure(cell: Cell) -> str:
    return "/".join(part for part in ("eval", cell.suite, cell.subset, cell.metric) if part)


def format_figures(cells: Sequence[Cell], seconds: float) -> str:
    """A line for the terminal: the coarsest figures first."""
    chosen = sorted(cells, key=lambda cell: cell.subset.count("/") + bool(cell.subset))[:SHOWN]
    said = [
        f"{name_figure(cell).removeprefix('eval/')} {cell.value:.3g} (n {cell.n})"
        for cell in chosen
    ]
    more = f" and {len(cells) - len(chosen)} more" if len(cells) > len(chosen) else ""
    return f"evaluated in {seconds:.1f} s: {', '.join(said)}{more}"
