"""Each preprocessor by itself: what comes in, what goes out."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tiny_corpus import make_noise

from sift_jax.data.records.record_audio import encode_clip
from sift_jax.data.records.record_reader import RecordReader, decode_clip
from sift_jax.data.tasks.preprocessors import (
    decode_audio,
    keep_category,
    make_output_features,
    make_text_pair,
    read_record,
    render_turns,
    sample_questions,
)
from sift_jax.data.tasks.seqio_vocabulary import SpeechVocabulary
from sift_jax.text.chat import render_chat


def make_turn(text, *paths, category="open_ended"):
    content = [{"audio_path": path} for path in paths] + [{"text": text}]
    answer = {"role": "assistant", "content": [{"text": text.upper()}]}
    return {"category": category, "messages": [{"role": "user", "content": content}, answer]}


def make_dataset(*examples):
    """A dataset of dicts whose values are lists of bytes or of numbers."""
    return tf.data.Dataset.from_generator(
        lambda: iter(examples),
        output_signature={
            key: tf.TensorSpec(
                None, tf.as_dtype(np.asarray(value).dtype) if not is_bytes(value) else tf.string
            )
            for key, value in examples[0].items()
        },
    )


def is_bytes(value):
    return np.asarray(value).dtype.kind in "SO"


def read_all(dataset):
    return list(dataset.as_numpy_iterator())


def turns_of(example):
    return json.loads(example["turns"][0])


def test_read_record_gives_the_record_undecoded(corpus):
    reader = RecordReader(corpus.records, "en")
    places = [2, 0]
    found = read_all(
        read_record(reader, "train")(make_dataset(*({"place": np.int64(p)} for p in places)))
    )
    for place, example in zip(places, found, strict=True):
        record = reader.read("train", place)
        assert list(example["audio"]) == [bytes(x) for x in record["audio"]]
        assert list(example["audio_ids"]) == [bytes(x) for x in record["audio_ids"]]
        assert example["turns"][0] == record["turns"]


def test_keep_category_drops_other_turns_and_empty_records():
    both = [make_turn("a"), make_turn("b", category="x"), make_turn("c")]
    data = make_dataset(
        {"turns": [json.dumps(both).encode()]}, {"turns": [json.dumps(both[1:2]).encode()]}
    )
    found = read_all(keep_category("open_ended")(data))
    assert [turns_of(example) for example in found] == [[both[0], both[2]]]
    assert len(read_all(keep_category("x")(data))) == 2
    assert read_all(keep_category("y")(data)) == []


def test_sample_questions_takes_others_in_other_epochs_but_always_the_same():
    turns = [make_turn(name) for name in "abcdefgh"]
    data = make_dataset({"turns": [json.dumps(turns).encode()]}).repeat(6)

    def sample(count, seed):
        import seqio

        with seqio.utils.map_seed_manager(seed):
            found = read_all(sample_questions(count)(data))
        return [
            "".join(turn["messages"][0]["content"][0]["text"] for turn in turns_of(example))
            for example in found
        ]

    first = sample(3, 1)
    assert first == sample(3, 1) != sample(3, 2)
    assert len(set(first)) > 1 and all(
        len(set(names)) == 3 and list(names) == sorted(names) for names in first
    )
    assert sample(20, 1) == ["abcdefgh"] * 6 == sample(0, 1)


def test_render_turns_concatenates_questions(tokenizer):
    turns = [make_turn("what is this", "/p/b.wav", "/p/a.wav"), make_turn("loud", "/q/a_mic2.wav")]
    data = make_dataset(
        {
            "turns": [json.dumps(turns).encode()],
            "audio_ids": [b"a", b"b"],
            "audio": [b"first", b"second"],
        }
    )
    (found,) = read_all(render_turns(tokenizer)(data))
    rendered = [render_chat(turn["messages"], tokenizer) for turn in turns]
    np.testing.assert_array_equal(found["tokens"], rendered[0].tokens + rendered[1].tokens)
    np.testing.assert_array_equal(found["is_target"], rendered[0].is_target + rendered[1].is_target)
    np.testing.assert_array_equal(
        found["question"], [0] * len(rendered[0].tokens) + [1] * len(rendered[1].tokens)
    )
    np.testing.assert_array_equal(found["clips"], [1, 0, 0])
    assert list(found["audio"]) == [b"first", b"second"]


def test_decode_audio_joins_clips():
    waves = [np.arange(-50, 50, dtype=np.int16), np.arange(30, dtype=np.int16)]
    data = make_dataset({"audio": [encode_clip(wave) for wave in waves], "kept": 7})
    (found,) = read_all(decode_audio()(data))
    np.testing.assert_array_equal(found["audio"], np.concatenate(waves))
    np.testing.assert_array_equal(found["audio_lengths"], [100, 30])
    assert found["audio"].dtype == np.int16 and found["kept"] == 7
    (silent,) = read_all(decode_audio()(data.map(lambda x: {**x, "audio": x["audio"][:0]})))
    assert len(silent["audio"]) == len(silent["audio_lengths"]) == 0


@pytest.mark.parametrize("has_audio", [True, False])
def test_make_text_pair_ends_in_the_same_features(tokenizer, has_audio):
    samples = (make_noise(1) * 32767).astype(np.int16) if has_audio else np.zeros(0, np.int16)
    data = make_dataset({"question": b"Is it loud?", "answer": b"It is.", "audio": samples})
    (found,) = read_all(make_text_pair(tokenizer)(data))
    content = [{"audio_path": "clip"}] * has_audio + [{"text": "Is it loud?"}]
    messages = [
        {"role": "user", "content": content},
        {"role": "assistant", "content": [{"text": "It is."}]},
    ]
    rendered = render_chat(messages, tokenizer)
    np.testing.assert_array_equal(found["tokens"], rendered.tokens)
    np.testing.assert_array_equal(found["is_target"], rendered.is_target)
    assert not found["question"].any() and len(found["question"]) == len(found["tokens"])
    np.testing.assert_array_equal(found["clips"], [0] * has_audio)
    np.testing.assert_array_equal(found["audio_lengths"], [len(samples)] * has_audio)
    features = make_output_features(SpeechVocabulary(tokenizer))
    assert set(found) == {name for name, feature in features.items() if feature.required}


def test_flac_there_and_back():
    wave = (make_noise(2) * 32767).astype(np.int16)
    np.testing.assert_array_equal(decode_clip(encode_clip(wave)), wave)
