"""Tasks and mixtures: what SeqIO's own registry gives, what a user adds, and what is refused."""

import types

import numpy as np
import pytest
import seqio
import tensorflow as tf
from tiny_corpus import SIZES, make_noise
from tiny_run import RATES, make_data

from sift_jax.data.batch_stream import BatchStream, SpeechGeometry
from sift_jax.data.mixtures import get_mixture, make_mixture, register_mixture
from sift_jax.data.tasks.mixture_table import TASKS, make_task_name
from sift_jax.data.tasks.preprocessors import make_output_features, make_text_pair
from sift_jax.data.tasks.seqio_tasks import (
    TaskContext,
    list_splits,
    make_sift_task,
    register,
    use_context,
)
from sift_jax.data.tasks.seqio_vocabulary import SpeechVocabulary
from sift_jax.sift.rows import ALL_CATEGORIES, CATEGORIES, LANGUAGES
from sift_jax.text.tokenizers import AUDIO

GEOMETRY = SpeechGeometry(
    hears_units=False,
    mel_bins=80,
    window_seconds=2.0,
    is_silence_masked=True,
    front_end="whisper",
    count_frames=lambda frames: max(1, -(-frames // 8)),
)


@pytest.fixture
def names(corpus, tokenizer):
    """The tasks that the records can serve."""
    use_context(
        TaskContext(
            records=str(corpus.records),
            vocabulary=SpeechVocabulary(tokenizer),
            questions_per_record=2,
            codec=None,
        )
    )
    return [name for name in TASKS if list_splits(seqio.TaskRegistry.get(name))]


def test_a_task_for_each_category_and_language(names):
    expected = [
        make_task_name(category, language)
        for language in ("en", "de")
        for category in CATEGORIES[:-1]
    ]
    assert sorted(names) == sorted(expected)
    assert make_task_name("closed_ended/word_align", "fr") == "sift.closed_ended.word_align.fr"
    assert len(TASKS) == len(ALL_CATEGORIES) * len(LANGUAGES) and set(TASKS) <= set(
        seqio.TaskRegistry.names()
    )


@pytest.mark.parametrize("split", SIZES)
def test_seqio_reads_a_task_by_its_name(names, tokenizer, split):
    task = seqio.get_mixture_or_task("sift.closed_ended.acoustic_level.en")
    examples = list(task.get_dataset(None, split=split, shuffle=False).as_numpy_iterator())
    assert len(examples) == SIZES[split]
    for example in examples:
        assert (np.diff(example["question"]) >= 0).all() and set(example["question"]) == {0, 1}
        assert (example["tokens"] == tokenizer.ids[AUDIO]).sum() == len(example["clips"]) == 2
        assert (
            example["audio_lengths"].sum() == len(example["audio"])
            and example["audio"].dtype == np.int16
        )
    assert "It is loud." in tokenizer.decode(examples[0]["tokens"][examples[0]["is_target"] > 0])


def test_seqio_reads_a_mixture_by_its_name(names):
    register_mixture(make_mixture("two_tongues", {"sift.open_ended.*": 1.0}, names))
    mixture = seqio.get_mixture_or_task("two_tongues")
    dataset = mixture.get_dataset(None, split="train", shuffle=False, num_epochs=1, seed=1)
    assert len(list(dataset.as_numpy_iterator())) == 2 * SIZES["train"]
    assert get_mixture("two_tongues") is mixture
    # a second registration takes the place of the first
    register_mixture(make_mixture("two_tongues", {"sift.open_ended.en": 1.0}, names))
    assert [task.name for task in seqio.get_mixture_or_task("two_tongues").tasks] == [
        "sift.open_ended.en"
    ]


def test_shuffling_follows_the_seed(names):
    task = seqio.get_mixture_or_task("sift.open_ended.en")

    def read(seed):
        dataset = task.get_dataset(None, split="train", shuffle=True, seed=seed, num_epochs=3)
        return [
            len(example["audio"]) + int(example["tokens"].sum())
            for example in dataset.as_numpy_iterator()
        ]

    first, second = read(1), read(2)
    assert first == read(1) and first != second and sorted(first) == sorted(second)
    epochs = [first[i : i + SIZES["train"]] for i in range(0, len(first), SIZES["train"])]
    assert epochs[0] != epochs[1] or epochs[1] != epochs[2]


def test_records_that_lack_a_category_or_language_say_so(names):
    with pytest.raises(
        ValueError, match="hold nothing of pretraining/asr; build them with that category"
    ):
        seqio.get_mixture_or_task("sift.pretraining.asr.en").get_dataset(None, split="train")
    with pytest.raises(ValueError, match="no records at .*sift_fr; make them with"):
        seqio.get_mixture_or_task("sift.open_ended.fr").get_dataset(None, split="train")
    with pytest.raises(ValueError, match="hold nothing of closed_ended/other"):
        make_sift_task("closed_ended/other", "en").get_dataset(None, split="train")


def test_an_unknown_mixture_names_the_known(names):
    with pytest.raises(
        ValueError, match="unknown mixture 'sift.open'; known are .*understanding.*--module_import"
    ):
        get_mixture("sift.open")


def make_module(seen):
    """A user's own module: a task of plain question-answer pairs, with and without audio."""

    def register_own(context):
        seen.append(context)
        samples = (make_noise(5) * 32767).astype(np.int16)

        def make_pairs(split, shuffle_files, seed=None):
            pairs = [
                (b"Is it loud?", b"It is loud.", samples),
                (b"What is this?", b"It is soft.", samples[:0]),
            ]
            return tf.data.Dataset.from_generator(
                lambda: ({"question": q, "answer": a, "audio": s} for q, a, s in pairs),
                output_signature={
                    "question": tf.TensorSpec((), tf.string),
                    "answer": tf.TensorSpec((), tf.string),
                    "audio": tf.TensorSpec([None], tf.int16),
                },
            )

        task = seqio.Task(
            "mine.pairs",
            source=seqio.FunctionDataSource(make_pairs, splits=["train", "dev"]),
            preprocessors=[make_text_pair(context.vocabulary.tokenizer)],
            output_features=make_output_features(context.vocabulary),
            metric_fns=[],
        )
        register(task)
        return [task.name]

    return types.SimpleNamespace(register=register_own)


def test_a_task_of_ones_own_stands_beside_ours(corpus, tokenizer):
    seen = []
    data = make_data(corpus, rates={**RATES, "mine.*": 3.0})
    stream = BatchStream(
        data, GEOMETRY, split="train", is_endless=False, modules=(make_module(seen),)
    )
    assert seen[0].records == str(corpus.records)
    assert "mine.pairs" in [task.name for task in stream.plan.draws.tasks]
    batches = [batch for _, batch in stream.batches()]
    rows = [pair for b in batches for pair in zip(b["token_bt"], b["slot_bt"], strict=True)]
    texts = [tokenizer.decode(row[slot < 0]) for row, slot in rows]
    assert any("It is soft." in text for text in texts) and any(
        "It is loud." in text for text in texts
    )


def test_a_registered_mixture_needs_no_rates(corpus, names):
    register_mixture(make_mixture("by_name", {"sift.open_ended.en": 1.0}, names))
    stream = BatchStream(
        make_data(corpus, name="by_name", rates=None), GEOMETRY, split="dev", is_endless=False
    )
    (shape, batch), *_ = stream.batches()
    assert batch["weight_bm"].sum() > 0 and stream.counts.groups == SIZES["dev"]
