"""The small world: what is asked about right and wrong transcripts, and the folder of all arms."""

import json
import random

import pytest

from data_prep.synthesis.small import main
from data_prep.synthesis.small_world import (
    HEARD,
    WORLDS,
    WRITTEN,
    is_supported,
    make_sentences,
    write_pairs,
)
from sift_jax.data.records.record_reader import RecordReader
from sift_jax.sift.rows import list_files, read_rows

ENGLISH = WORLDS["en"]


def ask(transcript: str, form: str = HEARD, language: str = "en") -> dict[str, str]:
    return {
        pair.asked: pair.answer
        for pair in write_pairs(transcript, form, random.Random(0), WORLDS[language])
    }


def test_questions_are_about_what_the_transcript_has():
    assert ask("three red boxes in the kitchen") == {
        "what": "three red boxes",
        "where": "the kitchen",
    }
    # misheard as another word of its list: a wrong answer; as anything else: not asked about
    assert ask("free red boxes in the garden") == {"what": "red boxes", "where": "the garden"}
    assert ask("three red the kitten", WRITTEN) == {} == ask("")
    # a place as the sentence would have it
    assert ask("drei rote kisten in der küche", language="de") == {
        "what": "drei rote kisten",
        "where": "in der küche",
    }
    assert ask("anna bringt drei rote kisten in die küche", WRITTEN, "de") == {
        "what": "drei rote kisten",
        "where": "in die küche",
    }


def test_every_language_has_as_many_words_none_of_them_twice():
    for language, world in WORLDS.items():
        listed = [word for words in world.slots.values() for word in words]
        assert len(listed) == len(set(listed)) == 20, language
        assert set(listed) | set(world.names) < world.words
    assert {"in", "the", "takes", "to"} < ENGLISH.words


@pytest.mark.parametrize("language", WORLDS)
def test_a_careless_writer_is_caught_by_who_reads_both(language):
    rng, made_up, caught, world = random.Random(0), 0, 0, WORLDS[language]
    for sentence in make_sentences(200, HEARD, 0, world):
        for pair in write_pairs(sentence.text, HEARD, rng, world, carelessness=0.3):
            made_up += pair.is_made_up
            caught += not is_supported(pair.answer, sentence.text, world)
            assert is_supported(pair.answer, sentence.text, world) != pair.is_made_up
    assert made_up == caught and 80 < made_up < 160


def test_sentences_are_different_and_there_are_only_so_many():
    sentences = [sentence.text for sentence in make_sentences(500, HEARD, 0, ENGLISH)]
    assert len(set(sentences)) == 500 and sentences[:9] == [
        one.text for one in make_sentences(9, HEARD, 0, ENGLISH)
    ]
    with pytest.raises(ValueError, match="ask for fewer"):
        make_sentences(5**4 + 1, HEARD, 0, ENGLISH)


@pytest.mark.slow
def test_all_arms_are_made(tmp_path, capsys):
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("jiwer")
    flags = [
        f"--out={tmp_path / 'data'}",
        "--heard=30",
        "--written=12",
        "--transcribed=8",
        "--tested=4",
        "--rates=10,30",
        "--no_asr",
    ]
    main(flags)
    report = json.loads((tmp_path / "data" / "report.json").read_text())
    assert abs(report["word_error_rates"]["llm_wer30"] - 0.3) < 0.03
    asked = report["questions"]
    assert asked["recognition"] == 0 and asked["both"] == asked["llm"] + asked["tts"]
    assert (
        asked["filtered"]
        < asked["careless"]
        == asked["llm"]
        >= asked["llm_wer10"]
        > asked["llm_wer30"]
    )
    tested = {}
    for name in ("speech_msmarco", "spokenqa_ls"):
        folder = tmp_path / "data" / "tests" / name
        rows = [row for path in list_files(folder, "EvalSIFT") for row in read_rows(path)]
        tested[name] = {row["id"] for row in rows}
        assert len(tested[name]) == 4 and len(list((folder / "audio").rglob("*.flac"))) > 4
    for arm in asked:
        reader = RecordReader(str(tmp_path / "data" / "sets" / arm / "records"), "en")
        assert set(reader.index) == {"train", "dev"}
        trained = {
            row["id"]
            for path in list_files(tmp_path / "data" / "sets" / arm / "sift", "train")
            for row in read_rows(path)
        }
        assert trained and not trained & set.union(*tested.values())
    main(flags)
    assert "kept" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="pocketsphinx hears English alone, .* give --no_asr"):
        main([f"--out={tmp_path / 'german'}", "--language=de"])
    with pytest.raises(SystemExit, match="made with other flags"):
        main([*flags, "--seed=1"])
