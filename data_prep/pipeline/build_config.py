"""What a build is told: the corpus, how much of it, how it is written down, and what runs the
work."""

import dataclasses
from pathlib import Path

from data_prep.alignment.word_time_stage import Aligning
from data_prep.corpora.registry import MANIFEST, Reading
from data_prep.corpora.splits import DEV, EVALUATION, TRAIN
from data_prep.engine.beam_engine import Engine
from data_prep.metadata.metadata_table import Measuring
from data_prep.pipeline.split_gaps import Drawing
from sift_jax.sift.fields import Fields


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildConfig:
    """`train`, `dev` and `evaluation` are utterances a language, at most; None is all that there
    are, or of dev and evaluation all that a manifest states, and what it does not is drawn up to
    `splits.DRAWN`. `shared_sentences` is one of `splits.SHARED_CHOICES`, or None: apart, but for
    what a manifest states; `claims` of `claims.CLAIMS`."""

    corpus: str
    reading: Reading
    aligning: Aligning
    measuring: Measuring
    out: Path
    publish: str | None
    languages: tuple[str, ...]
    train: int | None
    dev: int | None
    evaluation: int | None
    shared_sentences: str | None
    claims: str
    evaluation_rows: int
    wordings: int
    # those before it, which questions are not asked in
    skip_wordings: int
    plain: bool
    rows_per_utterance: int
    compression: str
    seed: int
    engine: Engine
    # tables of the free fields that the corpus may have
    fields: Fields

    @property
    def sizes(self) -> dict[str, int | None]:
        return {TRAIN: self.train, DEV: self.dev, EVALUATION: self.evaluation}

    @property
    def drawing(self) -> Drawing:
        return Drawing(
            sizes=self.sizes,
            others=self.locale_sizes,
            shared=self.shared_sentences,
            is_stated=self.corpus == MANIFEST,
        )

    @property
    def locale_sizes(self) -> dict[str, dict[str, int | None]]:
        """Of languages that are only to be told from the others: one in ten held back for dev, one
        for EvalSIFT."""
        held = self.reading.locale_utterances // 10
        sizes: dict[str, int | None] = {
            TRAIN: self.reading.locale_utterances - 2 * held,
            DEV: held,
            EVALUATION: held,
        }
        return dict.fromkeys(self.reading.locales, sizes)
