"""Pairs of answers from a file that a person may have written to the rows of a batch."""

import numpy as np
import pytest
from pair_rows import make_rows, write_pairs
from tiny_model import MODEL
from tiny_run import make_data

from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.records.pair_files import encode_pairs, read_pairs
from sift_jax.models.presets import make_model_config
from sift_jax.text.tokenizers import AUDIO
from sift_jax.training.job import make_geometry

LINE = {"audio": "a.flac", "question": "How fast?", "chosen": "Slowly.", "rejected": "Loudly."}


def open_pairs(corpus, folder, **changes):
    wanted = {"records": str(folder), "rates": {"pairs": 1.0}, "questions_per_record": 1}
    data = make_data(corpus, **{**wanted, **changes})
    geometry = make_geometry(make_model_config(MODEL))
    return BatchStream(data, geometry, split="train", is_endless=True, has_pairs=True)


def test_a_row_holds_pairs_that_share_their_prompt(corpus, tmp_path):
    stream = open_pairs(corpus, write_pairs(tmp_path / "pairs", make_rows(corpus)))
    decode, seen = stream.tokenizer.decode, set()
    for _, (_, batch) in zip(range(4), stream.batches(), strict=False):
        for b in range(len(batch["token_bt"])):
            groups = batch["group_bt"][b]
            assert batch["weight_bm"][b].sum() == groups.max()
            place = batch["predict_bm"][b]
            for number in range(1, groups.max() + 1):
                answers = []
                for segment in (1, 2):
                    is_own = (groups == number) & (batch["segment_bt"][b] == segment)
                    # what it predicts, and where the next position is
                    targets = is_own[place] & (batch["target_bm"][b] > 0)
                    answers.append(decode(batch["target_bm"][b][targets]).strip())
                seen.add(tuple(answers))
    assert seen == {("It is loud.", "It is soft."), ("It is soft.", "It is loud.")}


def test_recordings_stand_where_the_question_has_them(tokenizer, corpus, tmp_path):
    names = [str(path) for path in sorted(corpus.audio.glob("train_en_*"))[:2]]
    mark = tokenizer.ids[AUDIO]

    def count_before(question, audio):
        folder = write_pairs(tmp_path, [{**LINE, "audio": audio, "question": question}])
        (example,) = encode_pairs(read_pairs(folder / "train.jsonl"), tokenizer)
        assert len(example["audio_lengths"]) == (example["tokens"] == mark).sum()
        return np.flatnonzero(example["tokens"] == mark)

    (first,), (last,) = (
        count_before("What is this?", names[0]),
        count_before("What is this? <audio>", names[0]),
    )
    assert first < last
    one, other = count_before("Is <audio> as loud as <audio>?", names)
    assert other - one > 3


def test_both_answers_end_and_follow_the_prompt_s_last_token(tokenizer, corpus, tmp_path):
    folder = write_pairs(tmp_path, make_rows(corpus)[:1])
    (example,) = encode_pairs(read_pairs(folder / "train.jsonl"), tokenizer)
    tokens, learnt = example["tokens"], example["is_target"] > 0
    first = int(np.argmax(learnt))
    again = first + int(np.argmin(learnt[first:]))
    assert tokens[again] == tokens[first - 1] and learnt[again + 1 :].all()
    assert tokens[again - 1] in tokenizer.stop_ids and tokens[-1] in tokenizer.stop_ids


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chosen": ""}, "train.jsonl:2: the chosen answer is empty"),
        ({"rejected": "Slowly. "}, "train.jsonl:2: chosen and rejected are the same"),
        ({"rejected": None}, "train.jsonl:2: no text 'rejected'"),
        ({"audio": []}, "train.jsonl:2: 'audio' must be the name"),
        ({"audio": ["a.flac", "b.flac"], "question": "<audio>?"}, "has 1 times <audio>"),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path, changes, said):
    folder = write_pairs(tmp_path, [LINE, {**LINE, **changes}])
    with pytest.raises(ValueError, match=said):
        list(read_pairs(folder / "train.jsonl"))


def test_what_cannot_be_read_is_named(corpus, tmp_path):
    (tmp_path / "train.jsonl").write_text("no pair\n")
    with pytest.raises(ValueError, match="train.jsonl:1: not a JSON object"):
        list(read_pairs(tmp_path / "train.jsonl"))
    with pytest.raises(ValueError, match=r"train.jsonl:1: no file .*a.flac"):
        open_pairs(corpus, write_pairs(tmp_path, [LINE]))
    with pytest.raises(ValueError, match="no pairs in .*: it has no train.jsonl"):
        open_pairs(corpus, corpus.records)
    (tmp_path / "a.flac").write_bytes(b"no audio")
    with pytest.raises(ValueError, match=r"train.jsonl:1: .*a.flac"):
        open_pairs(corpus, tmp_path)


def test_another_mixture_than_pairs_is_refused(corpus, tmp_path):
    folder = write_pairs(tmp_path, make_rows(corpus))
    with pytest.raises(ValueError, match="matches none of the tasks: pairs"):
        open_pairs(corpus, folder, rates={"sift.*": 1.0})


def test_a_changed_file_is_read_again(corpus, tmp_path):
    rows = make_rows(corpus)
    plans = []
    for few in (rows, rows[:-1], rows):
        plans.append(open_pairs(corpus, write_pairs(tmp_path, few)).plan.fingerprint)
    assert plans[0] == plans[2] != plans[1]


def test_a_pair_without_room_is_left_out_and_told(corpus, tmp_path):
    rows = make_rows(corpus)
    rows[0]["rejected"] = "It is loud. " * 30
    stream = open_pairs(corpus, write_pairs(tmp_path, rows))
    (said,) = [line for line in stream.describe_start() if "skipped" in line]
    assert "1 of 6 questions" in said and "raise DataConfig.t" in said
