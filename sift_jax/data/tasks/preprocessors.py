"""SeqIO preprocessors, one idea each: from the place of a record to the features that packing
reads.

    {"place"} ─read_record─► {"audio", "audio_ids", "turns"} ─keep_category─sample_questions─render_turns─decode_audio─►
    {"tokens"    all questions' ids, one after the other, one marker a clip
     "is_target" 1 where a token is to be learnt      "question" which question a token belongs to
     "clips"     for each marker, which clip          "audio" int16 samples of all clips    "audio_lengths"}

For an evaluation each question stands by itself, with "inputs", its ids up to the answer, and
"targets", the answer's.

A task of your own may end in these features by any other way; `make_text_pair` does it for plain
question-answer pairs.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import seqio
import tensorflow as tf

from sift_jax.data.records.record_reader import RecordReader, decode_clip
from sift_jax.data.records.record_units import UnitSet
from sift_jax.data.tasks.seqio_vocabulary import SpeechVocabulary
from sift_jax.sift.rows import name_utterance
from sift_jax.text.chat import make_question, render_chat
from sift_jax.text.tokenizers import SpeechTokenizer
from sift_jax.text.unit_tokens import CodecIdentity

Preprocessor = Callable[[tf.data.Dataset], tf.data.Dataset]
Vectors = tuple[np.ndarray, ...]


def make_output_features(vocabulary: SpeechVocabulary) -> dict[str, seqio.Feature]:
    """What every task here yields."""

    def plain(dtype: tf.DType) -> seqio.Feature:
        return seqio.Feature(seqio.PassThroughVocabulary(1 << 31), add_eos=False, dtype=dtype)

    return {
        "tokens": seqio.Feature(vocabulary, add_eos=False),
        "is_target": plain(tf.int32),
        "question": plain(tf.int32),
        "clips": plain(tf.int32),
        "audio": plain(tf.int16),
        "audio_lengths": plain(tf.int32),
        # of a question that stands by itself
        "inputs": seqio.Feature(vocabulary, add_eos=False, required=False),
        "targets": seqio.Feature(vocabulary, add_eos=False, required=False),
    }


def _vectors(
    function: Callable, inputs: list[tf.Tensor], dtypes: list[tf.DType]
) -> list[tf.Tensor]:
    """tf.numpy_function whose outputs are all vectors."""
    outputs = tf.numpy_function(function, inputs, dtypes)
    for output in outputs:
        output.set_shape([None])
    return outputs


def read_record(
    reader: RecordReader, split: str, codec: CodecIdentity | None = None
) -> Preprocessor:
    """The record at `place`: still compressed, so that what is filtered away costs nothing.

    With a codec, audio that an assistant speaks comes with its units.
    """
    language = reader.folder.name.removeprefix("sift_")
    units = codec and UnitSet(reader.folder.parent, codec, language, split, digest=reader.digest)

    def read(place: np.ndarray) -> Vectors:
        record = reader.read(split, int(place))
        turns = record["turns"]
        if units:
            parsed = json.loads(turns)
            units.attach(parsed, [name.decode() for name in record["audio_ids"]], int(place))
            turns = json.dumps(parsed, ensure_ascii=False).encode()
        return (
            np.asarray(record["audio"], object),
            np.asarray(record["audio_ids"], object),
            np.asarray([turns], object),
        )

    def add(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        audio, audio_ids, turns = _vectors(read, [example["place"]], [tf.string] * 3)
        return {"audio": audio, "audio_ids": audio_ids, "turns": turns}

    return lambda dataset: dataset.map(add, num_parallel_calls=1)


def keep_category(category: str) -> Preprocessor:
    """Only the turns of one category; records without any disappear."""

    def keep(turns: np.ndarray) -> Vectors:
        kept = [turn for turn in json.loads(turns[0]) if turn["category"] == category]
        return (np.asarray([json.dumps(kept).encode()] if kept else [], object),)

    def change(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        (turns,) = _vectors(keep, [example["turns"]], [tf.string])
        return {**example, "turns": turns}

    return lambda dataset: dataset.map(change).filter(lambda example: tf.size(example["turns"]) > 0)


def sample_questions(count: int) -> Preprocessor:
    """At most `count` questions of a record, other ones in each epoch; 0 keeps all."""

    def sample(turns: np.ndarray, seed: np.ndarray) -> Vectors:
        found = json.loads(turns[0])
        chosen = np.sort(np.random.default_rng(seed.tolist()).permutation(len(found))[:count])
        return (np.asarray([json.dumps([found[i] for i in chosen]).encode()], object),)

    @seqio.map_over_dataset(num_seeds=1)
    def change(example: dict[str, tf.Tensor], seed: tf.Tensor) -> dict[str, tf.Tensor]:
        bits = tf.bitcast(tf.cast(seed, tf.int32), tf.uint32)
        (turns,) = _vectors(sample, [example["turns"], bits], [tf.string])
        return {**example, "turns": turns}

    return change if count else lambda dataset: dataset


def render_turns(tokenizer: SpeechTokenizer) -> Preprocessor:
    """Turns to ids by the chat template."""

    def render(turns: np.ndarray, audio_ids: np.ndarray) -> Vectors:
        place = {name.decode(): i for i, name in enumerate(audio_ids)}
        tokens, is_target, question, clips = [], [], [], []
        for number, turn in enumerate(json.loads(turns[0])):
            rendered = render_chat(turn["messages"], tokenizer)
            tokens += rendered.tokens
            is_target += rendered.is_target
            question += [number] * len(rendered.tokens)
            clips += [place[name_utterance(path)] for path in rendered.audio]
        return tuple(np.asarray(x, np.int32) for x in (tokens, is_target, question, clips))

    def add(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        names = ("tokens", "is_target", "question", "clips")
        values = _vectors(render, [example["turns"], example["audio_ids"]], [tf.int32] * 4)
        return {"audio": example["audio"], **dict(zip(names, values, strict=True))}

    return lambda dataset: dataset.map(add)


def split_questions() -> Preprocessor:
    """An example for each question of a record, before they are rendered."""

    def split(turns: np.ndarray) -> Vectors:
        return (np.asarray([json.dumps([turn]).encode() for turn in json.loads(turns[0])], object),)

    def change(example: dict[str, tf.Tensor]) -> tf.data.Dataset:
        (questions,) = _vectors(split, [example["turns"]], [tf.string])
        return tf.data.Dataset.from_tensor_slices(questions).map(
            lambda turn: {**example, "turns": turn[None]}
        )

    return lambda dataset: dataset.flat_map(change)


def add_answer() -> Preprocessor:
    """Of a question that stands by itself, "inputs" up to its last answer, and "targets", that
    answer."""

    def split(tokens: np.ndarray, is_target: np.ndarray) -> Vectors:
        last = np.flatnonzero(is_target)[-1] + 1
        # behind the last token before it that is not learnt
        first = np.flatnonzero(is_target[:last] == 0)[-1] + 1
        return tokens[:first], tokens[first:last]

    def add(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        inputs, targets = _vectors(split, [example["tokens"], example["is_target"]], [tf.int32] * 2)
        return {**example, "inputs": inputs, "targets": targets}

    return lambda dataset: dataset.map(add)


def decode_audio() -> Preprocessor:
    """FLAC or Opus to samples, all clips in one vector with their lengths."""

    def decode(audio: np.ndarray) -> Vectors:
        clips = [decode_clip(data) for data in audio]
        samples = np.concatenate(clips) if clips else np.zeros(0, np.int16)
        return samples.astype(np.int16), np.asarray([len(clip) for clip in clips], np.int32)

    def change(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        audio, lengths = _vectors(decode, [example["audio"]], [tf.int16, tf.int32])
        return {**example, "audio": audio, "audio_lengths": lengths}

    return lambda dataset: dataset.map(change)


def make_text_pair(tokenizer: SpeechTokenizer) -> Preprocessor:
    """For tasks of your own: {"question", "answer", "audio" (int16 samples of one clip)} to the
    features above."""

    def render(question: bytes, answer: bytes, audio: np.ndarray) -> Vectors:
        messages = make_question(question.decode(), ["clip"] if len(audio) else [])
        messages.append({"role": "assistant", "content": [{"text": answer.decode()}]})
        rendered = render_chat(messages, tokenizer)
        tokens, is_target = (
            np.asarray(rendered.tokens, np.int32),
            np.asarray(rendered.is_target, np.int32),
        )
        clips = np.zeros(len(rendered.audio), np.int32)
        return (
            tokens,
            is_target,
            np.zeros_like(tokens),
            clips,
            np.asarray([len(audio)] * len(clips), np.int32),
        )

    def change(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        names = ("tokens", "is_target", "question", "clips", "audio_lengths")
        inputs = [example["question"], example["answer"], example["audio"]]
        values = _vectors(render, inputs, [tf.int32] * 5)
        return {"audio": example["audio"], **dict(zip(names, values, strict=True))}

    return lambda dataset: dataset.map(change)
