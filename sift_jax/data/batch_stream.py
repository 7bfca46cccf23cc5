"""The stream of batches that a run reads: SeqIO mixture → plan → this process's rows → batch with
mel.

    tasks and rates ─► index of each task ─► plan: step → rows of groups ─► read, decode, lay out, log-mel ─► batch
    └ SeqIO            └ made once           └ the same on all hosts        └ own rows only

The stream is a pure function of (mixture, config, seed): its place is the number of batches drawn,
and any number can be drawn first (batch_plan.py says why). SeqIO defines what a task is and how
often it comes; tf.data runs only where a task has a source of its own, once.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sift_jax.audio.front_ends import FRONT_ENDS
from sift_jax.audio.whisper_mel import HOP, RATE
from sift_jax.batch import Batch, BatchShape
from sift_jax.data.data_config import DataConfig
from sift_jax.data.defined_tasks import define_pairs, define_tasks, read_codec
from sift_jax.data.plan.batch_plan import Plan, PlannedBatch
from sift_jax.data.plan.sample_stream import Draws, Groups, PlannedTask
from sift_jax.data.records.index_records import (
    CachedAudio,
    cache_pairs,
    cache_task,
    index_records,
)
from sift_jax.data.records.pair_files import PairTask
from sift_jax.data.records.question_index import QuestionIndex
from sift_jax.data.records.record_reader import RecordAudio
from sift_jax.data.records.unreadable import UNREADABLE, UnreadableAudio, UnreadableLog
from sift_jax.data.row_layout import (
    NO_GROUP,
    Group,
    PackingCounts,
    Row,
    lay_out,
    lay_out_teachers,
    make_group,
    split_answers,
    weigh_pairs,
)
from sift_jax.data.shapes import SpeechGeometry, make_shapes
from sift_jax.data.tasks.mixture_rates import RecordTask
from sift_jax.data.tasks.mixture_table import make_task_name
from sift_jax.sift.rows import (
    LANGUAGES,
    SELF_GENERATED,
    SELF_GENERATED_TEXT,
    SPOKEN_CATEGORIES,
)
from sift_jax.text.tokenizers import AUDIO, SpeechTokenizer
from sift_jax.text.unit_tokens import (
    check_unit_rows,
    place_units,
    weigh_speech,
)

if TYPE_CHECKING:
    import seqio


class BatchStream:
    """An endless (or one-epoch) iterator of (shape, batch) over one split of the configured
    mixture.

    `own_rows` are the rows of every batch that this process reads; None means all of them. `among`
    are the only tasks that the mixture may choose from, such as those that are trained.
    `unreadable_log` is the file in which are written down recordings that it could not read. With
    `teacher_tokens` self-generated answers come a second time, behind the text that they answered.
    With `has_pairs` the records are a folder of preference pairs.
    """

    def __init__(
        self,
        config: DataConfig,
        geometry: SpeechGeometry,
        *,
        split: str,
        is_endless: bool,
        modules: tuple = (),
        own_rows: Sequence[int] | None = None,
        among: Collection[str] | None = None,
        unreadable_log: Path | None = None,
        teacher_tokens: int = 0,
        has_pairs: bool = False,
    ):
        self._has_pairs = has_pairs
        self.config, self.geometry = config, geometry
        self.tokenizer = SpeechTokenizer(config.tokenizer, config.chat_template)
        self._audio_id = self.tokenizer.ids[AUDIO]
        self.counts = PackingCounts()
        self._unreadable = UnreadableLog(config.most_unreadable, unreadable_log, split)
        # groups that were read, or tried, by all threads
        self._tried, self._tried_lock = 0, threading.Lock()
        shapes = make_shapes(config, geometry, teacher_tokens=teacher_tokens)
        self._own_rows = range(config.rows) if own_rows is None else own_rows
        self.shapes = [dataclasses.replace(shape, rows=len(self._own_rows)) for shape in shapes]
        # a longer clip than the window is left out, whatever is said of its frames
        longest = round(geometry.window_seconds * RATE / HOP) + 1
        # so the positions of millions of clips are a look-up: of mel frames, how many positions
        self._frames = np.array([0, *map(geometry.count_frames, range(1, longest + 1))])
        # but where it is heard as several
        has_windows = config.long_audio == "windows" and not geometry.hears_units
        self._window = round(geometry.window_seconds * RATE) if has_windows else None
        self.readers: dict[str, Callable[[int], list[np.ndarray]]] = {}
        # task to the index of what its teacher reads
        self._teachers: dict[str, QuestionIndex] = {}
        self._has_teachers = teacher_tokens > 0
        if geometry.hears_units and config.codec is None:
            raise ValueError(
                "this model has no encoder, and no codec whose units it could hear; set CODEC "
                "(DataConfig.codec), or ModelConfig.encoder"
            )
        defined = (
            define_pairs(config, split)
            if has_pairs
            else define_tasks(config, self.tokenizer, modules, split, among)
        )
        # what a user must know of the mixture in this split, before the first step
        self.notes = defined.notes
        self.front_end = FRONT_ENDS[geometry.front_end]  # which the modules may have changed
        tasks = [self._plan_task(name, rate, source, split) for name, rate, source in defined.tasks]
        draws = Draws(
            tasks,
            shapes,
            self._count_frames,
            seed=config.seed,
            is_endless=is_endless,
            rates_count=config.rates_count,
            window=self._window,
        )
        self.plan = Plan(draws, seed=config.seed)

    def describe_start(self) -> list[str]:
        """What is to be known before the first step: how many examples it has, and what is never
        shown."""
        draws = self.plan.draws
        said = [f"{self.plan.examples_per_batch:.1f} examples a step"] if draws.is_endless else []
        if self._window is not None:
            room, each = self.shapes[-1], self.count_clip(self._window)
            fit = min(room.clips, room.tokens // max(each, 1))
            said.append(
                f"a recording may have {fit} windows of {self.geometry.window_seconds:g} s: a row "
                f"holds {room.clips}, and {room.tokens} positions, of which each takes {each}"
            )
        return said + [f"skipped of {line}" for line in draws.describe_set_aside()]

    @property
    def share(self) -> float:
        """The part of a batch's rows that this process reads."""
        return len(self._own_rows) / self.config.rows

    def describe_units(self, rows: int) -> dict[str, Any] | None:
        """Whose units answers are spoken in, for the run's folder; an error if so many rows have no
        room for them."""
        if (codec := read_codec(self.config)) is None:
            return None
        ids = place_units(self.tokenizer)
        check_unit_rows(ids, codec, rows)
        names = {task.name for task in self.plan.draws.tasks}
        spoken = {
            n
            for n in LANGUAGES
            for category in SPOKEN_CATEGORIES
            if make_task_name(category, n) in names
        }
        weighed = dataclasses.replace(
            codec,
            languages=tuple(sorted(spoken)),
            end_weight=self.config.end_weight,
            unit_weights=tuple(self.config.unit_weights.items()),
        )
        return weighed.to_json(ids)

    def _plan_task(
        self, name: str, rate: float, source: RecordTask | PairTask | seqio.Task, split: str
    ) -> PlannedTask:
        if isinstance(source, RecordTask):
            folder = index_records(
                source.reader,
                split,
                self.tokenizer,
                read_codec(self.config),
                most_unreadable=self.config.most_unreadable,
                hears_units=self.geometry.hears_units,
            )
            index = QuestionIndex(folder / source.category.replace("/", "."))
            self.readers[name] = RecordAudio(source.reader, split, index)
            questions = self.config.questions_per_record
            if self._has_teachers and source.category == SELF_GENERATED:
                self._teachers[name] = open_teacher(folder, index)
        elif isinstance(source, PairTask):
            if self.geometry.hears_units:
                raise ValueError(
                    "preference pairs have recordings, and this model hears units; set "
                    "ModelConfig.encoder"
                )
            questions, index = 1, QuestionIndex(cache_pairs(source.path, self.tokenizer))
            self.readers[name] = CachedAudio(index.folder, index)
        elif self.geometry.hears_units:
            raise ValueError(
                f"task {name} is a module's, whose examples have audio, and this model hears units; "
                "leave --module out, or set ModelConfig.encoder"
            )
        else:
            from sift_jax.data.tasks.seqio_tasks import RecordSource, drop_sampling

            questions = 0
            if isinstance(source.source, RecordSource):
                source, questions = drop_sampling(source), self.config.questions_per_record
            folder = cache_task(source, split, Path(self.config.records), self.tokenizer)
            index = QuestionIndex(folder)
            self.readers[name] = CachedAudio(folder, index)
        return PlannedTask(name=name, rate=rate, index=index, questions=questions)

    def _count_frames(self, samples: np.ndarray) -> np.ndarray:
        if self._window is not None:
            # a recording of 75 s: twice what 30 s take, and what 15 s do
            whole, rest = np.divmod(samples.astype(np.int64), self._window)
            return whole * self._count_window(np.asarray(self._window)) + self._count_window(rest)
        return self._count_window(samples)

    def _count_window(self, samples: np.ndarray) -> np.ndarray:
        return self._frames[
            np.minimum(self.front_end.count_frames(samples.astype(np.int64)), len(self._frames) - 1)
        ]

    def read_example(self, groups: Groups, group: int) -> dict[str, np.ndarray]:
        """A group of the plan as the example that its task would give; UnreadableAudio if it cannot
        be read."""
        task, item = self.plan.draws.tasks[groups.task[group]], int(groups.item[group])
        example = task.index.read(item, groups.numbers[group].tolist())
        try:
            clips = self.readers[task.name](item)
        except UNREADABLE as error:
            said = " ".join(str(error).split())
            raise UnreadableAudio(
                f"the audio of item {item} of {task.index.folder} cannot be read ({said}); "
                "make those records again"
            ) from error
        lengths = [len(clip) for clip in clips]
        if lengths != example["audio_lengths"].tolist():
            raise UnreadableAudio(
                f"the audio of item {item} of {task.index.folder} has {lengths} samples where "
                f"{example['audio_lengths'].tolist()} were indexed; if it is of many, that folder "
                "is not of these records; delete it"
            )
        return {
            **example,
            "audio": np.concatenate([*clips, np.zeros(0, np.int16)]).astype(np.int16),
        }

    def _read_row(self, planned: PlannedBatch, row: int) -> Row:
        filled, sizes = Row(self.shapes[planned.level]), planned.groups.sizes
        for g in planned.rows[row]:
            with self._tried_lock:
                self._tried += 1
            try:
                example = self.read_example(planned.groups, g)
            except UnreadableAudio as error:
                task = self.plan.draws.tasks[planned.groups.task[g]].name
                self._unreadable.note(task, int(planned.groups.item[g]), error, self._tried)
                # its place stays, so that the others keep their numbers, by which tell_tasks finds them
                filled.add(NO_GROUP)
                continue
            group = make_group(
                example,
                audio_id=self._audio_id,
                count_frames=self.count_clip,
                window=self._window,
            )
            group = dataclasses.replace(group, teacher=self._read_teacher(planned.groups, g))
            group = split_answers(group) if self._has_pairs else group
            if (group.tokens, group.targets) != (
                sizes.tokens[g],
                sizes.targets[g],
            ) or not filled.can_hold(group):
                folder = self.plan.draws.tasks[planned.groups.task[g]].index.folder
                raise ValueError(
                    f"item {planned.groups.item[g]} of {folder} takes {group.tokens} positions "
                    f"where {sizes.tokens[g]} were planned; delete that folder to index the "
                    "records again"
                )
            filled.add(group)
        return filled

    def _read_teacher(self, groups: Groups, group: int) -> Group | None:
        """The same questions of the same record, asked of text."""
        task, item = self.plan.draws.tasks[groups.task[group]], int(groups.item[group])
        index = self._teachers.get(task.name)
        if index is None:
            return None
        numbers = groups.numbers[group].tolist()
        heard, read = task.index.read(item, numbers), index.read(item, numbers)
        # the prompts differ, a recording and a text; what is to be learnt must not
        answers = [one["tokens"][one["is_target"] > 0].tolist() for one in (heard, read)]
        if answers[0] != answers[1]:
            raise ValueError(
                f"item {item} of {index.folder} has other answers than {task.name}: the rows of "
                f"{SELF_GENERATED} and {SELF_GENERATED_TEXT} are not of one run of "
                "data_prep.self_answer; make them, and the records, again"
            )
        example = {**read, "audio": np.zeros(0, np.int16)}
        return make_group(example, audio_id=self._audio_id, count_frames=self.count_clip)

    def count_clip(self, samples: int) -> int:
        """Decoder positions that a clip of so many samples takes."""
        return int(self._count_frames(np.asarray(samples)))

    def batches(self, skip: int = 0) -> Iterator[tuple[BatchShape, Batch]]:
        """The batches from number `skip` on."""
        for block, batches in self.plan.blocks(skip):
            self.counts.add(block.counts)
            yield from self.read(batches)

    def read(self, planned: Iterable[PlannedBatch]) -> Iterator[tuple[BatchShape, Batch]]:
        """These batches of the plan."""
        with concurrent.futures.ThreadPoolExecutor(self.config.readers) as pool:
            for one in planned:
                yield self.shapes[one.level], self._read_batch(one, pool.map)

    def tell_tasks(self, planned: PlannedBatch, batch: Batch) -> np.ndarray:
        """The task of each target of a batch that this process has read of it, as a number among
        the plan's tasks."""
        # A row of groups of tasks 4 and 7, with two targets and one: predict_bm leads to their groups
        # 1 1 2, and these to 4 4 7.
        task_bm = np.zeros(batch["target_bm"].shape, np.int32)
        group_bm = np.take_along_axis(batch["group_bt"], batch["predict_bm"], axis=1)
        for place, row in enumerate(self._own_rows):
            if tasks := planned.groups.task[planned.rows[row]].tolist():
                # targets that are padding count for nothing, whatever is said of them
                task_bm[place] = np.array(tasks)[np.maximum(group_bm[place] - 1, 0)]
        return task_bm

    def _read_batch(self, planned: PlannedBatch, each: Callable[..., Iterable]) -> Batch:
        shape = self.shapes[planned.level]
        rows = list(each(lambda row: self._read_row(planned, row), self._own_rows))
        batch, clips = lay_out(rows, shape, self.geometry.count_frames(shape.mel_frames))
        if shape.teacher_tokens:
            lay_out_teachers(batch, rows, shape)
        if self.config.codec is not None:
            weigh_speech(
                batch, place_units(self.tokenizer), self.config.end_weight, self.config.unit_weights
            )
        if self._has_pairs:
            weigh_pairs(batch, rows)

        def fill(clip: tuple[int, int, np.ndarray]) -> None:
            b, a, samples = clip
            heard = samples.astype(np.float32) / 32768.0
            batch["frames_ba"][b, a] = self.front_end.fill(heard, batch["mel_basf"][b, a])

        list(each(fill, clips))
        return batch

    def describe(self, step: int) -> dict[str, Any]:
        """What is in batch number `step` of an endless stream, on all hosts together."""
        planned = self.plan.get_batch(step)
        return {"hash": planned.hash, "tokens": planned.tokens, "questions": planned.questions}

    def name_items(self, step: int) -> list[list[str]]:
        """The items of batch number `step` by task and number in its index, row by row."""
        planned, tasks = self.plan.get_batch(step), self.plan.draws.tasks
        groups = planned.groups
        return [
            [f"{tasks[groups.task[g]].name}#{groups.item[g]}" for g in row] for row in planned.rows
        ]


def open_teacher(folder: Path, heard: QuestionIndex) -> QuestionIndex:
    """The index of the text that stands for each item's recording; an error where the two differ in
    number."""
    path = folder / SELF_GENERATED_TEXT
    index = QuestionIndex(path) if (path / "counts.json").is_file() else None
    sizes = [(len(x), x.counts["questions"]) for x in (heard, index) if x is not None]
    if index is None or sizes[0] != sizes[1]:
        raise ValueError(
            f"the records of {folder} have no text for every self-generated answer; join both "
            f"{SELF_GENERATED} and {SELF_GENERATED_TEXT} of data_prep.self_answer into the records"
        )
    return index
