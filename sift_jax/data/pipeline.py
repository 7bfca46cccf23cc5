"""The stream of batches that a run reads: SeqIO mixture → groups → rows → batch with mel.

    mixture.get_dataset(seed) ─► make_group ─► one packer per clip length ─► lay_out ─► log-mel ─► (shape, Batch)

The stream is a pure function of (mixture, config, seed): its place is the number of batches drawn. A restart replays
the packing without computing mel, and goes on with exactly the batches that an unbroken run would see.
"""

from __future__ import annotations

import dataclasses
import queue
import threading
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from sift_jax.audio.mel import HOP, RATE, count_mel_frames, fill_log_mel
from sift_jax.batch import Batch, BatchShape
from sift_jax.data.mixtures import get_mixture, make_mixture, register_mixture
from sift_jax.data.packing import Group, Packer, PackingCounts, Row, lay_out, make_group
from sift_jax.data.tasks import TaskContext, register_sift_tasks
from sift_jax.data.tokenizers import AUDIO, SpeechTokenizer
from sift_jax.data.vocabulary import SpeechVocabulary


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What is read and how it is laid into batches. `rates` defines the mixture; without it the name is looked up."""

    records: str
    tokenizer: str
    mixture: str
    rates: Mapping[str, float] | None
    questions_per_record: int
    rows: int
    tokens: int
    targets: int
    clips: int
    # a batch holds clips of one length class, padded to that many seconds; the last must be the encoder's window
    clip_seconds: tuple[float, ...]
    seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeechGeometry:
    """What the data must know of the model: numbers, no more."""

    mel_bins: int
    window_seconds: float
    # whether a clip gives the same frames in a window of any length: only then may there be several
    is_silence_masked: bool
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


class BatchStream:
    """An endless (or one-epoch) iterator of (shape, batch) over one split of the configured mixture."""

    def __init__(
        self, config: DataConfig, geometry: SpeechGeometry, *, split: str, is_endless: bool, modules: tuple = ()
    ):
        self.config, self.geometry = config, geometry
        self.shapes = make_shapes(config, geometry)
        self.tokenizer = SpeechTokenizer(config.tokenizer)
        self.counts = PackingCounts()
        vocabulary = SpeechVocabulary(self.tokenizer)
        context = TaskContext(
            records=config.records, vocabulary=vocabulary, questions_per_record=config.questions_per_record
        )
        names = register_sift_tasks(context)
        for module in modules:
            if hasattr(module, "register"):
                names += module.register(context) or []
        if config.rates is not None:
            register_mixture(make_mixture(config.mixture, config.rates, names))
        mixture = get_mixture(config.mixture)
        self.dataset = mixture.get_dataset(
            None, split=split, shuffle=True, seed=config.seed, num_epochs=None if is_endless else 1
        )

    def _groups(self) -> Iterator[Group]:
        audio_id = self.tokenizer.ids[AUDIO]
        for example in self.dataset.as_numpy_iterator():
            yield make_group(
                example, audio_id=audio_id, count_frames=lambda n: self.geometry.count_frames(count_mel_frames(n))
            )

    def _rows(self) -> Iterator[tuple[BatchShape, list[Row]]]:
        """Rows of a batch, in the order in which the packers of the clip lengths fill up."""
        packers = [Packer(shape, self.counts) for shape in self.shapes]
        for group in self._groups():
            longest = max((count_mel_frames(len(clip)) for clip in group.clips), default=0)
            fitting = [packer for packer in packers if longest <= packer.shape.mel_frames]
            if not fitting:
                self.counts.drop(group)
                continue
            rows = fitting[0].push(group)
            if rows is not None:
                yield fitting[0].shape, rows
        for packer in packers:
            for rows in packer.drain():
                yield packer.shape, rows

    def batches(self, skip: int = 0) -> Iterator[tuple[BatchShape, Batch]]:
        """The batches from number `skip` on."""
        for number, (shape, rows) in enumerate(self._rows()):
            if number >= skip:
                yield shape, self._finish(shape, rows)

    def _finish(self, shape: BatchShape, rows: list[Row]) -> Batch:
        slots = self.geometry.count_frames(shape.mel_frames)
        batch, clips = lay_out(rows, shape, slots)
        for b, a, samples in clips:
            batch["frames_ba"][b, a] = fill_log_mel(samples.astype(np.float32) / 32768.0, batch["mel_basf"][b, a])
        return batch


def prefetch(items: Iterator, depth: int) -> Iterator:
    """Draws `items` in a thread of its own, `depth` ahead; what it raises is raised here."""
    waiting: queue.Queue = queue.Queue(depth)
    is_closed = threading.Event()

    def put(entry: tuple) -> bool:
        while not is_closed.is_set():
            try:
                waiting.put(entry, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def draw() -> None:
        try:
            for item in items:
                if not put(("item", item)):
                    return
            put(("end", None))
        except BaseException as error:  # noqa: BLE001 - it is raised again by the reader
            put(("error", error))

    threading.Thread(target=draw, daemon=True).start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        is_closed.set()
