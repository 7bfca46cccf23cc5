"""The evaluate run: suites asked of a model and of baselines, judged, and written down.

    suites ─► items ─┬─ questions ─ model, untrained ─► out/predictions/<system>.jsonl ─┐
                     ├─ transcripts ─ decoder alone ──► out/predictions/text_model.jsonl┤
                     ├─ training rows ────────────────► out/predictions/majority.jsonl ─┤
                     └─ references, without such rows ► out/predictions/constant.jsonl ─┴─ judging.py ─► verdicts,
                                                                                           results, report
Killed, the same command resumes: what was answered is not answered again, what was judged is not paid for again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from sift_jax.checkpoints.checksums import digest_leaves
from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.data_config import DataConfig
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.decoding.text_answers import TextGenerator, make_prompt
from sift_jax.evaluation.judges.config import JudgeConfig
from sift_jax.evaluation.judging import judge_predictions
from sift_jax.evaluation.model_inputs import ClipReader, Question, is_cut, make_questions
from sift_jax.evaluation.predict import PredictionFile, predict
from sift_jax.evaluation.report.measured_speech import read_generation
from sift_jax.evaluation.scores.baselines import make_majority_predictions
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.evaluation.scores.schema import (
    BASELINES,
    CONSTANT,
    MAJORITY,
    MODEL,
    TEXT_MODEL,
    UNTRAINED,
    EvaluationError,
    Item,
    SetAside,
    Suite,
)
from sift_jax.evaluation.suites import SuiteConfig, read_checked_suites
from sift_jax.evaluation.suites.evalsift import SUBSETS
from sift_jax.evaluation.suites.prompts import hash_prompts, load_prompts
from sift_jax.evaluation.text_model import (
    ask_in_words,
    drop_adapters,
    hash_transcripts,
    read_transcripts,
)
from sift_jax.field_ranges import CheckedConfig, Count, MayBeEmpty, OneOf, Seed, Text, Whole
from sift_jax.launch import NO_FLAGS, Launch
from sift_jax.parallel.distributed import await_all, check_same, check_shared, is_first_process
from sift_jax.parallel.mesh import MeshConfig, make_mesh
from sift_jax.pretrained import Model
from sift_jax.sift.fields import read_build_fields
from sift_jax.sift.rows import list_files, read_rows
from sift_jax.storage.whole_files import write_whole
from sift_jax.training.job import make_geometry
from sift_jax.training.step import make_dev_step


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationConfig(CheckedConfig):
    """Which model is asked and how, and where the results go."""

    out_dir: Text
    checkpoint: Text
    step: Whole | None
    # baselines beside the model: itself untrained; one answer to each kind of question, the
    # training data's commonest (of suites without training rows, the one that their own references
    # make best)
    has_untrained: bool
    has_majority: bool
    # answered at once
    rows: Count
    # more clips than this in a turn are joined by a second of silence; 0: the model takes any
    # number
    most_clips: Whole
    # what becomes of clips longer than the encoder's window: "set_aside", "cut", or cut at a
    # "pause"
    long_audio: Annotated[str, OneOf("set_aside", "cut", "pause")]
    # of the sampling
    seed: Seed
    # a built corpus (SIFT files and report.json): its training rows make the majority, its report
    # is shown; or ""
    data_dir: MayBeEmpty
    # the split of DataConfig's records on which the audio gain is measured
    gain_split: MayBeEmpty
    # figures of what the model spoke, as data_prep.generation score writes them, for the same
    # report; or ""
    generation_dir: MayBeEmpty
    # the words of the recordings, JSON lines with id and transcript: the decoder without its
    # adapters is asked, too; or ""
    transcripts: MayBeEmpty = dataclasses.field(metadata={"before": ""})
    # name → folder of the training runs whose curves the report shows
    train_dirs: Mapping[Text, Text]


def measure_audio_gain(
    model: Model, data: DataConfig, split: str, modules: tuple[ModuleType, ...]
) -> float | None:
    """Loss on the split with other items' audio minus loss with its own: how much the model
    listens. None where no batch has two recordings."""
    stream = BatchStream(
        data, make_geometry(model.config), split=split, is_endless=False, modules=modules
    )
    one_device = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.local_devices()[:1])
    dev_step = make_dev_step(model.config, one_device)
    state = {"trainable": model.params, "frozen": {}}
    sums = [dev_step(state, jax.tree.map(jnp.asarray, batch)) for _, batch in stream.batches()]
    weight = sum(float(s["paired_weight"]) for s in sums)
    return (
        sum(float(s["swapped_loss"]) - float(s["paired_loss"]) for s in sums) / weight
        if weight
        else None
    )


def read_training_answers(data_dir: str) -> Iterator[tuple[str, str, str]]:
    """(category, language, answer) of the training rows of a corpus."""
    for category in SUBSETS:
        for path in list_files(Path(data_dir) / "sift", "train", category):
            for row in read_rows(path):
                parts = row["messages"][-1]["content"]
                yield (
                    category,
                    path.parent.name,
                    " ".join(part["text"] for part in parts if "text" in part),
                )


def read_seconds(train_dirs: Mapping[str, str]) -> dict[str, float]:
    """How long each training run took, from the last line of its metrics."""
    seconds = {}
    for name, folder in train_dirs.items():
        path = Path(folder) / "metrics.jsonl"
        timed = (
            [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
        )
        timed = [line["seconds"] for line in timed if "seconds" in line]
        if timed:
            seconds[name] = timed[-1]
    return seconds


def describe_answers(
    model: Model, run: EvaluationConfig, suites: Sequence[SuiteConfig], decoding: DecodingConfig
) -> dict[str, Any]:
    """All that answers of the model depend on, beside the items."""
    prompts = json.dumps(
        {config.name: hash_prompts(load_prompts(config.prompts)) for config in suites},
        sort_keys=True,
    )
    return {
        "checkpoint": run.checkpoint,
        "step": model.step,
        "weights": digest_leaves(model.params),
        "decoding": decoding.describe(),
        "audio": {"most_clips": run.most_clips, "long_audio": run.long_audio},
        "prompts": hashlib.sha256(prompts.encode()).hexdigest()[:16],
        "seed": run.seed,
        "versions": {"jax": jax.__version__},
    }


def answer_all_systems(
    out: Path,
    model: Model,
    mesh_config: MeshConfig,
    run: EvaluationConfig,
    decoding: DecodingConfig,
    questions: Sequence[Question],
    reader: ClipReader,
    meta: Mapping[str, Any],
) -> None:
    """predictions/ of the model and of the baselines; process 0 puts together what all have
    answered."""
    items = [question.item for question in questions]
    mesh = make_mesh(mesh_config, jax.local_devices())

    def answer(
        system: str,
        make_model: Callable[[], Model],
        meta: Mapping[str, Any],
        questions: Sequence[Question],
    ) -> None:
        file, items = PredictionFile(out, system), [question.item for question in questions]
        file.check_meta(dict(meta))
        if len(file.read(items)) < len(items):
            asked = make_model()
            generator = TextGenerator(asked, rows=run.rows, mesh=mesh)
            predict(
                generator,
                questions,
                lambda question: make_prompt(asked, list(question.messages), reader),
                file,
                decoding=decoding,
                seed=run.seed,
            )
        await_all(f"{system} has answered")
        if is_first_process():
            file.finish(items, file.read(items))

    answer(MODEL, lambda: model, meta, questions)
    if run.has_untrained:
        answer(UNTRAINED, model.forget, {**meta, "step": 0, "weights": "untrained"}, questions)
    if run.transcripts:
        transcripts = read_transcripts(Path(run.transcripts))
        decoder = drop_adapters(model, run.checkpoint)
        asked, aside = ask_in_words(
            decoder, questions, transcripts, reader, max_new_tokens=decoding.max_new_tokens
        )
        if aside and is_first_process():
            print(
                f"{len(aside)} of {len(items)} questions are not asked of the decoder alone; "
                f"{aside[0].id}: {aside[0].reason}"
            )
        made_with = {"weights": "without adapters", "transcripts": hash_transcripts(transcripts)}
        answer(TEXT_MODEL, lambda: decoder, {**meta, **made_with}, asked)
    elif is_first_process():
        # of the same folder with transcripts
        PredictionFile(out, TEXT_MODEL).remove()
    if run.has_majority and is_first_process():
        split = split_by_baseline(items, run.data_dir)
        for system in set(BASELINES) - set(split):
            # of the same folder without, or with, a data_dir
            PredictionFile(out, system).remove()
        for system, own in split.items():
            file = PredictionFile(out, system)
            source = (
                f"training rows of {run.data_dir}"
                if system == MAJORITY
                else "the items' references"
            )
            file.check_meta({"answers": source})
            file.finish(own, answer_constantly(own, run.data_dir if system == MAJORITY else ""))


def split_by_baseline(items: Sequence[Item], data_dir: str) -> dict[str, list[Item]]:
    """Which constant answer the items get: a majority is of training data, and those are EvalSIFT's
    alone."""
    found: dict[str, list[Item]] = {}
    for item in items:
        has_rows = data_dir and item.suite.partition(":")[0] == "evalsift"
        found.setdefault(MAJORITY if has_rows else CONSTANT, []).append(item)
    return found


def answer_constantly(items: Sequence[Item], data_dir: str) -> dict[str, str]:
    """Answers by id, suite by suite: out of the training rows of a corpus, or out of the suite's
    own references."""
    answers: dict[str, str] = {}
    for suite in dict.fromkeys(item.suite for item in items):
        own = [item for item in items if item.suite == suite]
        rows, fields = (
            (read_training_answers(data_dir), read_build_fields(Path(data_dir)))
            if data_dir
            else (None, ())
        )
        answers |= {
            found.item.id: found.answer for found in make_majority_predictions(own, rows, fields)
        }
    return answers


def describe_suites(
    suites: Sequence[Suite],
    questions: Sequence[Question],
    aside: Sequence[SetAside],
    reader: ClipReader,
) -> dict[str, Any]:
    """What was asked and what was not, for the results."""
    described = {}
    for suite in suites:
        ids = {item.id for item in suite.items}
        asked = [question for question in questions if question.item.id in ids]
        left = [*suite.set_aside, *(one for one in aside if one.id in ids)]
        described[suite.name] = {
            "protocol": suite.protocol,
            "counts": {
                "items": len(asked),
                "set_aside": len(left),
                # asked, with the end of a recording left out
                "cut": sum(is_cut(question, reader) for question in asked),
                "left_out": suite.left_out,
            },
            "set_aside": [dataclasses.asdict(one) for one in left[:100]],
        }
    return described


def evaluate(
    *,
    run: EvaluationConfig,
    suites: tuple[SuiteConfig, ...],
    decoding: DecodingConfig,
    judge: JudgeConfig,
    bootstrap: BootstrapConfig,
    mesh: MeshConfig,
    data: DataConfig | None,
    launch: Launch = NO_FLAGS,
) -> Path:
    """Evaluates and writes everything; returns the folder."""
    started, out = time.perf_counter(), Path(run.out_dir)
    read = read_checked_suites(suites)
    if run.generation_dir:
        # what is wrong with it is said before anything is answered
        read_generation(run.generation_dir)
    if run.transcripts:
        read_transcripts(Path(run.transcripts))
    items = [item for suite in read for item in suite.items]
    if launch.dry_run:
        for suite in read:
            print(f"{suite.name}: {len(suite.items)} items, {len(suite.set_aside)} skipped")
        constant = split_by_baseline(items, run.data_dir) if run.has_majority else ()
        names = [run.checkpoint, *([UNTRAINED] if run.has_untrained else []), *constant]
        names += [TEXT_MODEL] if run.transcripts else []
        print(f"{len(items)} would be answered by {', '.join(names)}")
        return out
    check_shared(out)
    check_same(
        "the ids of the items",
        json.dumps([item.id for item in items]),
        "give all processes the same suites",
    )
    model = Model.load(run.checkpoint, run.step)
    reader = ClipReader(model.config.longest_seconds, run.long_audio)
    questions, aside = make_questions(
        model, items, reader, most_clips=run.most_clips, max_new_tokens=decoding.max_new_tokens
    )
    if not questions:
        raise EvaluationError(
            f"{items[0].suite}: the model can be asked nothing; {aside[0].id}: {aside[0].reason}"
        )
    cut = sum(is_cut(question, reader) for question in questions)
    if cut and is_first_process():
        print(
            f"{cut} of {len(questions)} questions have a recording of more than "
            f"{reader.longest_seconds:g} s, of which the model hears the beginning "
            f"(long_audio = {run.long_audio!r})"
        )
    out.mkdir(parents=True, exist_ok=True)
    meta = describe_answers(model, run, suites, decoding)
    answer_all_systems(out, model, mesh, run, decoding, questions, reader, meta)
    if is_first_process():
        write_whole(out / "config.gin", launch.config_text)
        size = sum(x.size for x in jax.tree.leaves(model.params))
        facts = {
            "name": out.name,
            "model": {**meta, "parameters": {"total": size}},
            "suites": describe_suites(read, questions, aside, reader),
            "audio_gain": None
            if data is None
            else measure_audio_gain(model, data, run.gain_split, launch.modules),
            "training": dict(run.train_dirs),
            "data": run.data_dir,
            "generation": run.generation_dir,
            "seconds": {**read_seconds(run.train_dirs), "answer": time.perf_counter() - started},
        }
        judge_predictions(out, facts, judge, bootstrap)
    await_all("the answers are judged")
    return out
