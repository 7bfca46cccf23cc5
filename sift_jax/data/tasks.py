"""SeqIO tasks: one for each category and language, named sift.<category>.<language>.

    sift.closed_ended.acoustic_level.en    sift.open_ended.de    sift.controllable_generation.it    …

Tasks are values made by functions. `register` puts one into SeqIO's registry, at the edge of a run, so that modules of
your own can name it, mix it, or put a task of theirs beside it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import seqio
import tensorflow as tf

from sift_jax.data.preprocessors import (
    decode_audio,
    keep_category,
    make_output_features,
    read_record,
    render_turns,
    sample_questions,
)
from sift_jax.data.rates import RecordTask, list_record_tasks, make_task_name
from sift_jax.data.records import RecordReader
from sift_jax.data.sift_files import SPOKEN_CATEGORIES
from sift_jax.data.unit_ids import CodecIdentity
from sift_jax.data.vocabulary import SpeechVocabulary


class RecordSource(seqio.FunctionDataSource):
    """The places of the records of one language that have turns of one category.

    SeqIO reads it as any source. A plan reads the records themselves, if the task is as make_sift_task leaves it: it
    knows that by the preprocessors, which it replaces.
    """

    def __init__(self, task: RecordTask, codec: CodecIdentity | None):
        self.task, self.codec = task, codec
        self.preprocessors: tuple = ()
        # the one of them that takes some of the questions
        self.sampling: Callable | None = None
        super().__init__(self._make_places, splits=task.splits)

    def _make_places(self, split: str, shuffle_files: bool, seed: int | None = None) -> tf.data.Dataset:
        places = self.task.reader.index[split][self.task.category]
        dataset = tf.data.Dataset.from_tensor_slices(tf.constant(places, tf.int64))
        if shuffle_files:
            # whole-epoch shuffling of places costs 8 bytes a record; a buffer of examples would hold their audio
            dataset = dataset.shuffle(len(places), seed=seed, reshuffle_each_iteration=True)
        return read_record(self.task.reader, split, self.codec)(dataset.map(lambda place: {"place": place}))


def drop_sampling(task: seqio.Task) -> seqio.Task:
    """A changed task over records with all questions of each: cached as SeqIO samples them, the others never came."""
    source = task.source
    kept = [step for step in task.preprocessors if step is not source.sampling]
    return task.replace(preprocessors=kept)


def get_record_task(task: seqio.Task) -> RecordTask | None:
    """The records of a task that is just as make_sift_task made it."""
    source = task.source
    is_ours = isinstance(source, RecordSource) and tuple(task.preprocessors) == source.preprocessors
    return source.task if is_ours else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskContext:
    """What a task needs to know of the run; it is handed to the `register` function of your own module."""

    records: str
    vocabulary: SpeechVocabulary
    questions_per_record: int
    # of the units that answers are spoken in; None leaves tasks whose answers are speech out
    codec: CodecIdentity | None


def make_sift_task(category: str, language: str, context: TaskContext) -> seqio.Task:
    """The task over the records of one language that have turns of one category."""
    task = RecordTask(reader=RecordReader(context.records, language), category=category)
    if not task.splits:
        folder = task.reader.folder
        raise ValueError(f"the records at {folder} hold nothing of {category}; build them with that category")
    if context.codec is None and category in SPOKEN_CATEGORIES:
        raise ValueError(
            f"answers of {category} are speech, which has no ids without a codec; name one in DataConfig.codec"
        )
    source = RecordSource(task, context.codec)
    source.sampling = sample_questions(context.questions_per_record)
    source.preprocessors = (
        keep_category(category),
        source.sampling,
        render_turns(context.vocabulary.tokenizer),
        decode_audio(),
    )
    return seqio.Task(
        make_task_name(category, language),
        source=source,
        preprocessors=list(source.preprocessors),
        output_features=make_output_features(context.vocabulary),
        metric_fns=[],
        shuffle_buffer_size=1,
    )


def register(task: seqio.Task) -> None:
    """Puts a task into SeqIO's registry, in place of an earlier one of its name."""
    if task.name in seqio.TaskRegistry.names():
        seqio.TaskRegistry.remove(task.name)
    seqio.TaskRegistry.add_provider(task.name, task)


def register_sift_tasks(context: TaskContext) -> list[str]:
    """Registers every task that the records can serve; returns their names."""
    found = list_record_tasks(context.records, has_speech=context.codec is not None)
    for task in found.values():
        register(make_sift_task(task.category, task.reader.folder.name.removeprefix("sift_"), context))
    return list(found)
