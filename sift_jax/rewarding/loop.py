"""The run of rewards, from configs to the last checkpoint.

    prompts ─► rollouts ─► rewards ─► advantages ─► log p, log q ─► updates, several ─► log, page, checkpoint
      rows      g each       by part     by group       once

It claims its folder, opens its data, resumes and saves as the train run does, whose pieces it uses:
a step is a batch of prompts, and the place in the data is that of the next prompt.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from sift_jax.batch import Batch
from sift_jax.checkpoints.config_history import write_config
from sift_jax.checkpoints.refused_start import undo_refused_start
from sift_jax.checkpoints.run_lock import hold_run
from sift_jax.checkpoints.train_state import State
from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.data_config import DataConfig
from sift_jax.launch import NO_FLAGS, Launch
from sift_jax.models.presets import ModelConfig
from sift_jax.parallel.hardware import HardwareConfig
from sift_jax.parallel.mesh import MeshConfig, put_batch
from sift_jax.rewarding.advantages import Advantages, normalise_groups
from sift_jax.rewarding.config import GrpoConfig, RewardConfig
from sift_jax.rewarding.page import make_rollout_page
from sift_jax.rewarding.policy_loss import (
    Scorer,
    check_policy,
    make_policy_objective,
    make_scorer,
)
from sift_jax.rewarding.prompts import Asked, PromptStream
from sift_jax.rewarding.rewards import RewardBook, Rollout
from sift_jax.rewarding.rollout_log import RolloutLog, StepRollouts, measure_rollouts
from sift_jax.rewarding.rollouts import Answer, draw_rollouts, lay_out_rollouts
from sift_jax.storage.whole_files import write_whole
from sift_jax.training.dry_run import format_dry_run
from sift_jax.training.hooks import Put, describe_terms
from sift_jax.training.job import JobConfigs, TrainingJob, describe_job
from sift_jax.training.loop import OpenRun, open_run, open_writer, resume_or_start
from sift_jax.training.metrics import MetricWriter
from sift_jax.training.optimizer import OptimizerConfig
from sift_jax.training.preemption import Stopped, StopRequest
from sift_jax.training.run_config import RunConfig
from sift_jax.training.vocabulary_rows import fetch_tokenizer
from sift_jax.weights.load import Sources

# prompts in a row that leave no room for their rollouts before the run gives up
_MOST_PASSED_OVER = 1000
# batches and groups of the next one that were read
Place = tuple[int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RewardJob:
    """A run of rewards as it is described."""

    training: TrainingJob
    grpo: GrpoConfig
    rewards: RewardConfig
    book: RewardBook


def reinforce(
    *,
    run: RunConfig,
    model: ModelConfig,
    data: DataConfig,
    optimizer: OptimizerConfig,
    mesh: MeshConfig,
    hardware: HardwareConfig,
    sources: Sources,
    grpo: GrpoConfig,
    rewards: RewardConfig,
    launch: Launch = NO_FLAGS,
) -> Path:
    """Trains LoRA by rewards to `run.steps`, resuming where the folder's last checkpoint stands;
    returns the folder."""
    if not launch.dry_run:
        fetch_tokenizer(data)
    configs = JobConfigs(
        run=run,
        model=model,
        data=data,
        optimizer=optimizer,
        mesh=mesh,
        hardware=hardware,
        sources=sources,
    )
    training = describe_job(
        configs,
        make_objective=lambda config: make_policy_objective(config, grpo),
        updates=grpo.updates,
    )
    book = RewardBook(rewards.parts, launch.modules, seconds=rewards.seconds)
    job = RewardJob(training=training, grpo=grpo, rewards=rewards, book=book)
    _check_job(job)
    if launch.topology or launch.profile:
        raise ValueError("--topology and --profile are for sift_jax.train; leave them out here")
    if run.regularization is not None:
        raise ValueError(
            "RunConfig.regularization hides parts of what is heard, and a ratio of probabilities "
            "would not be 1 at the rollout; set it to None"
        )
    if launch.dry_run:
        print(
            format_dry_run(
                training.train_step,
                training.abstract_state,
                training.shapes,
                training.mesh,
                hardware,
            )
        )
        return training.out_dir
    was_there = training.out_dir.exists()
    training.out_dir.mkdir(parents=True, exist_ok=True)
    with (
        hold_run(training.out_dir),
        undo_refused_start(training.out_dir, was_there=was_there),
    ):
        _reinforce_in_folder(job, sources, launch)
    return training.out_dir


def _check_job(job: RewardJob) -> None:
    """What does not fit together is told before anything is read."""
    data, grpo, model = job.training.data, job.grpo, job.training.model
    check_policy(job.training.abstract_state["trainable"])
    if jax.process_count() > 1:
        raise ValueError("a run of rewards is one process; start it on one machine, on its devices")
    if model.cross is not None:
        raise ValueError(
            "a model with cross-attention has no rollouts in groups; set ModelConfig.fusion = "
            "'splice'"
        )
    if data.questions_per_record != 1:
        raise ValueError(
            f"DataConfig.questions_per_record is {data.questions_per_record}, and a prompt is one "
            "question; set QUESTIONS = 1"
        )
    if (need := grpo.rollouts * grpo.max_new_tokens) > data.targets:
        raise ValueError(
            f"{grpo.rollouts} rollouts of {grpo.max_new_tokens} tokens are {need} targets of a row, "
            f"and DataConfig.targets is {data.targets}; raise TARGETS, or lower ROLLOUTS or "
            "MAX_NEW_TOKENS"
        )
    if _find_longest(job) < 1:
        raise ValueError(
            f"{grpo.rollouts} rollouts of {grpo.max_new_tokens} tokens leave no room for a prompt "
            f"in rows of {data.tokens} positions; raise POSITIONS"
        )


def _find_longest(job: RewardJob) -> int:
    """Positions of a prompt behind which all of its rollouts find room."""
    # each has the prompt's last token before it, which is then no part of what they share
    answers = job.grpo.rollouts * (job.grpo.max_new_tokens + 1)
    return job.training.data.tokens - answers + 1


def _reinforce_in_folder(job: RewardJob, sources: Sources, launch: Launch) -> None:
    training = job.training
    run, out_dir = training.run, training.out_dir
    opened = open_run(training, launch)
    if opened is None:
        return
    checkpoints, stream = opened.checkpoints, opened.stream
    first_place = {"step": 0, "batches": 0, "groups": 0}
    state, place = resume_or_start(training, sources, opened, first_place=first_place)
    first_step = int(place["step"])
    if said := write_config(out_dir, launch.config_text, step=first_step):
        print(said)
    log = RolloutLog(out_dir, first_step=first_step, most_failed=job.rewards.most_failed)
    prompts = PromptStream(stream, longest=_find_longest(job))
    writer = open_writer(training, first_step, launch)
    with contextlib.closing(writer), checkpoints.finishing(), StopRequest() as stop:
        reader = prompts.read(int(place["batches"]), int(place["groups"]))
        stopped_at = _run_steps(
            job, opened, state, (first_step, reader), prompts, log, writer, stop
        )
        checkpoints.close()
    if stopped_at is not None:
        raise Stopped(
            f"stopped as asked: step {stopped_at} of {run.steps} is saved, and the same command "
            "resumes from there"
        )


def _run_steps(
    job: RewardJob,
    opened: OpenRun,
    state: State,
    start: tuple[int, Iterator[tuple[Asked, Place]]],
    prompts: PromptStream,
    log: RolloutLog,
    writer: MetricWriter,
    stop: StopRequest,
) -> int | None:
    """The step at which it was asked to stop, or None."""
    training, grpo, run = job.training, job.grpo, job.training.run
    stream, checkpoints = opened.stream, opened.checkpoints
    score = make_scorer(training.model, grpo, training.mesh)
    put = functools.partial(put_batch, mesh=training.mesh, rows=training.data.rows)
    first_step, reader = start
    for step in range(first_step + 1, run.steps + 1):
        began = time.perf_counter()
        asked, place = _take_prompts(reader, training.data.rows, prompts)
        answers = draw_rollouts(
            training.model,
            state,
            asked,
            grpo,
            training.mesh,
            stop_ids=stream.tokenizer.stop_ids,
            seed=run.seed,
            step=step,
        )
        drawn = time.perf_counter()
        found = _judge(job, stream, step, asked, answers)
        judged = time.perf_counter()
        batch = lay_out_rollouts(
            asked, answers, found.advantages, training.shapes[-1], training.model
        )
        state, figures = _update(job, state, put, batch, score)
        lines = found.list_lines()
        figures |= measure_rollouts(lines, found)
        tokens = sum(line["tokens"] for line in lines)
        figures |= {
            "rollout_tokens_per_second": tokens / (drawn - began),
            "step_tokens_per_second": tokens / (time.perf_counter() - began),
            "reward_seconds": judged - drawn,
        }
        figures |= {f"passed_over/{name}": n for name, n in sorted(prompts.passed_over.items())}
        log.add(lines)
        writer.advance()
        is_stopped = step < run.steps and stop.is_reached(step)
        is_last = step == run.steps or is_stopped
        if step % run.log_every == 0 or is_last:
            writer.write(step, figures)
        if step % job.rewards.page_every == 0 or is_last:
            _write_page(job, found, figures)
        saved = {"step": step, "batches": place[0], "groups": place[1]}
        saved_place = {**saved, "plan": stream.plan.fingerprint}
        checkpoints.save(step, state, saved_place, force=is_last)
        if is_stopped:
            return step
    return None


def _take_prompts(
    reader: Iterator[tuple[Asked, Place]], rows: int, prompts: PromptStream
) -> tuple[list[Asked], Place]:
    """The next prompts, one a row, and the place behind them."""
    before = sum(prompts.passed_over.values())
    # the plan has no end
    found = list(itertools.islice(reader, rows))
    asked, place = [one for one, _ in found], found[-1][1]
    passed = sum(prompts.passed_over.values()) - before
    if passed > _MOST_PASSED_OVER:
        raise ValueError(
            f"{passed} prompts were passed over for {rows} that leave room for their rollouts; "
            "raise POSITIONS, or lower ROLLOUTS or MAX_NEW_TOKENS"
        )
    return asked, place


def _judge(
    job: RewardJob,
    stream: BatchStream,
    step: int,
    asked: list[Asked],
    answers: list[list[Answer]],
) -> StepRollouts:
    rollouts = [
        [
            Rollout(
                item=one.item,
                task=one.task,
                language=one.language,
                prompt=one.text,
                answer=stream.tokenizer.decode(answer.ids[: answer.tokens]).strip(),
                reference=one.reference,
                tokens=answer.tokens,
                is_whole=answer.is_whole,
            )
            for answer in found
        ]
        for one, found in zip(asked, answers, strict=True)
    ]
    judged = [job.book.judge(group) for group in rollouts]
    totals = np.array([[one.total for one in group] for group in judged])
    advantages: Advantages = normalise_groups(totals, np.ones(len(asked), bool))
    return StepRollouts(
        step=step,
        asked=asked,
        answers=answers,
        rollouts=rollouts,
        judged=judged,
        advantages=advantages,
    )


def _update(
    job: RewardJob, state: State, put: Put, batch: Batch, score: Scorer
) -> tuple[State, dict[str, float]]:
    """The state after all updates on these rollouts, and the figures of the last."""
    placed = put(batch)
    old, reference = score(state, placed)
    placed |= {"old_bm": old, "reference_bm": reference}
    metrics: dict = {}
    for _ in range(job.grpo.updates):
        state, metrics = job.training.train_step(state, placed)
        if (in_a_row := int(metrics["skipped_in_a_row"])) >= job.training.run.most_skipped_in_a_row:
            raise FloatingPointError(
                f"{in_a_row} updates in a row were skipped (loss {float(metrics['loss'])}, gradient "
                f"norm {float(metrics['grad_norm'])}); lower PEAK_LR, or look at rollouts.jsonl"
            )
    figures = {name: float(metrics[name]) for name in ("loss", "grad_norm", "skipped")}
    return state, figures | describe_terms(metrics["terms"])


def _write_page(job: RewardJob, found: StepRollouts, figures: dict[str, float]) -> None:
    out_dir = job.training.out_dir
    page = make_rollout_page(found, figures, run=out_dir.name, groups=job.rewards.page_groups)
    (out_dir / "rollouts").mkdir(exist_ok=True)
    write_whole(out_dir / "rollouts" / f"step{found.step}.html", page.write_html())
