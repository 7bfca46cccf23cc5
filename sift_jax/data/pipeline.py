"""The stream of batches that a run reads: SeqIO mixture → plan → this process's rows → batch with mel.

    tasks and rates ─► index of each task ─► plan: step → rows of groups ─► read, decode, lay out, log-mel ─► batch
    └ SeqIO            └ made once           └ the same on all hosts        └ own rows only

The stream is a pure function of (mixture, config, seed): its place is the number of batches drawn, and any number can
be drawn first (plan.py says why). SeqIO defines what a task is and how often it comes; tf.data runs only where a task
has a source of its own, once.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sift_jax.audio.front_ends import FRONT_ENDS
from sift_jax.audio.mel import HOP, RATE
from sift_jax.batch import Batch, BatchShape
from sift_jax.data.draws import Draws, Groups, PlannedTask
from sift_jax.data.packing import PackingCounts, Row, lay_out, make_group
from sift_jax.data.plan import Plan, PlannedBatch
from sift_jax.data.prepare import CachedAudio, RecordAudio, cache_task, index_records
from sift_jax.data.question_index import QuestionIndex
from sift_jax.data.rates import RecordTask, describe_left_out, list_record_tasks, make_task_name, resolve_rates
from sift_jax.data.sift_files import LANGUAGES, SPOKEN_CATEGORIES
from sift_jax.data.tokenizers import AUDIO, SpeechTokenizer
from sift_jax.data.unit_ids import (
    CodecIdentity,
    check_unit_rows,
    place_units,
    read_codec_identity,
    read_range,
    weigh_speech,
)

if TYPE_CHECKING:
    import seqio


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What is read and how it is laid into batches. `rates` defines the mixture; without it the name is looked up."""

    records: str
    tokenizer: str
    mixture: str
    rates: Mapping[str, float] | None
    # how many share an utterance's audio each time it comes; 1 turns sharing off, 0 takes all
    questions_per_record: int
    rows: int
    tokens: int
    targets: int
    clips: int
    # a batch holds clips of one length class, padded to that many seconds; the last must be the encoder's window
    clip_seconds: tuple[float, ...]
    seed: int
    # threads that read, decode and compute mel
    readers: int
    # folder of the codec in whose units answers are spoken; None leaves answers that are speech out
    codec: str | None = dataclasses.field(metadata={"before": None})
    # how much the end of a spoken answer counts, of whose targets it is one in hundreds; decoding takes the bias back
    end_weight: float = dataclasses.field(metadata={"before": 1.0})
    # "first:stop" of units to how much they count, as those of pitch among those of sound
    unit_weights: Mapping[str, float] = dataclasses.field(metadata={"before": {}})

    def __post_init__(self) -> None:
        for name in ("rows", "tokens", "targets", "readers", "questions_per_record"):
            least = 0 if name == "questions_per_record" else 1
            # what is no number is refused by its type, where configs are built
            if isinstance(value := getattr(self, name), int) and value < least:
                raise ValueError(f"DataConfig.{name} is {value}; it must be {least} or more")
        list(map(read_range, self.unit_weights))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeechGeometry:
    """What the data must know of the model: numbers, no more."""

    mel_bins: int
    window_seconds: float
    # whether a clip gives the same frames in a window of any length: only then may there be several
    is_silence_masked: bool
    # what makes mel frames of samples (audio/front_ends.py), and how many positions become of mel frames
    front_end: str
    count_frames: Callable[[int], int]


def make_shapes(config: DataConfig, geometry: SpeechGeometry) -> list[BatchShape]:
    """One static shape for each clip length, shortest first."""
    seconds = tuple(config.clip_seconds)
    if list(seconds) != sorted(set(seconds)) or not seconds or seconds[-1] != geometry.window_seconds:
        raise ValueError(
            f"clip_seconds {seconds} must rise and end in the encoder's window of {geometry.window_seconds} s; "
            f"set DataConfig.clip_seconds = ({geometry.window_seconds},)"
        )
    if len(seconds) > 1 and not geometry.is_silence_masked:
        raise ValueError(
            f"clip_seconds {seconds} are several windows, and this encoder hears the silence that fills them: a clip "
            "would sound otherwise in each; set ModelConfig.frame_mask = 'all' or "
            f"DataConfig.clip_seconds = ({geometry.window_seconds},)"
        )
    return [
        BatchShape(
            rows=config.rows,
            tokens=config.tokens,
            targets=config.targets,
            clips=config.clips,
            mel_frames=round(s * RATE / HOP),
            mel_bins=geometry.mel_bins,
        )
        for s in seconds
    ]


def read_codec(config: DataConfig) -> CodecIdentity | None:
    """Whose units answers are spoken in."""
    return None if config.codec is None else read_codec_identity(config.codec)


def define_tasks(
    config: DataConfig, tokenizer: SpeechTokenizer, modules: tuple, split: str
) -> list[tuple[str, float, RecordTask | seqio.Task]]:
    """(name, rate, where its examples are) of each task of the mixture that has the split."""
    codec = read_codec(config)
    if codec is None and config.rates is not None and (said := describe_left_out(config.records, config.rates)):
        # of a mixture that is made of nothing else, the error below says the rest
        print(said)
    if config.rates is not None and not modules:
        # tasks over records and a table of rates: SeqIO would say the same, with TensorFlow in the process
        known = list_record_tasks(config.records, has_speech=codec is not None)
        rates = resolve_rates(config.rates, list(known)).items()
        found = [(name, rate, known[name]) for name, rate in rates if split in known[name].splits]
        if not found:
            raise ValueError(f"no task of {config.mixture} has a split {split!r}; its tasks: {[n for n, _ in rates]}")
        return found
    from sift_jax.data import mixtures
    from sift_jax.data.tasks import TaskContext, get_record_task
    from sift_jax.data.vocabulary import SpeechVocabulary

    context = TaskContext(
        records=config.records,
        vocabulary=SpeechVocabulary(tokenizer),
        questions_per_record=config.questions_per_record,
        codec=codec,
    )
    tasks = mixtures.define_tasks(config.mixture, config.rates, context, modules, split)
    return [(task.name, rate, get_record_task(task) or task) for task, rate in tasks]


class BatchStream:
    """An endless (or one-epoch) iterator of (shape, batch) over one split of the configured mixture.

    `own_rows` are the rows of every batch that this process reads; None means all of them.
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
    ):
        self.config, self.geometry = config, geometry
        self.tokenizer = SpeechTokenizer(config.tokenizer)
        self.counts = PackingCounts()
        shapes = make_shapes(config, geometry)
        self._own_rows = range(config.rows) if own_rows is None else own_rows
        self.shapes = [dataclasses.replace(shape, rows=len(self._own_rows)) for shape in shapes]
        # a longer clip than the window is left out, whatever is said of its frames
        longest = round(geometry.window_seconds * RATE / HOP) + 1
        self._frames = np.array([0, *map(geometry.count_frames, range(1, longest + 1))])
        self.readers: dict[str, Callable[[int], list[np.ndarray]]] = {}
        defined = define_tasks(config, self.tokenizer, modules, split)
        self._front_end = FRONT_ENDS[geometry.front_end]  # which the modules may have changed
        tasks = [self._plan_task(name, rate, source, split) for name, rate, source in defined]
        draws = Draws(tasks, shapes, self._count_frames, seed=config.seed, is_endless=is_endless)
        self.plan = Plan(draws, seed=config.seed)

    @property
    def share(self) -> float:
        """The part of a batch's rows that this process reads."""
        return len(self._own_rows) / self.config.rows

    def describe_units(self, rows: int) -> dict[str, Any] | None:
        """Whose units answers are spoken in, for the run's folder; an error if so many rows have no room for them."""
        if (codec := read_codec(self.config)) is None:
            return None
        ids = place_units(self.tokenizer)
        check_unit_rows(ids, codec, rows)
        names = {task.name for task in self.plan.draws.tasks}
        spoken = {n for n in LANGUAGES for category in SPOKEN_CATEGORIES if make_task_name(category, n) in names}
        learnt = {"languages": tuple(sorted(spoken)), "end_weight": self.config.end_weight}
        return dataclasses.replace(codec, **learnt).to_json(ids)

    def _plan_task(self, name: str, rate: float, source: RecordTask | seqio.Task, split: str) -> PlannedTask:
        if isinstance(source, RecordTask):
            folder = index_records(source.reader, split, self.tokenizer, read_codec(self.config))
            index = QuestionIndex(folder / source.category.replace("/", "."))
            self.readers[name] = RecordAudio(source.reader, split, index)
            questions = self.config.questions_per_record
        else:
            from sift_jax.data.tasks import RecordSource, drop_sampling

            questions = 0
            if isinstance(source.source, RecordSource):
                source, questions = drop_sampling(source), self.config.questions_per_record
            folder = cache_task(source, split, Path(self.config.records), self.tokenizer)
            index = QuestionIndex(folder)
            self.readers[name] = CachedAudio(folder, index)
        return PlannedTask(name=name, rate=rate, index=index, questions=questions)

    def _count_frames(self, samples: np.ndarray) -> np.ndarray:
        return self._frames[np.minimum(self._front_end.count_frames(samples.astype(np.int64)), len(self._frames) - 1)]

    def read_example(self, groups: Groups, group: int) -> dict[str, np.ndarray]:
        """A group of the plan as the example that its task would give."""
        task, item = self.plan.draws.tasks[groups.task[group]], int(groups.item[group])
        example = task.index.read(item, groups.read_numbers(group).tolist())
        try:
            clips = self.readers[task.name](item)
        except (RuntimeError, ValueError, IndexError) as error:
            said = " ".join(str(error).split())
            raise ValueError(
                f"the audio of item {item} of {task.index.folder} cannot be read ({said}); make those records anew"
            ) from error
        if [len(clip) for clip in clips] != example["audio_lengths"].tolist():
            raise ValueError(f"{task.index.folder} is not of these records; delete it")
        return {**example, "audio": np.concatenate([*clips, np.zeros(0, np.int16)]).astype(np.int16)}

    def _read_row(self, planned: PlannedBatch, row: int) -> Row:
        filled, sizes = Row(self.shapes[planned.level]), planned.groups.sizes
        for g in planned.rows[row]:
            example = self.read_example(planned.groups, g)
            group = make_group(example, audio_id=self.tokenizer.ids[AUDIO], count_frames=self._count_clip)
            if (group.tokens, group.targets) != (sizes.tokens[g], sizes.targets[g]) or not filled.can_hold(group):
                folder = self.plan.draws.tasks[planned.groups.task[g]].index.folder
                raise ValueError(
                    f"item {planned.groups.item[g]} of {folder} takes {group.tokens} positions where {sizes.tokens[g]} "
                    "were planned; delete that folder to index the records anew"
                )
            filled.add(group)
        return filled

    def _count_clip(self, samples: int) -> int:
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
        """The task of each target of a batch that this process has read of it, as a number among the plan's tasks."""
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
        weigh_speech(batch, place_units(self.tokenizer), self.config.end_weight, self.config.unit_weights)

        def fill(clip: tuple[int, int, np.ndarray]) -> None:
            b, a, samples = clip
            heard = samples.astype(np.float32) / 32768.0
            batch["frames_ba"][b, a] = self._front_end.fill(heard, batch["mel_basf"][b, a])

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
        return [[f"{tasks[groups.task[g]].name}#{groups.item[g]}" for g in row] for row in planned.rows]
