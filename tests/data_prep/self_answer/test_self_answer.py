"""A decoder's own answers as SIFT rows: what is asked, what is kept, and the same bytes after a
kill."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from fake_metadata import write_metadata

from data_prep.instructions.filters.bad_phrases import METADATA
from data_prep.instructions.filters.candidate import Candidate
from data_prep.instructions.filters.rules import is_in_wrong_language, mentions_metadata
from data_prep.instructions.llm.metadata_reader import Sources
from data_prep.released.row_checks import find_row_faults
from data_prep.released.sift_paths import list_places
from data_prep.self_answer.describe import describe, write_prompt
from data_prep.self_answer.rules import find_answer_fault, repeats_itself
from data_prep.self_answer.write import (
    Plan,
    list_asked,
    read_instructions,
    write_self_answers,
)
from sift_jax.endpoints.client import Reply
from sift_jax.sift.rows import LANGUAGES, read_rows

PLAN = Plan(languages=("en", "de"), utterances=7, answers=2)
SAID = {
    "en": "The voice is clear and what it says is easy to follow.",
    "de": "Die Stimme ist klar und man kann ihr gut folgen.",
}


@dataclasses.dataclass
class FakeDecoder:
    """Answers in the language of its prompt, by the number of its draw; stops dead after `most`
    batches."""

    rows: int = 4
    most: int | None = None
    batches: int = 0
    identity: dict = dataclasses.field(default_factory=lambda: {"decoder": "fake"})

    def count_tokens(self, prompt):
        return len(prompt)

    def answer(self, prompts, draws):
        if self.batches == self.most:
            raise KeyboardInterrupt
        self.batches += 1
        return [self._say(*each) for each in zip(prompts, draws, strict=True)]

    def _say(self, prompt, draw):
        language = "de" if prompt.startswith("Unten") else "en"
        text, finish = SAID[language], "stop"
        if draw % 7 == 0:
            text, finish = text[:20], "length"
        if draw % 7 == 1:
            text = "According to the metadata it is clear." if language == "en" else "Metadaten."
        return Reply(text=text, finish=finish, prompt_tokens=1, completion_tokens=1)


@pytest.fixture(scope="module")
def metadata(tmp_path_factory):
    path = tmp_path_factory.mktemp("metadata") / "metadata.jsonl"
    return write_metadata(path, sizes={"train": 9, "dev": 3})


def write(metadata, out, decoder=None, plan=PLAN):
    decoder = decoder or FakeDecoder()
    instructions = read_instructions(None)
    return write_self_answers(metadata, out, answerer=decoder, plan=plan, instructions=instructions)


def read_bytes(out):
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "answers.jsonl"
    }


def test_every_answer_is_a_row_of_each_kind_or_is_set_aside(metadata, tmp_path):
    report = write(metadata, tmp_path)
    asked = 2 * 2 * (7 + 3)
    dropped = [json.loads(line) for line in (tmp_path / "rejected.jsonl").open()]
    kept = sum(n for languages in report["answers"].values() for n in languages.values())
    assert kept + len(dropped) == asked and kept and dropped
    assert set(report["drops"]) <= {"cut off", "mentions metadata", "wrong language"}
    for place in list_places(tmp_path / "sift"):
        for row in read_rows(place.path):
            assert list(find_row_faults(row, place)) == []
    heard, read = (
        list(read_rows(tmp_path / "sift" / "train" / name / "en" / "split0.jsonl"))
        for name in ("self_generated", "self_generated_text")
    )
    assert [row["id"] for row in heard] == [row["id"] for row in read]
    for one, other in zip(heard, read, strict=True):
        assert one["messages"][1] == other["messages"][1]
        clip, instruction = one["messages"][0]["content"]
        assert list(clip) == ["audio_path"]
        text = other["messages"][0]["content"][0]["text"]
        assert text.endswith("\n\n" + instruction["text"]) and "spoken words" in text


def test_stopped_at_any_batch_it_writes_the_same_bytes(metadata, tmp_path):
    write(metadata, tmp_path / "whole")
    expected = read_bytes(tmp_path / "whole")
    for most in (1, 3, 6):
        out, decoder = tmp_path / f"after{most}", FakeDecoder(most=most)
        with pytest.raises(KeyboardInterrupt):
            write(metadata, out, decoder)
        # and torn in the middle of a batch
        journal = out / "answers.jsonl"
        journal.write_bytes(journal.read_bytes()[:-30])
        again = FakeDecoder()
        write(metadata, out, again)
        assert read_bytes(out) == expected
        assert again.batches > 0
        finished = FakeDecoder()
        write(metadata, out, finished)
        assert finished.batches == 0 and read_bytes(out) == expected


def test_another_decoder_is_asked_anew(metadata, tmp_path):
    write(metadata, tmp_path)
    other = FakeDecoder(identity={"decoder": "another"})
    write(metadata, tmp_path, other)
    assert other.batches > 0


def test_what_an_utterance_is_asked_depends_on_it_alone(metadata):
    sources, instructions = Sources(metadata), read_instructions(None)
    few = dataclasses.replace(PLAN, utterances=3)
    all_of_them = list(list_asked(sources, "train", "en", instructions["en"], PLAN))
    some = list(list_asked(sources, "train", "en", instructions["en"], few))
    by_place = {(x.identity, x.instruction): x for x in all_of_them}
    shared = [x for x in some if (x.identity, x.instruction) in by_place]
    assert shared and all(by_place[x.identity, x.instruction] == x for x in shared)


@pytest.mark.parametrize("language", LANGUAGES)
def test_our_instructions_are_in_their_language_and_speak_of_no_metadata(language):
    texts = read_instructions(None)[language]
    assert len(texts) == len(set(texts)) == 16
    for text in texts:
        candidate = Candidate(
            question=text,
            answer=None,
            set_name="open_ended",
            language=language,
            truths=({},),
            transcripts=("",),
        )
        assert not mentions_metadata(candidate) and not is_in_wrong_language(candidate), text
    assert language in METADATA


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_description_says_what_is_known(language, metadata):
    utterance = {
        "id": "u",
        "language": language,
        "split": "train",
        "transcript": "Rain falls\nsoftly.",
        "labels": {"speaking_rate": "very slowly", "noise_level": None},
        "gender": "female",
    }
    text = describe(utterance)
    assert '"Rain falls softly."' in text and len(text.splitlines()) == 5
    assert describe({**utterance, "transcript": " ", "labels": {}, "gender": None}) is None
    assert write_prompt(text, "What?").startswith(text)


def test_the_rules():
    def judge(answer, is_whole=True, **truths):
        candidate = Candidate(
            question="Describe the voice.",
            answer=answer,
            set_name="open_ended",
            language="en",
            truths=(truths,),
            transcripts=("It rains.",),
        )
        return find_answer_fault(candidate, is_whole=is_whole)

    assert judge("The voice is calm and clear.") is None
    assert judge("The voice is calm", is_whole=False) == "cut off"
    assert judge("") == "empty"
    assert judge("it is so and it is so and it is so and it is so") == "repeats itself"
    assert judge("Die Stimme ist ruhig und sehr klar, und sie ist leise.") == "wrong language"
    assert judge("She speaks very fast here.", speaking_rate="very slowly") == (
        "contradicts metadata"
    )
    assert not repeats_itself("a b c d a b c d")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[]", "is not a table"),
        ('{"en": []}', "is not a table"),
        ('{"xx": ["What?"]}', "'xx' is not one of"),
        ("{", "cannot be read"),
    ],
)
def test_a_list_of_instructions_that_is_none(value, said, tmp_path):
    (tmp_path / "mine.json").write_text(value)
    with pytest.raises(ValueError, match=said):
        read_instructions(tmp_path / "mine.json")


def test_a_language_without_instructions_is_named(metadata, tmp_path):
    with pytest.raises(ValueError, match="no instructions in 'de'"):
        write_self_answers(
            metadata,
            tmp_path,
            answerer=FakeDecoder(),
            plan=PLAN,
            instructions={"en": ["What?"]},
        )


@pytest.fixture(scope="module")
def decoder_of_run(trained_run):
    from data_prep.self_answer.decoder import load_text_decoder
    from sift_jax.decoding.sampling import DecodingConfig

    decoding = DecodingConfig(
        max_new_tokens=8,
        temperature=0.7,
        top_p=0.9,
        repetition_penalty=1.0,
        no_repeat_ngram=0,
        beams=1,
    )
    return load_text_decoder(
        str(trained_run),
        decoding,
        step=None,
        dtype="float32",
        chat_template=None,
        rows=3,
        seed=0,
    )


def test_a_run_s_decoder_answers_whoever_stands_beside(decoder_of_run):
    prompts = ["Is it loud?", "What is this?", "Which one is louder?"]
    together = decoder_of_run.answer(prompts, [5, 6, 7])
    alone = decoder_of_run.answer(prompts[1:2], [6])
    assert alone[0] == together[1] and len(together) == 3
    assert {reply.finish for reply in together} <= {"stop", "length"}


def test_its_adapters_are_off(trained_run, corpus, tmp_path):
    """A run with LoRA answers as the decoder below it: the adapters may hold anything."""
    import jax
    from tiny_model import make_config, make_params

    from data_prep.self_answer.decoder import TextDecoder
    from sift_jax.decoding.sampling import GREEDY
    from sift_jax.models.lora_off import drop_lora, switch_off_lora
    from sift_jax.text.tokenizers import SpeechTokenizer

    config = make_config(lora_rank=2)
    tokenizer = SpeechTokenizer(corpus.tokenizer)
    params = make_params(config)["decoder"]
    louder = jax.tree_util.tree_map_with_path(
        lambda path, x: x * (9 if "lora" in path[-1].key else 1), params
    )
    said = []
    for each in (params, louder):
        made = TextDecoder(
            switch_off_lora(config),
            drop_lora({"decoder": each})["decoder"],
            tokenizer,
            GREEDY,
            rows=2,
            seed=0,
        )
        said.append(made.answer(["Is it loud?"], [1]))
        assert "lora" not in str(jax.tree_util.tree_structure(made._prepared))
    assert said[0] == said[1]


def test_the_command_says_what_is_wrong(tmp_path):
    command = [sys.executable, "-m", "data_prep.self_answer", f"--metadata={tmp_path / 'no'}"]
    done = subprocess.run(
        [*command, f"--model={tmp_path / 'model'}", f"--out={tmp_path / 'out'}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2 and done.stderr.startswith("error: ")
    assert np.char.count(done.stderr, "\n") == 1
