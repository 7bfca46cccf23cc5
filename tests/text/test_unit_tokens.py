"""Answers that are speech: ids, targets, what is heard and what is not, and the plan over them."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from tiny_corpus import SIZES
from tiny_model import make_config, make_params, measure_loss
from tiny_run import SPOKEN, change_data, make_data

from sift_jax.codecs.embedded.utterance_header import HEAD_CODES
from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.defined_tasks import define_tasks
from sift_jax.data.records.index_records import index_records
from sift_jax.data.records.question_index import QuestionIndex
from sift_jax.data.records.record_reader import RecordReader
from sift_jax.data.records.record_units import UnitSet
from sift_jax.data.row_layout import Row, lay_out, make_group
from sift_jax.data.tasks.seqio_tasks import TaskContext, list_splits, make_sift_task, use_context
from sift_jax.data.tasks.seqio_vocabulary import SpeechVocabulary
from sift_jax.text.chat import render_chat
from sift_jax.text.tokenizers import AUDIO, SPECIAL_TOKENS, TURN_END
from sift_jax.text.unit_tokens import (
    UNITS_FILE,
    UnitIds,
    check_unit_rows,
    list_weights,
    place_units,
    read_codec_identity,
    read_units_file,
)
from sift_jax.training.job import make_geometry

CONFIG = make_config(extra_tokens=127)
GENERATION = "controllable_generation"


def converse(user, *answer):
    return [{"role": "user", "content": user}, {"role": "assistant", "content": list(answer)}]


@pytest.fixture(scope="module")
def codec(codec_folder):
    return read_codec_identity(codec_folder)


@pytest.fixture(scope="module")
def reader(spoken_records):
    return RecordReader(spoken_records, "en")


@pytest.fixture(scope="module")
def data(corpus, spoken_records, codec_folder):
    return make_data(corpus, records=str(spoken_records), codec=str(codec_folder), **SPOKEN)


def test_units_stand_behind_every_id_of_the_tokenizer(tokenizer):
    ids = place_units(tokenizer)
    assert (ids.begin, ids.end, ids.first) == (
        len(tokenizer),
        len(tokenizer) + 1,
        len(tokenizer) + 2,
    )
    assert ids.write([0, 5]) == [ids.begin, ids.first, ids.first + 5, ids.end]
    assert ids.read(ids.write([0, 5])[1:]).tolist() == [0, 5] and ids.read(
        [ids.first + 3]
    ).tolist() == [3]


def test_an_answer_is_delimiter_units_delimiter_and_all_of_it_is_learnt(tokenizer):
    ids, end = place_units(tokenizer), tokenizer.ids[TURN_END]
    rendered = render_chat(
        converse([{"text": "Say it."}], {"audio_path": "a.wav", "units": [3, 1, 1]}), tokenizer
    )
    learnt = [
        t for t, is_target in zip(rendered.tokens, rendered.is_target, strict=True) if is_target
    ]
    assert learnt == ids.write([3, 1, 1]) and rendered.audio == []
    assert rendered.tokens[rendered.tokens.index(ids.end) + 1] == end


def test_text_before_speech_is_learnt_too(tokenizer):
    messages = converse(
        [{"text": "Say it."}], {"text": "Here:"}, {"audio_path": "a.wav", "units": [3]}
    )
    rendered = render_chat(messages, tokenizer)
    learnt = [
        t for t, is_target in zip(rendered.tokens, rendered.is_target, strict=True) if is_target
    ]
    assert learnt == [*tokenizer.encode("Here:"), *place_units(tokenizer).write([3])]


def test_audio_in_and_audio_out_in_one_conversation(tokenizer):
    """A spoken answer is part of what follows, in units; what the user sends is heard as a clip, or
    as units where it has them."""
    first = converse([{"audio_path": "q.wav", "units": [9]}], {"audio_path": "a.wav", "units": [7]})
    rendered = render_chat(
        [*first, *converse([{"audio_path": "r.wav"}], {"text": "Yes."})], tokenizer
    )
    ids = place_units(tokenizer)
    assert rendered.audio == ["r.wav"] and rendered.tokens.count(tokenizer.ids[AUDIO]) == 1
    assert [t for t in rendered.tokens if t >= ids.begin] == [*ids.write([9]), *ids.write([7])]


def test_no_text_opens_a_speech_segment(tokenizer):
    said = [
        "".join(SPECIAL_TOKENS),
        "<|speech_begin|>",
        "<|unit_3|>",
        "\ue000",
        str(place_units(tokenizer).begin),
    ]
    for text in said:
        assert max(tokenizer.encode(text)) < place_units(tokenizer).begin
        rendered = render_chat(converse([{"text": text}], {"text": text}), tokenizer)
        assert max(rendered.tokens) < place_units(tokenizer).begin


def test_a_vocabulary_without_room_is_refused(codec):
    ids = UnitIds(begin=384)
    check_unit_rows(ids, codec, 384 + 127)
    with pytest.raises(
        ValueError, match=r"has 400 rows, and 511 are needed .* raise EXTRA_TOKENS .* by 111"
    ):
        check_unit_rows(ids, codec, 400)


def test_an_answers_own_audio_is_no_clip_of_its_item(reader, tokenizer, codec):
    folder = index_records(reader, "train", tokenizer, codec)
    spoken, heard = (
        QuestionIndex(folder / name) for name in (GENERATION, "closed_ended.acoustic_level")
    )
    assert len(spoken) == len(heard) == SIZES["train"]
    units = UnitSet(reader.folder.parent, codec, "en", "train", digest=reader.digest)
    for item in range(len(spoken)):
        example = spoken.read(item, [0])
        assert example["audio_lengths"].tolist() == [] and spoken.list_sources(item) == []
        assert tokenizer.ids[AUDIO] not in example["tokens"]
        record = int(spoken.items[item]["record"])
        found = example["tokens"][example["is_target"] == 1]
        assert found.tolist() == place_units(tokenizer).write(units.read(record, 0))
        assert heard.list_sources(item) == [0]


def test_without_a_codec_they_are_left_out_with_a_count(corpus, tokenizer):
    data = make_data(corpus, rates={"sift.*.en": 1.0})
    defined = define_tasks(data, tokenizer, (), "train")
    names = [name for name, _, _ in defined.tasks]
    assert names and not any(GENERATION in name for name in names)
    assert (
        f"left out: {SIZES['train']} records of sift.{GENERATION}.en, whose answers are speech"
        in defined.notes[0]
    )
    with pytest.raises(
        ValueError, match="matches none of the tasks.*; left out: .* records of sift.controllable"
    ):
        define_tasks(make_data(corpus, **SPOKEN), tokenizer, (), "train")
    reader = RecordReader(corpus.records, "en")
    assert len(QuestionIndex(index_records(reader, "train", tokenizer) / GENERATION)) == 0
    context = TaskContext(
        records=str(corpus.records),
        vocabulary=SpeechVocabulary(tokenizer),
        questions_per_record=1,
        codec=None,
    )
    use_context(context)
    task = make_sift_task(GENERATION, "en")
    assert list_splits(task) == []
    with pytest.raises(ValueError, match="DataConfig.codec"):
        task.get_dataset(None, split="train")


def test_seqio_reads_what_the_plan_reads(reader, spoken_records, tokenizer, codec):
    context = TaskContext(
        records=str(spoken_records),
        vocabulary=SpeechVocabulary(tokenizer),
        questions_per_record=0,
        codec=codec,
    )
    use_context(context)
    task = make_sift_task(GENERATION, "en")
    found = list(task.get_dataset(None, split="dev", shuffle=False).as_numpy_iterator())
    index = QuestionIndex(index_records(reader, "dev", tokenizer, codec) / GENERATION)
    assert len(found) == len(index) == SIZES["dev"]
    for item, example in enumerate(found):
        planned = index.read(item, [0])
        for key in ("tokens", "is_target", "clips"):
            np.testing.assert_array_equal(example[key], planned[key])


def test_the_plan_is_a_function_of_the_step(data):
    geometry = make_geometry(CONFIG)

    def read(skip, count):
        stream = BatchStream(data, geometry, split="train", is_endless=True)
        return list(itertools.islice(stream.batches(skip=skip), count)), stream

    whole, stream = read(0, 5)
    later, again = read(3, 2)
    assert stream.plan.fingerprint == again.plan.fingerprint and stream.describe(
        4
    ) == again.describe(4)
    for (_, batch), (_, other) in zip(whole[3:], later, strict=True):
        for key in batch:
            np.testing.assert_array_equal(batch[key], other[key], err_msg=key)
    for _, batch in whole:
        assert not batch["frames_ba"].any() and (batch["slot_bt"] == -1).all()
        assert batch["target_bm"].max() < CONFIG.decoder.vocab_size


def test_an_end_may_count_more(data, tokenizer):
    geometry, end = make_geometry(CONFIG), place_units(tokenizer).end
    tones, first, last = f"{HEAD_CODES}:{HEAD_CODES + 8}", end + HEAD_CODES, end + HEAD_CODES + 8
    streams = [
        BatchStream(
            dataclasses.replace(data, end_weight=weight, unit_weights=units),
            geometry,
            split="train",
            is_endless=True,
        )
        for weight, units in ((1.0, {}), (20.0, {tones: 3.0}))
    ]
    (_, plain), (_, heavy) = (next(stream.batches()) for stream in streams)
    is_end = (plain["target_bm"] == end) & (plain["weight_bm"] > 0)
    assert is_end.any()
    is_tone = (plain["target_bm"] > first) & (plain["target_bm"] <= last) & (plain["weight_bm"] > 0)
    assert is_tone.any() and (plain["target_bm"] > last).any()
    expected = np.where(is_end, 20.0, np.where(is_tone, 3.0, plain["weight_bm"]))
    np.testing.assert_array_equal(heavy["weight_bm"], expected)
    held = streams[1].describe_units(500)
    assert held["end_weight"] == 20.0 and held["unit_weights"] == {tones: 3.0}
    with pytest.raises(ValueError, match="'8:0' is not a range of units; write it as '0:128'"):
        dataclasses.replace(data, unit_weights={"8:0": 2.0})
    for changes, said in (
        ({"end_weight": 0.0}, r"DataConfig.end_weight is 0.0; give above 0"),
        (
            {"unit_weights": {"0:8": -1.0}},
            r"DataConfig.unit_weights\['0:8'\] is -1.0; give above 0",
        ),
    ):
        with pytest.raises(ValueError, match=said):
            dataclasses.replace(data, **changes)


def test_weights_are_listed_from_the_end_on():
    assert list_weights(4, 15.0, [("0:2", 10.0), ("1:3", 3.0)]).tolist() == [15, 10, 30, 3, 1]


CONFIG_TEXTS = {
    "a macro": (
        "UNIT_WEIGHTS = {'0:101': 10.0, '101:229': 3.0}\n\nDataConfig.unit_weights = "
        "%UNIT_WEIGHTS\n"
    ),
    "a binding": "DataConfig.unit_weights = {'0:101': 10.0, '101:229': 3.0}\n",
    "a broken line": "DataConfig.unit_weights = \\\n    {'0:101': 10.0,\n     '101:229': 3.0}\n",
}


@pytest.mark.parametrize("text", CONFIG_TEXTS.values(), ids=CONFIG_TEXTS)
def test_units_of_an_older_version_have_their_weights_in_the_runs_config(
    codec, tmp_path, capsys, text
):
    """units.json of a run from before it kept unit_weights; of an export nothing says them, and
    that is said."""
    ids, whole = (
        UnitIds(begin=384),
        dataclasses.replace(codec, unit_weights=(("0:101", 10.0), ("101:229", 3.0))),
    )
    (tmp_path / UNITS_FILE).write_text(json.dumps(whole.to_json(ids)))
    assert read_units_file(tmp_path, ids) == whole
    old = {name: value for name, value in whole.to_json(ids).items() if name != "unit_weights"}
    (tmp_path / UNITS_FILE).write_text(json.dumps(old))
    assert read_units_file(tmp_path, ids) == dataclasses.replace(whole, unit_weights=())
    assert "does not say which units counted more in training" in capsys.readouterr().err
    (tmp_path / "config.gin").write_text(text)
    assert read_units_file(tmp_path, ids) == whole and not capsys.readouterr().err


def test_packed_answers_cost_what_they_cost_apart(data, tokenizer):
    """Questions of an utterance that are answered by speech and by text, in one row and in rows of
    their own."""
    stream = BatchStream(
        change_data(
            data, rates={"sift.controllable_generation.en": 0.5, "sift.open_ended.en": 0.5}
        ),
        make_geometry(CONFIG),
        split="train",
        is_endless=True,
    )
    shape = stream.shapes[-1]
    groups = stream.plan.draws.draw(0, 4)
    made = [
        make_group(
            stream.read_example(groups, g),
            audio_id=tokenizer.ids[AUDIO],
            count_frames=stream.count_clip,
        )
        for g in range(len(groups))
    ]
    assert {len(group.clips) for group in made} == {0, 1}

    def measure(rows):
        filled = []
        for members in rows:
            row = Row(dataclasses.replace(shape, tokens=512, targets=256, clips=4))
            for group in members:
                row.add(group)
            filled.append(row)
        wide = dataclasses.replace(shape, rows=len(rows), tokens=512, targets=256, clips=4)
        batch, clips = lay_out(filled, wide, CONFIG.count_frames(wide.mel_frames))
        for b, a, samples in clips:
            batch["frames_ba"][b, a] = stream.front_end.fill(
                samples.astype(np.float32) / 32768.0, batch["mel_basf"][b, a]
            )
        return [float(x) for x in measure_loss(CONFIG, make_params(CONFIG), batch)]

    apart = [measure([[group]]) for group in made]
    assert measure([made]) == pytest.approx(
        [sum(values) for values in zip(*apart, strict=True)], rel=1e-5
    )


def test_units_of_other_records_and_damaged_ones_are_refused(
    reader, codec, spoken_records, tmp_path
):
    with pytest.raises(ValueError, match=r"of other records .* python -m data_prep.units"):
        UnitSet(spoken_records, codec, "en", "train", digest="another")
    other = dataclasses.replace(codec, fingerprint="0" * 64)
    with pytest.raises(
        ValueError, match=r"no units of en train by the codec .* make them with python -m data_prep"
    ):
        UnitSet(spoken_records, other, "en", "train", digest=reader.digest)
    units = UnitSet(spoken_records, codec, "en", "train", digest=reader.digest)
    with pytest.raises(ValueError, match="no units of clip 7 of record 0"):
        units.read(0, 7)
    folder = tmp_path / "records"
    damaged = folder / units.folder.relative_to(spoken_records)
    damaged.mkdir(parents=True)
    for name in ("clips.bin", "units.bin", "counts.json"):
        (damaged / name).write_bytes((units.folder / name).read_bytes())
    (damaged / "units.bin").write_bytes(b"torn")
    with pytest.raises(ValueError, match="is damaged"):
        UnitSet(folder, codec, "en", "train", digest=reader.digest)


def test_a_torn_codec_says_so(tmp_path):
    with pytest.raises(ValueError, match="no codec.json there"):
        read_codec_identity(tmp_path)
    (tmp_path / "codec.json").write_text(json.dumps({"codec": {}}))
    with pytest.raises(ValueError, match="is torn"):
        read_codec_identity(tmp_path)
