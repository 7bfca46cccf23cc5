"""The wordings of questions, and what may replace them."""

import json

import pytest

from sift_jax.evaluation.scores.schema import EvaluationError
from sift_jax.evaluation.suites.prompts import hash_prompts, load_prompts, word_prompt
from sift_jax.sift.labels import LANGUAGES


def test_every_task_is_worded_in_every_language():
    prompts = load_prompts()
    for task, wordings in prompts.items():
        assert set(wordings) == set(LANGUAGES)
        # each passes what an override must pass
        assert load_prompts({task: wordings}) == prompts
    assert word_prompt(prompts, "emotion", "de", labels="froh, traurig").endswith("froh, traurig.")


@pytest.mark.parametrize(
    "override, language, text",
    [
        ({"asr": {"de": "Transkribiere."}}, "de", "Transkribiere."),
        ({"asr": {"de": "Transkribiere."}}, "en", "Write down what the speaker says."),
        ({"asr": "Transcribe the speech."}, "fr", "Transcribe the speech."),
        ({"asr": {"pt": "Escreve o que se diz."}}, "pt", "Escreve o que se diz."),
    ],
)
def test_an_override_replaces_what_it_names(override, language, text, tmp_path):
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps(override))
    for given in (override, str(path)):
        prompts = load_prompts(given)
        assert word_prompt(prompts, "asr", language) == text
        assert hash_prompts(prompts) != hash_prompts(load_prompts())


def test_the_hash_is_of_the_words():
    assert hash_prompts(load_prompts()) == hash_prompts(
        load_prompts({"asr": load_prompts()["asr"]})
    )
    assert len(hash_prompts(load_prompts())) == 16


@pytest.mark.parametrize(
    "override, message",
    [
        ({"ars": "Transcribe."}, "no prompts for 'ars'; the tasks are asr, translation"),
        ({"emotion": "Which emotion?"}, r"emotion in 'en' must be a text with \{labels\} in it"),
        ({"asr": {"de": "Schreib {text}"}}, "asr in 'de' must be a text with no field in it"),
        ({"asr": {"de": "Schreib {"}}, "must be a text"),
        ({"asr": {"de": 3}}, "must be a text"),
        ({"qa": {"de": "{question.__class__}"}}, r"\{question\}"),
        ({"asr": " "}, "must be a text"),
        ("no/such/file.json", "no/such/file.json: prompts cannot be read"),
    ],
)
def test_an_override_that_cannot_be_asked_is_refused(override, message):
    with pytest.raises(EvaluationError, match=message):
        load_prompts(override)


def test_a_field_that_a_model_may_know_is_optional():
    prompts = load_prompts({"slots": "List the slots."})
    assert word_prompt(prompts, "slots", "en", names="time") == "List the slots."


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "prompts.json").write_text("[1]")
    with pytest.raises(EvaluationError, match="holds list, not an object of tasks"):
        load_prompts(tmp_path / "prompts.json")


def test_a_language_without_wording_is_named():
    with pytest.raises(
        EvaluationError, match="no prompt for asr in 'fi' .there is en, de, fr, it, es."
    ):
        word_prompt(load_prompts(), "asr", "fi")
