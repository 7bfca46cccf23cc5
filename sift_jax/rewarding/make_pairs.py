"""Preference pairs of what a model itself answers: several answers a question, scored, and of them the
best and the worst.

    questions ─► answers ─► rewards, judge ─► the best and the worst, if far enough apart ─► pairs/train.jsonl
      rows        each                          else why not, counted

Questions are those of a mixture, each once, in the order in which training would draw them.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax

from sift_jax.checkpoints.checksums import digest_leaves
from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.data_config import DataConfig
from sift_jax.data.records.pair_files import MARK
from sift_jax.data.records.record_reader import RecordAudio
from sift_jax.data.tasks.mixture_table import TASKS
from sift_jax.evaluation.judges.config import JudgeConfig
from sift_jax.evaluation.judges.verdicts import make_judge
from sift_jax.launch import NO_FLAGS, Launch
from sift_jax.parallel.mesh import MeshConfig, check_rows, make_mesh
from sift_jax.pretrained import Model
from sift_jax.progress import track
from sift_jax.rewarding.config import PairsConfig
from sift_jax.rewarding.judged_answers import JUDGE, Scorer, find_judged_metric
from sift_jax.rewarding.pair_choice import choose_pair
from sift_jax.rewarding.pair_log import PairLog
from sift_jax.rewarding.prompts import Asked, PromptStream
from sift_jax.rewarding.rewards import Judged, Rollout
from sift_jax.rewarding.rollouts import Answer, RolloutDrawer
from sift_jax.text.chat import Message, render_chat
from sift_jax.training.job import make_geometry
from sift_jax.weights.load import check_vocabulary

NO_TEXT_FORM = "several turns or windows"
# a question with its messages, and the place in the plan behind it
Taken = tuple[Asked, list[Message], tuple[int, int]]


def make_pairs(
    *,
    run: PairsConfig,
    data: DataConfig,
    mesh: MeshConfig,
    judge: JudgeConfig,
    launch: Launch = NO_FLAGS,
) -> Path:
    """Answers, scores and pairs of so many questions, going on where a killed call was; returns the
    folder."""
    devices, out = make_mesh(mesh), Path(run.out_dir)
    check_rows(data.rows, devices)
    if jax.process_count() > 1:
        raise ValueError("pairs are made by one process; start it on one machine, on its devices")
    model = Model.load(run.checkpoint, run.step)
    stream = _open_stream(run, data, model, launch)
    if launch.dry_run:
        names = ", ".join(task.name for task in stream.plan.draws.tasks)
        print(f"{run.questions} questions of {names}, {run.answers} answers each")
        return out
    with make_judge(judge, out / "judge_cache.jsonl") as found:
        # a reward that is not there is told before the folder is this command's
        scorer = Scorer(run.rewards, launch.modules, found, seconds=run.seconds)
        log = PairLog(out, run.split, most_failed=run.most_failed)
        log.claim(_describe(run, data, judge, model, stream))
        drawer = RolloutDrawer(
            model.config,
            model.params,
            devices,
            rows=data.rows,
            rollouts=run.answers,
            decoding=run.decoding,
            stop_ids=stream.tokenizer.stop_ids,
        )
        passed_over = _answer_questions(run, data, stream, drawer, scorer, log)
    _print_report(log.finish(passed_over), log)
    return out


def _open_stream(run: PairsConfig, data: DataConfig, model: Model, launch: Launch) -> BatchStream:
    """The questions; what does not fit together is told."""
    if data.questions_per_record != 1 or data.long_audio != "set_aside":
        raise ValueError(
            "a pair is one question about recordings of one window each; set QUESTIONS = 1 and "
            "LONG_RECORDINGS = 'set_aside'"
        )
    if model.config.cross is not None or model.config.hears_units:
        raise ValueError(
            "a model with cross-attention, or one that hears units, has no answers in groups; "
            "pairs are made with ModelConfig.fusion = 'splice' and an encoder"
        )
    stream = BatchStream(
        data,
        make_geometry(model.config),
        split=run.split,
        is_endless=False,
        modules=launch.modules,
    )
    rows = model.config.decoder.vocab_size
    check_vocabulary(len(stream.tokenizer), rows, f"the tokenizer {data.tokenizer}")
    _check_tasks(run, stream)
    return stream


def _check_tasks(run: PairsConfig, stream: BatchStream) -> None:
    """What is asked must be records' and, of a judge, what it can judge."""
    for task in stream.plan.draws.tasks:
        if not isinstance(stream.readers[task.name], RecordAudio):
            raise ValueError(
                f"task {task.name} is a module's, and pairs are made of records; leave it out of "
                "the mixture"
            )
        if JUDGE in run.rewards and find_judged_metric(task.name) is None:
            raise ValueError(
                f"answers of the task {task.name} are not judged; leave {JUDGE!r} out of REWARDS, "
                "or the task out of the mixture"
            )


def _describe(
    run: PairsConfig, data: DataConfig, judge: JudgeConfig, model: Model, stream: BatchStream
) -> dict[str, Any]:
    """All that decides what is answered and how it is scored, but how many questions there are."""
    decided = {
        field.name: getattr(run, field.name)
        for field in dataclasses.fields(run)
        if field.name
        not in ("out_dir", "questions", "seconds", "most_failed", "step", "checkpoint")
    }
    return {
        **decided,
        "plan": stream.plan.fingerprint,
        "rows": data.rows,
        "seed": data.seed,
        "judge": judge.model or judge.name if JUDGE in run.rewards else "",
        "parameters": digest_leaves(model.params),
    }


def _answer_questions(
    run: PairsConfig,
    data: DataConfig,
    stream: BatchStream,
    drawer: RolloutDrawer,
    scorer: Scorer,
    log: PairLog,
) -> collections.Counter[str]:
    """Adds to the journal until all questions are in it; what was passed over, by reason."""
    nothing: dict[str, Any] = {"place": [0, 0], "step": 0, "passed_over": {}}
    last = log.lines[-1] if log.lines else nothing
    before: collections.Counter[str] = collections.Counter(last["passed_over"])
    prompts = PromptStream(stream, longest=data.tokens - run.max_new_tokens)
    batches, groups = last["place"]
    reader = _read_questions(stream, prompts, run.split, (batches, groups))
    step, done = last["step"], len(log.lines)
    with track(total=run.questions, initial=done, name="answering", unit="question") as bar:
        while taken := list(
            itertools.islice(reader, max(0, min(data.rows, run.questions - len(log.lines))))
        ):
            step += 1
            # the last step of all may have fewer than there are rows
            filled = [*taken, *[taken[-1]] * (data.rows - len(taken))]
            drawn = drawer.draw([one.prompt for one, _, _ in filled], seed=data.seed, step=step)
            rollouts = [
                [_read(stream, one, answer) for answer in answers]
                for (one, _, _), answers in zip(taken, drawn, strict=False)
            ]
            judged = scorer.score([question for _, question, _ in taken], rollouts)
            behind = {
                "step": step,
                "questions": len(taken),
                "place": taken[-1][2],
                "passed_over": dict(before + prompts.passed_over),
            }
            log.add(
                [
                    {**_make_line(run, log, one, rollouts[p], judged[p]), **behind}
                    for p, one in enumerate(taken)
                ]
            )
            bar.update(len(taken))
    return before + prompts.passed_over


def _read_questions(
    stream: BatchStream,
    prompts: PromptStream,
    split: str,
    place: tuple[int, int],
) -> Iterator[Taken]:
    for asked, behind in prompts.read(*place):
        question = _find_question(stream, split, asked)
        if question is None:
            prompts.passed_over[NO_TEXT_FORM] += 1
            continue
        yield asked, question, behind


def _find_question(stream: BatchStream, split: str, asked: Asked) -> list[Message] | None:
    """The messages that a prompt was rendered from; None where they are no single question."""
    audio, item = stream.readers[asked.task], int(asked.item.rpartition("#")[2])
    assert isinstance(audio, RecordAudio)
    record = audio.reader.read(split, int(audio.index.items[item]["record"]))
    turns = [
        turn["messages"]
        for turn in json.loads(record["turns"])
        if turn["category"] == TASKS[asked.task][0]
    ]
    # behind the question stands the answer that the data has
    found: list[Message] = turns[asked.number][:-1]
    rendered = render_chat(found, stream.tokenizer, has_reply=False).tokens
    is_same = rendered == asked.piece.tokens[asked.piece.frame <= 0].tolist()
    texts = [part["text"] for message in found for part in message["content"] if part.get("text")]
    is_plain = not any(MARK in text for text in texts)
    return found if len(found) == 1 and is_same and is_plain else None


def _read(stream: BatchStream, asked: Asked, answer: Answer) -> Rollout:
    return Rollout(
        item=f"{asked.item}/{asked.number}",
        task=asked.task,
        language=asked.language,
        prompt=asked.text,
        answer=stream.tokenizer.decode(answer.ids[: answer.tokens]).strip(),
        reference=asked.reference,
        tokens=answer.tokens,
        is_whole=answer.is_whole,
    )


def _make_line(
    run: PairsConfig, log: PairLog, taken: Taken, rollouts: list[Rollout], judged: list[Judged]
) -> dict[str, Any]:
    """What the journal says of a question."""
    asked, question, _ = taken
    choice = choose_pair(rollouts, judged, margin=run.margin)
    pair = None
    if choice.chosen is not None and choice.rejected is not None:
        best, worst = choice.chosen, choice.rejected
        # the clips of its markers in their order
        clips = asked.piece.clip[asked.piece.frame == 0].tolist()
        parts = question[0]["content"]
        texts = [part["text"] if part.get("text") else MARK for part in parts]
        pair = {
            "audio": [log.write_clip(asked.clips[clip]) for clip in clips],
            "question": "".join(texts),
            "chosen": rollouts[best].answer,
            "rejected": rollouts[worst].answer,
            "id": rollouts[best].item,
            "language": asked.language,
            "margin": judged[best].total - judged[worst].total,
        }
    return {
        "item": rollouts[0].item,
        "question": asked.text,
        "reference": asked.reference,
        "answers": [
            {
                "text": rollout.answer,
                "tokens": rollout.tokens,
                "is_whole": rollout.is_whole,
                "parts": one.parts,
                "failures": one.failures,
            }
            for rollout, one in zip(rollouts, judged, strict=True)
        ],
        "pair": pair,
        "reason": choice.reason,
    }


def _print_report(report: Mapping[str, Any], log: PairLog) -> None:
    lost = {**report["no_pair"], **report["passed_over"]}
    said = "".join(f"; {count} {reason}" for reason, count in lost.items())
    print(f"{report['pairs']} pairs of {report['questions']} questions{said}")
    print(f"pairs {log.folder / log.split}.jsonl   answers {log.folder}/answers_{log.split}.jsonl")
