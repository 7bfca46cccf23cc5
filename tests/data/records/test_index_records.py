"""What is made once: by one process, whole or not at all, and again when what it was made from has
changed."""

import functools
import os
import threading
import time

import numpy as np
import pytest
import seqio
import tensorflow as tf
from tiny_corpus import make_noise
from tiny_run import make_data

from sift_jax.data.batch_stream import BatchStream, SpeechGeometry
from sift_jax.data.records import index_records as index_module
from sift_jax.data.records.index_records import (
    CachedAudio,
    cache_task,
    count_samples,
    index_records,
    make_once,
)
from sift_jax.data.records.question_index import QuestionIndex
from sift_jax.data.records.record_audio import COMPRESSIONS, encode_clip
from sift_jax.data.records.record_reader import RecordReader, decode_clip
from sift_jax.data.tasks.preprocessors import make_output_features, make_text_pair
from sift_jax.data.tasks.seqio_tasks import get_record_task, make_sift_task, use_records
from sift_jax.data.tasks.seqio_vocabulary import SpeechVocabulary
from sift_jax.text.tokenizers import SpeechTokenizer

GEOMETRY = SpeechGeometry(
    hears_units=False,
    mel_bins=80,
    window_seconds=2.0,
    is_silence_masked=True,
    front_end="whisper",
    count_frames=lambda frames: -(-frames // 8),
)


def make_task(tokenizer, path, preprocessors=()):
    """A task over lines of text, each about the same noise or about nothing: a source of SeqIO's
    own."""

    def split_line(dataset):
        samples = tf.constant((make_noise(2) * 32767).astype(np.int16))

        def change(line):
            parts = tf.strings.split(line, ";")
            audio = tf.cond(parts[0] == "", lambda: samples[:0], lambda: samples)
            return {"question": parts[1], "answer": parts[2], "audio": audio}

        return dataset.map(change)

    return seqio.Task(
        "mine.lines",
        source=seqio.TextLineDataSource({"train": str(path)}),
        preprocessors=[split_line, *preprocessors, make_text_pair(tokenizer)],
        output_features=make_output_features(SpeechVocabulary(tokenizer)),
        metric_fns=[],
    )


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{'a' if i % 3 else ''};What is {i}?;It is {i}.\n" for i in range(9)))
    return path


def read_cached(folder):
    index = QuestionIndex(folder)
    audio = CachedAudio(folder, index)
    nothing = np.zeros(0, np.int16)
    return [
        {**index.read(i, [0]), "audio": np.concatenate([*audio(i), nothing])}
        for i in range(len(index))
    ]


def test_a_source_without_random_access_is_cached_as_seqio_reads_it(
    tokenizer, lines, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("sift_jax.progress.LINE_SECONDS", 0.0)
    task = make_task(tokenizer, lines)
    folder = cache_task(task, "train", tmp_path / "records", tokenizer)
    expected = list(task.get_dataset(None, split="train", shuffle=False).as_numpy_iterator())
    found = read_cached(folder)
    assert len(found) == len(expected) == 9
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.keys() == theirs.keys()
        for key, value in theirs.items():
            np.testing.assert_array_equal(mine[key], value, err_msg=key)
    said = capsys.readouterr()
    assert "caching mine.lines train: " in said.err and not said.out
    assert cache_task(task, "train", tmp_path / "records", tokenizer) == folder
    assert (
        f"mine.lines: train as cached in {folder}; delete it to read the source again"
        in capsys.readouterr().out
    )


def test_a_changed_source_is_cached_anew(tokenizer, lines, tmp_path):
    first = cache_task(make_task(tokenizer, lines), "train", tmp_path, tokenizer)
    lines.write_text(lines.read_text() + ";What is it?;It is new.\n")
    second = cache_task(make_task(tokenizer, lines), "train", tmp_path, tokenizer)
    third = cache_task(
        make_task(tokenizer, lines, [lambda dataset: dataset.take(4)]), "train", tmp_path, tokenizer
    )
    assert len({first, second, third}) == 3
    assert [len(QuestionIndex(folder)) for folder in (first, second, third)] == [9, 10, 4]


def take(dataset, count):
    return dataset.take(count)


def take_20(dataset):
    return dataset.take(20)


def take_25(dataset):
    return dataset.take(25)


def make_taking(count):
    return lambda dataset: dataset.take(count)


@pytest.mark.parametrize(
    "make",
    [
        make_taking,
        lambda count: functools.partial(take, count=count),
        lambda count: {20: take_20, 25: take_25}[count],
    ],
)
def test_a_task_that_differs_in_a_number_alone_is_cached_anew(tokenizer, lines, tmp_path, make):
    """Behind the examples that are looked at: there the code is all that tells."""
    lines.write_text("".join(f";What is {i}?;It is {i}.\n" for i in range(30)))
    folders = [
        cache_task(make_task(tokenizer, lines, [make(n)]), "train", tmp_path, tokenizer)
        for n in (20, 25, 20)
    ]
    assert [len(QuestionIndex(folder)) for folder in folders] == [20, 25, 20] and folders[
        0
    ] == folders[2]


def test_what_is_cached_of_the_same_is_the_same_plan(corpus, tokenizer, lines, tmp_path):
    """A copy on another machine has other times: it is cached again there, and a run goes on with
    it."""
    first = QuestionIndex(cache_task(make_task(tokenizer, lines), "train", tmp_path, tokenizer))
    os.utime(lines, (1, 1))
    second = QuestionIndex(cache_task(make_task(tokenizer, lines), "train", tmp_path, tokenizer))
    assert first.folder != second.folder and first.identity == second.identity
    lines.write_text(lines.read_text().replace("It is 8.", "It is 9."))
    third = QuestionIndex(cache_task(make_task(tokenizer, lines), "train", tmp_path, tokenizer))
    assert third.identity != first.identity


def test_a_changed_task_over_records_shows_all_their_questions(corpus, tokenizer):
    """SeqIO takes some of them again in each epoch; what is cached is read once."""

    def register(context):
        from sift_jax.data.tasks.seqio_tasks import register as register_task

        task = make_sift_task("closed_ended/acoustic_level", "en")
        register_task(
            task.replace(
                name="mine.changed", preprocessors=[*task.preprocessors, lambda dataset: dataset]
            )
        )
        return ["mine.changed"]

    module = type("Module", (), {"register": staticmethod(register)})
    data = make_data(corpus, rates={"mine.*": 1.0}, questions_per_record=1)
    stream = BatchStream(data, GEOMETRY, split="train", is_endless=True, modules=(module,))
    groups = stream.plan.draws.draw(0, 12)
    shown = {(int(groups.item[g]), *groups.numbers[g].tolist()) for g in range(12)}
    assert shown == {(item, question) for item in range(6) for question in range(2)}


def test_our_tasks_are_planned_over_their_records_and_changed_ones_are_not(corpus, tokenizer):
    use_records(str(corpus.records), tokenizer=tokenizer.folder)
    task = make_sift_task("open_ended", "en")
    assert get_record_task(task).category == "open_ended"
    assert get_record_task(task.replace(name="same")).category == "open_ended"
    shorter = task.replace(preprocessors=[*task.preprocessors, lambda dataset: dataset.take(1)])
    assert get_record_task(shorter) is None


def test_one_makes_it_and_the_others_wait(tmp_path):
    made = []

    def make(draft):
        made.append(draft)
        draft.mkdir()
        time.sleep(0.2)
        (draft / "whole").write_text("yes")

    def ask():
        assert (make_once(tmp_path / "a" / "b", make) / "whole").read_text() == "yes"

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_where_there_are_no_locks_the_first_to_be_done_names_the_folder(tmp_path, monkeypatch):
    """Nor is the number of a process of any use: in containers on two machines it is the same."""

    def refuse(*_):
        raise OSError("no locks on this file system")

    monkeypatch.setattr(index_module.fcntl, "flock", refuse)
    monkeypatch.setattr("os.getpid", lambda: 7)
    both, made = threading.Barrier(2), []

    def make(draft):
        draft.mkdir(parents=True)
        both.wait(10)
        (draft / "whole").write_text("yes")

    def ask():
        made.append((make_once(tmp_path / "a" / "b", make) / "whole").read_text())

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["yes", "yes"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["b", "b.lock"]


def test_what_failed_is_made_anew(tmp_path):
    def fail(draft):
        draft.mkdir()
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        make_once(tmp_path / "x", fail)
    assert not list(tmp_path.glob("x.part*"))
    assert make_once(tmp_path / "x", lambda draft: draft.mkdir()).is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ValueError, match="is kept beside the records .*; make that folder writable"
    ):
        make_once(tmp_path / "file" / "x", fail)


def test_another_tokenizer_or_other_records_are_indexed_anew(corpus, tokenizer, monkeypatch):
    reader = RecordReader(corpus.records, "de")
    first = index_records(reader, "dev", tokenizer)
    assert index_records(reader, "dev", tokenizer) == first
    monkeypatch.setattr(index_module, "_digest_tokenizer", lambda _: "another")
    assert index_records(reader, "dev", tokenizer) != first


def test_a_tokenizer_is_hashed_once(corpus, monkeypatch):
    """It is megabytes, and a run has dozens of tasks."""
    tokenizer, read = SpeechTokenizer(corpus.tokenizer), []
    digest = property(lambda self: read.append(1) or "x")
    monkeypatch.setattr(SpeechTokenizer, "digest", digest)
    for language in ("en", "de", "en"):
        index_records(RecordReader(corpus.records, language), "dev", tokenizer)
    assert len(read) == 1


def test_a_task_without_examples_is_refused(corpus, tokenizer, lines):
    def register(context):
        from sift_jax.data.tasks.seqio_tasks import register as register_task

        register_task(
            make_task(tokenizer, lines, [lambda dataset: dataset.filter(lambda _: False)])
        )
        return ["mine.lines"]

    module = type("Module", (), {"register": staticmethod(register)})
    data = make_data(corpus, rates={"mine.*": 1.0, "sift.open_ended.en": 1.0})
    with pytest.raises(
        ValueError,
        match="task mine.lines has no examples, so none can be drawn at its rate; leave it",
    ):
        BatchStream(data, GEOMETRY, split="train", is_endless=True, modules=(module,))
    # where nothing is drawn by rates, nothing is missing
    rest = BatchStream(data, GEOMETRY, split="train", is_endless=False, modules=(module,))
    assert len(list(rest.batches())) > 0


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("length", [160, 4097, 50_001])
def test_samples_are_counted_without_decoding(compression, length):
    data = encode_clip((make_noise(1, 4.0)[:length] * 32767).astype(np.int16), compression)
    assert count_samples(data) == len(decode_clip(data)) == length


def test_a_task_of_ones_own_is_in_the_batches(corpus, tokenizer, lines):
    def register(context):
        from sift_jax.data.tasks.seqio_tasks import register as register_task

        register_task(make_task(context.vocabulary.tokenizer, lines))
        return ["mine.lines"]

    module = type("Module", (), {"register": staticmethod(register)})
    data = make_data(
        corpus, rates={"mine.*": 1.0, "sift.open_ended.en": 1.0}, rates_count="records"
    )
    stream = BatchStream(data, GEOMETRY, split="train", is_endless=True, modules=(module,))
    shares = np.bincount(stream.plan.get_block(0).batches[0].groups.task)
    assert abs(int(shares[0]) - int(shares[1])) <= 1
    assert next(stream.batches())[1]["weight_bm"].sum() > 0
