"""SeqIO tasks: one for each category and language, named sift.<category>.<language>; importing this
registers them.

    sift.closed_ended.acoustic_level.en    sift.open_ended.de    sift.controllable_generation.it    …

They stand in SeqIO's registry before any data is chosen, and read what is chosen then:

    import seqio
    from sift_jax.data import tasks

    tasks.use_records("runs/quickstart/data/records", tokenizer="runs/quickstart/data/tokenizer")
    seqio.get_mixture_or_task("sift.open_ended.en").get_dataset(None, split="dev")
    seqio.Evaluator("sift.open_ended.en", tasks.TaskFeatures(), eval_split="EvalSIFT").evaluate(…)

Without a call the environment says it: SIFT_RECORDS, SIFT_TOKENIZER, and SIFT_CODEC for answers
that are speech.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import seqio
import tensorflow as tf

from sift_jax.data.records.record_reader import RecordReader
from sift_jax.data.tasks.metric_fns import make_metric_fns
from sift_jax.data.tasks.mixture_rates import RecordTask
from sift_jax.data.tasks.mixture_table import TASKS, make_task_name
from sift_jax.data.tasks.preprocessors import (
    add_answer,
    decode_audio,
    keep_category,
    make_output_features,
    read_record,
    render_turns,
    sample_questions,
    split_questions,
)
from sift_jax.data.tasks.seqio_vocabulary import SpeechVocabulary
from sift_jax.sift.rows import SPOKEN_CATEGORIES
from sift_jax.text.tokenizers import SpeechTokenizer
from sift_jax.text.unit_tokens import CodecIdentity, read_codec_identity


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskContext:
    """What a task needs to know of the run; it is handed to the `register` function of your own
    module."""

    records: str
    vocabulary: SpeechVocabulary
    questions_per_record: int
    # of the units that answers are spoken in; None leaves tasks whose answers are speech out
    codec: CodecIdentity | None
    # an example is a question, as SeqIO's Evaluator has it; else all of a record's that share its
    # audio
    is_split: bool = False
    # one reader a language: what it has read of the counts serves all of its tasks
    readers: dict[str, RecordReader] = dataclasses.field(
        default_factory=dict, repr=False, compare=False
    )

    def find_task(self, category: str, language: str) -> RecordTask | None:
        """The records of a task; None where there are none, or where they have no ids without a
        codec."""
        if self.codec is None and category in SPOKEN_CATEGORIES:
            return None
        if language not in self.readers:
            try:
                self.readers[language] = RecordReader(self.records, language)
            except ValueError:
                return None
        task = RecordTask(reader=self.readers[language], category=category)
        return task if task.splits else None


_context: TaskContext | None = None


def use_context(context: TaskContext) -> None:
    """From now on all tasks read this."""
    global _context
    _context = context


def use_records(
    records: str | Path,
    *,
    tokenizer: str | Path,
    codec: str | Path | None = None,
    questions_per_record: int = 0,
    is_split: bool = True,
) -> TaskContext:
    """From now on all tasks read these records: all questions of each or so many, by themselves or
    sharing audio."""
    context = TaskContext(
        records=str(records),
        vocabulary=SpeechVocabulary(SpeechTokenizer(tokenizer)),
        questions_per_record=questions_per_record,
        codec=None if codec is None else read_codec_identity(codec),
        is_split=is_split,
    )
    use_context(context)
    return context


def get_context() -> TaskContext:
    """What was chosen last; else what the environment says."""
    if _context is not None:
        return _context
    if not os.environ.get("SIFT_RECORDS") or not os.environ.get("SIFT_TOKENIZER"):
        raise ValueError(
            "no records are chosen for the tasks; call "
            "sift_jax.data.tasks.seqio_tasks.use_records(…), or set SIFT_RECORDS and "
            "SIFT_TOKENIZER"
        )
    return use_records(
        os.environ["SIFT_RECORDS"],
        tokenizer=os.environ["SIFT_TOKENIZER"],
        codec=os.environ.get("SIFT_CODEC") or None,
    )


class RecordSource(seqio.FunctionDataSource):
    """The places of the records of one language that have turns of one category.

    SeqIO reads it as any source. A plan reads the records themselves, if the task is as
    make_sift_task leaves it: it knows that by the preprocessors, which it replaces.
    """

    def __init__(self, category: str, language: str):
        self.category, self.language = category, language
        self.preprocessors: tuple = ()
        super().__init__(self._make_places, splits=())

    def __repr__(self) -> str:
        # SeqIO's own asks for the splits, of which an error message may know nothing
        return f"RecordSource({self.category!r}, {self.language!r})"

    def find(self) -> RecordTask | None:
        return get_context().find_task(self.category, self.language)

    def get(self) -> RecordTask:
        """The records; an error where there are none, with its reason."""
        context = get_context()
        if context.codec is None and self.category in SPOKEN_CATEGORIES:
            raise ValueError(
                f"answers of {self.category} are speech, which has no ids without a codec; name "
                "one in DataConfig.codec"
            )
        if task := self.find():
            return task
        # says so itself where there is nothing of the language
        folder = RecordReader(context.records, self.language).folder
        raise ValueError(
            f"the records at {folder} hold nothing of {self.category}; build them with that "
            "category"
        )

    @property
    def splits(self) -> list[str]:
        return self.get().splits

    def _make_places(
        self, split: str, shuffle_files: bool, seed: int | None = None
    ) -> tf.data.Dataset:
        reader = self.get().reader
        places = reader.index[split][self.category]
        dataset = tf.data.Dataset.from_tensor_slices(tf.constant(places, tf.int64))
        if shuffle_files:
            # whole-epoch shuffling of places costs 8 bytes a record; a buffer of examples would
            # hold their audio
            dataset = dataset.shuffle(len(places), seed=seed, reshuffle_each_iteration=True)
        return read_record(reader, split, get_context().codec)(
            dataset.map(lambda place: {"place": place})
        )


def _sample(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The one step that takes some of the questions."""
    return sample_questions(get_context().questions_per_record)(dataset)


def _render(dataset: tf.data.Dataset) -> tf.data.Dataset:
    context = get_context()
    render = render_turns(context.vocabulary.tokenizer)
    return add_answer()(render(split_questions()(dataset))) if context.is_split else render(dataset)


# of all tasks here: a mixture takes only tasks of one vocabulary
_VOCABULARY = SpeechVocabulary(lambda: get_context().vocabulary.tokenizer)


def make_sift_task(category: str, language: str) -> seqio.Task:
    """The task over the records of one language that have turns of one category."""
    source = RecordSource(category, language)
    source.preprocessors = (keep_category(category), _sample, _render, decode_audio())
    return seqio.Task(
        make_task_name(category, language),
        source=source,
        preprocessors=list(source.preprocessors),
        output_features=make_output_features(_VOCABULARY),
        metric_fns=make_metric_fns(category, language),
        shuffle_buffer_size=1,
    )


class TaskFeatures(seqio.PassThroughFeatureConverter):
    """For seqio.Evaluator: a model reads the features as the task gives them."""

    # SeqIO's own class lacks these, and its Evaluator asks for them
    TASK_FEATURES: Mapping[str, seqio.FeatureConverter.FeatureSpec] = {}
    pack = False


def drop_sampling(task: seqio.Task) -> seqio.Task:
    """A changed task over records with all questions of each: cached as SeqIO samples them, the
    others never came."""
    return task.replace(preprocessors=[step for step in task.preprocessors if step is not _sample])


def get_record_task(task: seqio.Task) -> RecordTask | None:
    """The records of a task that is just as make_sift_task made it."""
    source = task.source
    is_ours = isinstance(source, RecordSource) and tuple(task.preprocessors) == source.preprocessors
    return source.get() if is_ours else None


def list_splits(task: seqio.Task) -> list[str]:
    """The splits that a task has rows in: none where the records have nothing of it."""
    if isinstance(task.source, RecordSource):
        found = task.source.find()
        return found.splits if found else []
    return list(task.splits)


def register(task: seqio.Task) -> None:
    """Puts a task into SeqIO's registry, in place of an earlier one of its name."""
    if task.name in seqio.TaskRegistry.names():
        seqio.TaskRegistry.remove(task.name)
    seqio.TaskRegistry.add_provider(task.name, task)


for _category, _language in TASKS.values():
    register(make_sift_task(_category, _language))
