"""seqio.Evaluator over the registered tasks: each question by itself, and the project's own scores
by category."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import seqio
from tiny_corpus import SIZES

from sift_jax.data import mixtures
from sift_jax.data.tasks import seqio_tasks
from sift_jax.data.tasks.metric_fns import make_metric_fns
from sift_jax.data.tasks.mixture_table import MIXTURES, SCORES
from sift_jax.sift.rows import ALL_CATEGORIES
from sift_jax.text.tokenizers import AUDIO, TURN_END


@pytest.fixture
def chosen(corpus):
    seqio_tasks.use_records(corpus.records, tokenizer=corpus.tokenizer)


def pad(answers):
    """Ids of all answers in one array, as a model returns a batch."""
    padded = np.zeros((len(answers), max(map(len, answers))), np.int32)
    for row, ids in zip(padded, answers, strict=True):
        row[: len(ids)] = ids
    return padded


def answer(say):
    """A predict function: to each example the ids that `say` makes of it, in any order."""

    def predict(dataset, model_feature_shapes=None):
        pairs = list(dataset.as_numpy_iterator())
        answers = pad([say(example) for _, example in pairs])
        return [(int(number), ids) for (number, _), ids in zip(pairs, answers, strict=True)][::-1]

    return predict


def evaluate(name, say, split="dev"):
    evaluator = seqio.Evaluator(name, seqio_tasks.TaskFeatures(), eval_split=split)
    metrics, _ = evaluator.evaluate(compute_metrics=True, predict_fn=answer(say))
    return metrics.result()


def test_what_is_said_as_it_stands_is_right(chosen):
    found = evaluate("understanding", lambda example: example["targets"])
    assert set(found) == {
        f"sift.{c.replace('/', '.')}.{n}" for c in ALL_CATEGORIES[:5] for n in ("en", "de")
    }
    assert found["sift.closed_ended.word_align.de"] == {"judge_closed": 1.0, "exact_match": 1.0}
    assert found["sift.open_ended.en"]["rouge_l"] == 1.0


def test_a_constant_answer_gets_what_the_scores_give_it(chosen, tokenizer):
    said = [*tokenizer.encode("It is loud."), tokenizer.ids[TURN_END]]
    found = evaluate("sift.closed_ended.content_level.en", lambda example: said)
    # of three, the second is soft
    assert found == {
        "sift.closed_ended.content_level.en": {
            "judge_closed": pytest.approx(2 / 3),
            "exact_match": pytest.approx(2 / 3),
        }
    }


def test_an_example_is_a_question(chosen, tokenizer):
    task = seqio.get_mixture_or_task("sift.closed_ended.acoustic_level.en")
    examples = list(task.get_dataset(None, split="dev", shuffle=False).as_numpy_iterator())
    assert len(examples) == 2 * SIZES["dev"]
    for example in examples:
        assert (
            set(example["question"]) == {0}
            and (example["tokens"] == tokenizer.ids[AUDIO]).sum() == 1
        )
        assert example["targets"].tolist() == example["tokens"][example["is_target"] > 0].tolist()
        whole = [*example["inputs"], *example["targets"]]
        assert (
            whole == example["tokens"][: len(whole)].tolist()
            and example["targets"][-1] == tokenizer.ids[TURN_END]
        )


@pytest.mark.parametrize(
    "category, target, said, expected",
    [
        ("pretraining/asr", "the cat sat down", "the cat sat", {"wer": 0.25, "cer": 5 / 16}),
        ("pretraining/slots", "time: nine\ndate: today", "time: nine", {"slot_f1": 2 / 3}),
        (
            "closed_ended/acoustic_level",
            "The speaker talks very slowly.",
            "Very slowly.",
            {"judge_closed": 1.0, "exact_match": 0.0},
        ),
        ("pretraining/intent", "alarm_set", "Alarm_set ", {"exact_match": 1.0}),
        ("controllable_generation", "", "", {}),
    ],
)
def test_the_scores_of_a_category(category, target, said, expected):
    found = {}
    for function in make_metric_fns(category, "en"):
        found |= function([target], [said])
    assert found == pytest.approx(expected)


def test_every_category_has_its_scores():
    assert set(SCORES) == set(ALL_CATEGORIES)
    for category in ALL_CATEGORIES:
        task = seqio.get_mixture_or_task(f"sift.{category.replace('/', '.')}.en")
        assert len(task.metric_fns) == len(SCORES[category])


def test_the_environment_chooses_records_too(corpus):
    program = (
        "import json, seqio, sift_jax.data.mixtures\n"
        "names = [n for n in seqio.MixtureRegistry.names()]\n"
        "task = seqio.get_mixture_or_task('sift.open_ended.de')\n"
        "print(json.dumps([sorted(names), sum(1 for _ in task.get_dataset(None, split='dev', "
        "shuffle=False))]))"
    )
    chosen = {"SIFT_RECORDS": str(corpus.records), "SIFT_TOKENIZER": str(corpus.tokenizer)}
    environment = {**os.environ, **chosen, "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [sorted(MIXTURES), SIZES["dev"]]


def test_without_records_it_is_said_how_to_choose_them(monkeypatch):
    monkeypatch.setattr(seqio_tasks, "_context", None)
    monkeypatch.delenv("SIFT_RECORDS", raising=False)
    task = seqio.get_mixture_or_task("sift.open_ended.en")
    with pytest.raises(
        ValueError, match="no records are chosen .* sift_jax.data.tasks.seqio_tasks.use_records"
    ):
        task.get_dataset(None, split="train")
    assert isinstance(mixtures.get_mixture("understanding"), mixtures.PatternMixture)
