"""The index knows, without tokens, how long a group of any of an item's questions is, and gives the
questions back."""

import shutil

import numpy as np
import pytest
from tiny_examples import AUDIO_ID, LAYOUTS, make_example, make_question

from sift_jax.data.records.index_records import split_questions
from sift_jax.data.records.question_index import IndexWriter, Lengths, Question, QuestionIndex
from sift_jax.data.row_layout import make_group

FRAMES = np.array([0, *(max(1, mel // 8) for mel in range(1, 400))])


def count_frames(samples):
    return FRAMES[-(-np.asarray(samples) // 160)]


def make_examples(count, seed=0):
    """Questions in all layouts; some begin alike, some are the same, some are one beginning of
    another."""
    rng = np.random.default_rng(seed)
    examples = []
    for _ in range(count):
        questions = [
            make_question(rng, str(rng.choice(LAYOUTS))) for _ in range(rng.integers(1, 7))
        ]
        tokens, is_target, clips = questions[0]
        answer = is_target.index(True)
        longer = [
            part[:answer] + [new] * 3 + part[answer:]
            for part, new in ((tokens, 77), (is_target, True))
        ]
        questions.append((*longer, clips))
        if rng.random() < 0.5:
            questions.append(questions[rng.integers(len(questions))])
        examples.append(make_example(rng, [questions[i] for i in rng.permutation(len(questions))]))
    return examples


@pytest.fixture(scope="module")
def examples():
    return make_examples(60)


@pytest.fixture(scope="module")
def index(examples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("index") / "questions"
    writer = IndexWriter(folder, AUDIO_ID)
    for number, example in enumerate(examples):
        writer.add(
            1000 + number, split_questions(example, AUDIO_ID), example["audio_lengths"].tolist()
        )
    writer.close()
    return QuestionIndex(folder)


def test_what_is_written_is_read(index, examples):
    assert len(index) == len(examples) and index.items["record"][7] == 1007
    for item, example in enumerate(examples):
        found = index.read(item, range(int(example["question"].max()) + 1))
        for key, value in found.items():
            np.testing.assert_array_equal(value, example[key], err_msg=key)


@pytest.mark.parametrize("seed", range(4))
def test_lengths_are_those_of_the_groups(index, examples, seed):
    rng = np.random.default_rng(seed)
    items = rng.permutation(len(examples))[:40]
    lengths = Lengths(index, items, count_frames)
    is_chosen = rng.random(len(lengths.owner)) < 0.5
    is_chosen[lengths.start] = True
    tokens, targets = lengths.measure(is_chosen)
    for line, item in enumerate(items):
        chosen = lengths.number[is_chosen & (lengths.owner == line)]
        example = {**index.read(item, chosen.tolist()), "audio": examples[item]["audio"]}
        group = make_group(example, audio_id=AUDIO_ID, count_frames=lambda n: int(count_frames(n)))
        assert (group.tokens, group.targets) == (tokens[line], targets[line])
        assert lengths.clips[line] == len(group.clips) == 2
        assert lengths.longest[line] == max(-(-len(clip) // 160) for clip in group.clips)


def test_a_shared_beginning_counts_once(index):
    lengths = Lengths(index, np.arange(20), count_frames)
    alone = sum(
        int(lengths.measure(lengths.number == n)[0].sum())
        for n in range(int(lengths.number.max()) + 1)
    )
    assert lengths.measure(np.ones(len(lengths.owner), bool))[0].sum() < alone


def test_a_damaged_file_is_named(index, tmp_path):
    shutil.copytree(index.folder, tmp_path / "copy")
    with (tmp_path / "copy" / "tokens.bin").open("r+b") as file:
        file.truncate(40)
    with pytest.raises(ValueError, match=r"tokens.bin is damaged: not the \d+ lines .*; delete "):
        QuestionIndex(tmp_path / "copy")


@pytest.mark.parametrize(
    "tokens, is_target, message",
    [
        (
            [5, 6, 7],
            [1, 1, 1],
            "example 3: the first token of a question is to be learnt, and nothing stands before",
        ),
        (
            [5, AUDIO_ID, 7],
            [0, 1, 1],
            "example 3: an audio marker is to be learnt; set its is_target to 0",
        ),
    ],
)
def test_what_nothing_can_predict_is_refused(tmp_path, tokens, is_target, message):
    """It would be predicted from the row's last group, or from the row's end."""
    clips = [0] * tokens.count(AUDIO_ID)
    question = Question(tokens=np.array(tokens), is_target=np.array(is_target, bool), clips=clips)
    with pytest.raises(ValueError, match=message):
        IndexWriter(tmp_path / "index", AUDIO_ID).add(3, [question], [160] * len(clips))


def test_an_example_without_a_question_is_refused(tmp_path):
    with pytest.raises(ValueError, match="example 3 has no question; filter such examples out"):
        IndexWriter(tmp_path / "index", AUDIO_ID).add(3, [], [])
