"""Rows that ask for a form: what they ask they get, in every language, and nothing is of the
evaluation's."""

import json
from collections import Counter

import pytest

from data_prep.add_forms import main
from data_prep.instructions import forms
from data_prep.instructions.forms import FORMS, ask_form, list_forms
from sift_jax.evaluation.scores.constraints import KINDS
from sift_jax.evaluation.suites.constrain import word_constraint
from sift_jax.sift.rows import Row, list_files, read_rows, write_rows

LANGUAGES = ("en", "de", "fr", "it", "es")
# what an answer in each form looks like
LOOKS = {
    "quotes": '"She speaks loudly."',
    "brackets": "[She speaks loudly.]",
    "tags": "<answer>She speaks loudly.</answer>",
    "bold": "**She speaks loudly.**",
    "heading": "# She speaks loudly.",
    "twice": "She speaks loudly.\nShe speaks loudly.",
    "hyphens": "She-speaks-loudly.",
    "no_full_stop": "She speaks loudly",
}


def make_row(answer, number=0, **changes):
    messages = [
        {"role": "user", "content": [{"audio_path": f"u{number}.wav"}, {"text": "How loud?"}]},
        {"role": "assistant", "content": [{"text": answer}]},
    ]
    return Row(
        **{"id": f"u{number}", "messages": messages, "task": "t", "data_source": "s"} | changes
    )


def test_every_form_has_two_wordings_in_every_language_and_looks_as_it_says():
    assert set(forms.WORDINGS) == set(LANGUAGES)
    for language, texts in forms.WORDINGS.items():
        assert set(texts) == set(FORMS) == set(LOOKS), language
        wordings = [wording for both in texts.values() for wording in both]
        assert len(wordings) == len(set(wordings)) == 16
    assert {name: make("She speaks loudly.") for name, make in FORMS.items()} == LOOKS


def test_none_is_of_the_evaluation():
    assert not set(FORMS) & set(KINDS)
    judged = {word_constraint(kind, language) for kind in KINDS for language in LANGUAGES}
    trained = {w for texts in forms.WORDINGS.values() for both in texts.values() for w in both}
    assert not judged & trained


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_asked_is_kept_to_and_the_answer_is_still_there(language):
    seen = Counter()
    for number in range(400):
        row = make_row("She speaks loudly.", number)
        changed = ask_form(row, language)
        question, answer = changed["messages"]
        assert question["content"][:-1] == row["messages"][0]["content"]
        asked, said = question["content"][-1]["text"], answer["content"][0]["text"]
        # texts that follow each other are one: a space stands between
        assert asked.startswith(" ")
        form = next(
            name for name, both in forms.WORDINGS[language].items() if asked.strip() in both
        )
        assert said == LOOKS[form]
        assert ask_form(row, language) == changed, "the same row has the same form"
        seen[asked] += 1
    # each wording is about a sixteenth of them
    assert len(seen) == 16 and min(seen.values()) > 8
    assert {key: changed[key] for key in ("id", "task", "data_source")} == {
        "id": "u399",
        "task": "t",
        "data_source": "s",
    }


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        ('She said "no".', {"quotes"}),
        ("A well-known voice.", {"hyphens"}),
        ("Loudly.", {"hyphens"}),
        ("It is loud", {"no_full_stop"}),
        ("At 3 p.m.", {"no_full_stop"}),
        ("Loud, slow etc.", {"no_full_stop"}),
        ("It is – she says – loud.", {"hyphens"}),
        ("And so on ...", {"no_full_stop"}),
        ("A list [1] of two.", set(FORMS) - {"twice", "no_full_stop"}),
        ("One line.\nAnother.", set(FORMS)),
        ("  ", set(FORMS)),
    ],
)
def test_a_form_that_would_be_in_doubt_is_not_asked(answer, missing):
    assert set(FORMS) - set(list_forms(answer)) == missing


def test_only_one_question_with_an_answer_in_text_takes_one():
    row = make_row("She speaks loudly.")
    spoken = [row["messages"][0], {"role": "assistant", "content": [{"audio_path": "x.wav"}]}]
    assert ask_form(make_row("", messages=spoken), "en") is None
    assert ask_form(make_row("", messages=[*row["messages"], *row["messages"]]), "en") is None
    assert ask_form(row, "pt") is None


def test_a_share_of_a_folder_asks_for_forms_and_nothing_else_changes(tmp_path, capsys):
    sift, out = tmp_path / "sift", tmp_path / "out"
    rows = [make_row("She speaks loudly.", number) for number in range(600)]
    for name in ("train/closed_ended/acoustic_level", "train/pretraining/asr", "dev/open_ended"):
        write_rows(sift / name / "en" / "split0.jsonl", rows)
    main([f"--sift={sift}", f"--out={out}", "--share=1/4"])
    found = {
        str(path.relative_to(out)): list(read_rows(path))
        for split in ("train", "dev")
        for path in list_files(out, split)
    }
    assert found["train/pretraining/asr/en/split0.jsonl"] == rows
    assert found["dev/open_ended/en/split0.jsonl"] == rows
    made = found["train/closed_ended/acoustic_level/en/split0.jsonl"]
    changed = [new for new, old in zip(made, rows, strict=True) if new != old]
    assert 110 < len(changed) < 190
    assert [row["id"] for row in made] == [row["id"] for row in rows]
    assert f"1,200 training rows in {out}: {len(changed)} with a form" in capsys.readouterr().out
    again = tmp_path / "again"
    main([f"--sift={sift}", f"--out={again}", "--share=1/4"])
    first = list_files(out, "train", "closed_ended/acoustic_level")[0]
    assert first.read_text() == (again / first.relative_to(out)).read_text()
    with pytest.raises(SystemExit, match="is not empty"):
        main([f"--sift={sift}", f"--out={out}"])
    with pytest.raises(SystemExit, match="no training rows under"):
        main([f"--sift={tmp_path / 'none'}", f"--out={tmp_path / 'new'}"])
    with pytest.raises(SystemExit, match="--share=2 is not part of a whole"):
        main([f"--sift={sift}", f"--out={tmp_path / 'new'}", "--share=2"])
    assert json.loads(first.read_text().splitlines()[0])["id"] == "u0"
