"""Self-generated rows from SIFT files to a trained step: the text that was read comes beside the
recording, answer by answer."""

import dataclasses
import json

import numpy as np
import pytest
from tiny_corpus import make_row, write_records
from tiny_model import MODEL
from tiny_run import make_data, make_run

from sift_jax.data.batch_stream import BatchStream
from sift_jax.models.presets import make_model_config
from sift_jax.sift.rows import list_files, read_rows, write_rows
from sift_jax.training.job import make_geometry
from sift_jax.training.loop import train
from sift_jax.training.teacher import TeacherConfig

RATES = {"sift.self_generated.*": 0.6, "sift.closed_ended.acoustic_level.*": 0.4}
TEACHER = TeacherConfig(positions=192, kl_share=1.0)
LORA = {
    "model": dataclasses.replace(MODEL, lora_rank=2),
    "trainable": ("projector/.*", ".*/lora_.*"),
}


def write_self_rows(sift, split, language, ids, *, spoil=""):
    rows = {"self_generated": [], "self_generated_text": []}
    for number, name in enumerate(ids):
        clip = {"audio_path": f"/path/to/{name}.wav"}
        for what in ("What is this?", "Is it loud?"):
            answer = [{"text": f"It is loud {number}."}]
            rows["self_generated"].append(
                make_row(name, [clip, {"text": what}], answer, "self_generated", language)
            )
            text = [{"text": f"loud: {number}\n\n{what}"}]
            told = [{"text": answer[0]["text"] + spoil}]
            rows["self_generated_text"].append(
                make_row(name, text, told, "self_generated_text", language)
            )
    for category, found in rows.items():
        write_rows(sift / split / category / language / "split0.jsonl", found)


def make_records(corpus, root, **options):
    sift = root / "sift"
    for split in ("train", "dev"):
        (path,) = list_files(corpus.sift, split, "closed_ended/acoustic_level", "en")
        rows = list(read_rows(path))
        write_rows(sift / path.relative_to(corpus.sift), rows)
        ids = list(dict.fromkeys(row["id"] for row in rows))
        write_self_rows(sift, split, "en", ids, **options)
    write_records(sift, corpus.audio, root / "records")
    return root / "records"


@pytest.fixture(scope="module")
def taught_records(corpus, tmp_path_factory):
    return make_records(corpus, tmp_path_factory.mktemp("taught"))


def open_stream(corpus, records, teacher_tokens=TEACHER.positions, **changes):
    data = make_data(corpus, records=str(records), rates=RATES, **changes)
    geometry = make_geometry(make_model_config(MODEL))
    return BatchStream(
        data, geometry, split="train", is_endless=True, teacher_tokens=teacher_tokens
    )


def test_taught_targets_stand_behind_the_same_answer_in_text(corpus, taught_records):
    stream = open_stream(corpus, taught_records)
    names = [task.name for task in stream.plan.draws.tasks]
    seen = {True: 0, False: 0}
    for number, (_, batch) in zip(range(6), stream.batches(), strict=False):
        task_bm = stream.tell_tasks(stream.plan.get_batch(number), batch)
        for b, m in zip(*np.nonzero(batch["weight_bm"]), strict=True):
            is_taught = bool(batch["taught_bm"][b, m])
            assert is_taught == (names[task_bm[b, m]] == "sift.self_generated.en")
            seen[is_taught] += 1
            if not is_taught:
                continue
            place = batch["teacher_predict_bm"][b, m]
            # what stands behind the position that predicts is the target itself
            assert batch["teacher_token_bt"][b, place + 1] == batch["target_bm"][b, m]
            heard = batch["predict_bm"][b, m]
            assert batch["token_bt"][b, heard + 1] == batch["target_bm"][b, m]
            # and it is the same question of the same group
            groups = batch["teacher_group_bt"][b], batch["teacher_segment_bt"][b]
            assert groups[0][place] > 0 and groups[1][place] > 0
    assert seen[True] and seen[False]


def test_a_stream_without_a_teacher_has_the_same_batches(corpus, taught_records):
    plain = open_stream(corpus, taught_records, teacher_tokens=0)
    (_, one), (_, other) = (
        next(plain.batches()),
        next(open_stream(corpus, taught_records).batches()),
    )
    assert set(other) - set(one) == {
        *(f"teacher_{name}_bt" for name in ("token", "group", "segment", "position")),
        "teacher_predict_bm",
        "taught_bm",
    }
    for key, values in one.items():
        np.testing.assert_array_equal(values, other[key], err_msg=key)


def test_answers_of_another_run_are_refused(corpus, tmp_path):
    records = make_records(corpus, tmp_path, spoil=" Very.")
    with pytest.raises(ValueError, match="are not of one run of data_prep.self_answer"):
        for _ in zip(range(4), open_stream(corpus, records).batches(), strict=False):
            pass


def test_records_without_the_text_are_refused(corpus, tmp_path):
    sift = tmp_path / "sift"
    write_self_rows(sift, "train", "en", ["train_en_0", "train_en_1"])
    for path in list_files(sift, "train", "self_generated_text", "en"):
        path.unlink()
    write_records(sift, corpus.audio, tmp_path / "records")
    data = make_data(corpus, records=str(tmp_path / "records"))
    mixture = dataclasses.replace(data.mixture, rates={"sift.self_generated.*": 1.0})
    with pytest.raises(ValueError, match="have no text for every self-generated answer"):
        BatchStream(
            dataclasses.replace(data, mixture=mixture),
            make_geometry(make_model_config(MODEL)),
            split="train",
            is_endless=True,
            teacher_tokens=64,
        )


def test_a_run_learns_what_it_teaches_itself(corpus, taught_records, tmp_path):
    arguments = make_run(
        corpus,
        tmp_path / "run",
        data={"records": str(taught_records), "rates": RATES},
        steps=12,
        log_every=1,
        dev_every=6,
        **LORA,
    )
    train(**arguments, teacher=TEACHER)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    told = [line for line in lines if "kl" in line]
    assert told and all(np.isfinite(line["kl"]) and line["kl"] > 0 for line in told)


def test_a_run_whose_teacher_would_move_is_refused(corpus, taught_records, tmp_path):
    arguments = make_run(corpus, tmp_path / "run", data={"records": str(taught_records)})
    with pytest.raises(ValueError, match="take train.teacher out"):
        train(**arguments, teacher=TEACHER)
