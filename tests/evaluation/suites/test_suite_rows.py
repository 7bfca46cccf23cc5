"""What each reader makes of its rows, and what it skips."""

import json

import pytest
from suite_folders import (
    embed,
    make_chat_row,
    make_choice_row,
    make_command,
    make_instance,
    write_air_bench,
    write_clip,
    write_covost2,
    write_dynamic_superb,
    write_evalsift,
    write_fleurs,
    write_iemocap,
    write_json_lines,
    write_librispeech,
    write_mmau,
    write_msp_podcast,
    write_parquet,
    write_peoples_speech,
    write_slurp,
    write_spoken_qa,
    write_text,
    write_voicebench,
)

from sift_jax.evaluation.scores.schema import EvaluationError
from sift_jax.evaluation.suites.air_bench import read_air_bench
from sift_jax.evaluation.suites.covost2 import read_covost2
from sift_jax.evaluation.suites.dynamic_superb import DIMENSIONS, SUBSETS, read_dynamic_superb
from sift_jax.evaluation.suites.evalsift import find_spoken, index_clips, read_evalsift
from sift_jax.evaluation.suites.fleurs import read_fleurs
from sift_jax.evaluation.suites.iemocap import read_iemocap
from sift_jax.evaluation.suites.librispeech import read_librispeech
from sift_jax.evaluation.suites.mmau import read_mmau
from sift_jax.evaluation.suites.msp_podcast import read_msp_podcast
from sift_jax.evaluation.suites.peoples_speech import read_peoples_speech
from sift_jax.evaluation.suites.prompts import load_prompts
from sift_jax.evaluation.suites.slurp import read_slurp
from sift_jax.evaluation.suites.spoken_qa import read_spoken_qa
from sift_jax.evaluation.suites.voicebench import read_voicebench
from sift_jax.sift.rows import write_rows

PROMPTS = load_prompts()


def list_reasons(suite):
    return [(row.subset, row.reason) for row in suite.set_aside]


class TestEvalSIFT:
    def test_rows_of_one_utterance_are_numbered(self, tmp_path):
        write_evalsift(tmp_path)
        suite = read_evalsift(tmp_path, subsets=("open_ended",))
        assert [item.id.removeprefix("evalsift/open_ended/") for item in suite.items] == [
            "en/p234_238#1",
            "en/p234_238#2",
            "de/common_voice_de_23905138#1",
            "de/common_voice_de_23905138#2",
        ]
        assert {item.metrics for item in suite.items} == {("judge_open",)} and not suite.items[
            0
        ].facets

    def test_closed_questions_are_split_by_kind(self, tmp_path):
        write_evalsift(tmp_path)
        suite = read_evalsift(tmp_path, languages=("en",))
        facets = {
            item.subset: item.facets for item in suite.items if item.metrics == ("judge_closed",)
        }
        assert facets == {
            "closed_ended/acoustic_level": {"kind": "speaking_rate"},
            "closed_ended/content_level": {"kind": "yes_no"},
            "closed_ended/word_align": {"kind": "transcript"},
            "closed_ended/comparison": {"kind": "text"},
        }

    @pytest.mark.parametrize(
        "category, answer, facets",
        [
            ("closed_ended/acoustic_level", "It is noisy, and very fast.", {"kind": "two_keys"}),
            (
                "closed_ended/word_align",
                "It is noisy, and very fast.",
                {"kind": "noise_level+speaking_rate"},
            ),
            (
                "closed_ended/word_align",
                "A man speaks very fast, softly and with a very low pitch.",
                {"kind": "several_keys"},
            ),
            (
                "closed_ended/comparison",
                "First very slowly, then very fast.",
                {"kind": "speaking_rate"},
            ),
        ],
    )
    def test_several_keys_are_few_kinds(self, tmp_path, category, answer, facets):
        write_evalsift(tmp_path)
        path = tmp_path / "EvalSIFT" / category / "en" / "split0.jsonl"
        row = json.loads(path.read_text().splitlines()[0])
        row["messages"][1]["content"] = [{"text": answer}]
        write_rows(path, [row])
        (item,) = read_evalsift(tmp_path, subsets=(category,), languages=("en",)).items
        assert item.facets == facets

    def test_parts_keep_their_order_and_name_files(self, tmp_path):
        write_evalsift(tmp_path)
        item = read_evalsift(
            tmp_path, subsets=("closed_ended/comparison",), languages=("en",)
        ).items[0]
        assert [list(part) for part in item.messages[0]["content"]] == [
            ["text"],
            ["audio_path"],
            ["audio_path"],
        ]
        assert [path.rpartition("/")[2] for path in item.audio] == [
            "p234_238_mic1.flac",
            "common_voice_de_23905138.mp3",
        ]

    def test_audio_is_looked_up_in_several_corpora(self, tmp_path):
        write_evalsift(tmp_path / "release")
        (tmp_path / "release" / "audio").rename(tmp_path / "old")
        folders = (tmp_path / "old" / "clips", tmp_path / "old" / "wav48_silence_trimmed")
        assert len(read_evalsift(tmp_path / "release", audio_dirs=folders).items) == 20
        only_german = read_evalsift(
            tmp_path / "release",
            subsets=("open_ended",),
            languages=("en", "de"),
            audio_dirs=folders[:1],
        )
        assert len(only_german.items) == 2
        assert (
            list_reasons(only_german)
            == [("open_ended", "no audio file of p234_238 in the audio folders")] * 2
        )
        with pytest.raises(
            EvaluationError, match="release: no audio; or name the corpora's folders as audio_dirs"
        ):
            read_evalsift(tmp_path / "release")
        with pytest.raises(EvaluationError, match="no such folder of audio; check audio_dirs"):
            read_evalsift(tmp_path / "release", audio_dirs=(tmp_path / "new",))

    def test_of_two_files_of_a_name_the_first_folder_has_the_say(self, tmp_path):
        ours, theirs = write_clip(tmp_path / "a" / "x.wav"), write_clip(tmp_path / "b" / "x.flac")
        write_clip(tmp_path / "b" / "unwanted.flac")
        assert index_clips([tmp_path / "a", tmp_path / "b"], {"x"}) == {"x": ours}
        assert index_clips([tmp_path / "b", tmp_path / "a"], {"x"}) == {"x": theirs}

    def test_home_made_data_lies_in_sift(self, tmp_path):
        write_evalsift(tmp_path)
        (tmp_path / "sift").mkdir()
        (tmp_path / "EvalSIFT").rename(tmp_path / "sift" / "dev")
        assert len(read_evalsift(tmp_path, split="dev").items) == 20

    def test_generation_s_text_side_is_the_words_to_be_spoken(self, tmp_path):
        write_evalsift(tmp_path)
        items = read_evalsift(tmp_path, subsets=("controllable_generation",)).items
        assert {(item.references, item.metrics, item.audio) for item in items} == {
            (("Rain falls.",), ("wer",), ())
        }

    @pytest.mark.parametrize(
        "texts, spoken",
        [
            (["Say this slowly: Rain falls: it pours."], "Rain falls: it pours."),
            (["Lis ceci, s'il te plaît : La pluie."], "La pluie."),
            (["Speak like a man.\nAt 5:30 it rains."], "At 5:30 it rains."),
            (['Speak slowly: "Rain falls."'], "Rain falls."),
            (["Speak slowly.", "Rain falls."], "Rain falls."),
            (["Say something slowly."], ""),
            ([], ""),
        ],
    )
    def test_the_words_to_be_spoken_are_set_off(self, texts, spoken):
        assert find_spoken(texts) == spoken

    def test_categories_and_languages_that_are_not_there_are_told(self, tmp_path):
        write_evalsift(tmp_path)
        for folder in (tmp_path / "EvalSIFT").glob("**/de"):
            (folder / "split0.jsonl").unlink()
        (tmp_path / "EvalSIFT" / "open_ended" / "en" / "split0.jsonl").unlink()
        suite = read_evalsift(tmp_path, languages=("en", "de"))
        assert len(suite.items) == 8
        assert [row.id for row in suite.set_aside] == [
            "evalsift/open_ended/all of its rows in open_ended",
            "evalsift//all of its rows in de",
        ]
        with pytest.raises(
            EvaluationError, match="no rows of the parts and languages that are asked"
        ):
            read_evalsift(tmp_path, languages=("fr",))

    def test_a_question_about_no_audio_is_set_aside(self, tmp_path):
        write_evalsift(tmp_path)
        path = tmp_path / "EvalSIFT" / "open_ended" / "en" / "split0.jsonl"
        row = json.loads(path.read_text().splitlines()[0])
        silent = {
            **row,
            "messages": [{"role": "user", "content": [{"text": "Hello?"}]}, row["messages"][1]],
        }
        write_rows(path, [row, silent])
        suite = read_evalsift(tmp_path, subsets=("open_ended",), languages=("en",))
        assert list_reasons(suite) == [("open_ended", "no audio")]

    def test_a_broken_line_is_named(self, tmp_path):
        write_evalsift(tmp_path)
        path = tmp_path / "EvalSIFT" / "open_ended" / "de" / "split0.jsonl"
        write_text(path, '{"id": "x"}\n')
        with pytest.raises(
            EvaluationError, match="split0.jsonl:1: task is NoneType, not str; correct or remove"
        ):
            read_evalsift(tmp_path)

    def test_a_row_without_an_answer_is_set_aside(self, tmp_path):
        write_evalsift(tmp_path)
        path = tmp_path / "EvalSIFT" / "open_ended" / "en" / "split0.jsonl"
        row = json.loads(path.read_text().splitlines()[0])
        write_rows(path, [row, {**row, "messages": row["messages"][:1]}])
        suite = read_evalsift(tmp_path, subsets=("open_ended",), languages=("en",))
        assert list_reasons(suite) == [
            ("open_ended", "its messages do not end with a question and an answer")
        ]


class TestDynamicSuperb:
    def test_the_instances_are_the_paper_s(self):
        assert len(SUBSETS) == len(set(SUBSETS)) == 52
        assert {name: len(found) for name, found in DIMENSIONS.items()} == {
            "content": 11,
            "semantics": 3,
            "paralinguistics": 7,
            "degradation": 19,
            "speaker": 5,
            "audio": 7,
        }

    def test_rows_of_the_hub(self, tmp_path):
        write_dynamic_superb(tmp_path)
        suite = read_dynamic_superb(tmp_path, cache_dir=tmp_path / "cache", prompts=PROMPTS)
        by_part = {item.subset: item for item in suite.items}
        emotion = by_part["EmotionRecognition_MultimodalEmotionlinesDataset"]
        assert (emotion.labels, emotion.metrics[0], emotion.references) == (
            ("anger", "joy"),
            "exact_match",
            ("anger",),
        )
        assert emotion.facets == {"dimension": "paralinguistics"} and emotion.id.endswith(
            "/002_audio"
        )
        assert by_part["SpeechTextMatching_LJSpeech"].question.endswith("no or yes.\nRain falls.")
        first, second = by_part["SpeakerVerification_VCTK"].audio
        assert first != second
        assert [p.rpartition("/")[2] for p in by_part["DialogueActPairing_DailyTalk"].audio] == [
            "a.wav",
            "a_pair.wav",
        ]
        # what is not there is told, one line an instance
        assert len(suite.set_aside) == 52 - 4 and suite.set_aside[0].id.endswith("/all of its rows")

    def test_clips_are_written_once_by_their_content(self, tmp_path):
        write_dynamic_superb(tmp_path)
        cache = tmp_path / "cache"
        read_dynamic_superb(tmp_path, cache_dir=cache, prompts=PROMPTS)
        times = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
        # three, two and two pairs, of which rows of the same number hold the same tone
        assert len(times) == 5 and all(path.suffix == ".wav" for path in times)
        read_dynamic_superb(tmp_path, cache_dir=cache, prompts=PROMPTS)
        assert times == {path: path.stat().st_mtime_ns for path in cache.iterdir()}

    def test_audio_inside_of_tables_needs_a_place(self, tmp_path):
        write_dynamic_superb(tmp_path)
        with pytest.raises(EvaluationError, match="the audio is inside its tables; set cache_dir"):
            read_dynamic_superb(tmp_path, prompts=PROMPTS)

    def test_a_renamed_column_is_told(self, tmp_path):
        folder = tmp_path / "SpeechDetection_LJSpeech" / "data"
        rows = [
            {("answer" if key == "label" else key): value for key, value in row.items()}
            for row in make_instance(["yes"])
        ]
        write_parquet(folder / "test-00000-of-00001.parquet", rows)
        with pytest.raises(EvaluationError, match="no label among its columns .*answer"):
            read_dynamic_superb(tmp_path, cache_dir=tmp_path / "cache", prompts=PROMPTS)

    def test_half_a_table_is_told(self, tmp_path):
        write_dynamic_superb(tmp_path)
        path = next((tmp_path / "SpeechTextMatching_LJSpeech" / "data").iterdir())
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(EvaluationError, match="not a whole Parquet file"):
            read_dynamic_superb(tmp_path, cache_dir=tmp_path / "cache", prompts=PROMPTS)

    def test_the_hub_s_cache_and_another_spelling_are_found(self, tmp_path):
        folder = (
            tmp_path
            / "datasets--DynamicSuperb--NoiseDetection_VCTK_MUSAN-Gaussian"
            / "snapshots"
            / "0a"
            / "data"
        )
        write_parquet(
            folder / "test-00000-of-00001.parquet",
            [*make_instance(["yes", "no"]), *make_instance([""])],
        )
        suite = read_dynamic_superb(
            tmp_path,
            subsets=("NoiseDetection_VCTK-MUSAN-Gaussian",),
            cache_dir=tmp_path / "cache",
            prompts=PROMPTS,
        )
        assert len(suite.items) == 2
        assert list_reasons(suite) == [("NoiseDetection_VCTK-MUSAN-Gaussian", "empty reference")]

    def test_a_clip_that_a_row_lacks_is_told(self, tmp_path):
        instance = "SpeakerVerification_VCTK"
        folder = tmp_path / instance / "data"
        rows = make_instance(["yes", "no", "no"], is_pair=True)
        rows[0]["audio2"] = rows[1]["audio"] = None
        write_parquet(folder / "test-00000-of-00001.parquet", rows)
        suite = read_dynamic_superb(
            tmp_path, subsets=(instance,), cache_dir=tmp_path / "cache", prompts=PROMPTS
        )
        assert len(suite.items) == 1
        assert [reason for _, reason in list_reasons(suite)] == [
            f"no audio file {folder}/other.wav",
            f"no audio file {folder}/audio.wav",
        ]
        write_parquet(tmp_path / instance / "old" / "test-00000-of-00001.parquet", rows)
        with pytest.raises(EvaluationError, match="in several folders; keep those of one revision"):
            read_dynamic_superb(
                tmp_path, subsets=(instance,), cache_dir=tmp_path / "cache", prompts=PROMPTS
            )


class TestAirBench:
    def test_the_description_is_for_the_judge(self, tmp_path):
        write_air_bench(tmp_path)
        item = read_air_bench(tmp_path, prompts=PROMPTS).items[0]
        assert (item.context, item.question) == ("Gender: female", "Who speaks?")
        assert (item.metrics, item.subset, item.references) == (
            ("judge_air_bench",),
            "speech_QA",
            ("A woman speaks.",),
        )
        assert (
            len(read_air_bench(tmp_path / "Chat", subsets=("music_QA",), prompts=PROMPTS).items)
            == 1
        )

    def test_bad_rows_are_set_aside(self, tmp_path):
        write_air_bench(tmp_path)
        row = make_chat_row(1, "speech_QA")
        rows = [
            row,
            row,
            {**row, "uniq_id": 8, "answer_gt": ""},
            {**row, "uniq_id": 9, "question": None},
            "row",
        ]
        write_text(tmp_path / "Chat" / "Chat_meta.json", json.dumps(rows))
        suite = read_air_bench(tmp_path, prompts=PROMPTS)
        assert [reason for _, reason in list_reasons(suite)] == [
            "another row has this id",
            "empty reference",
            "no question",
            "not an object",
        ]

    def test_another_release_is_told(self, tmp_path):
        row = make_chat_row(1, "speech_QA")
        row["answer"] = row.pop("answer_gt")
        write_text(tmp_path / "Chat_meta.json", json.dumps([row]))
        with pytest.raises(
            EvaluationError, match="no answer_gt among the keys of its first row .*answer"
        ):
            read_air_bench(tmp_path, prompts=PROMPTS)
        write_text(tmp_path / "Chat_meta.json", "{")
        with pytest.raises(EvaluationError, match="not JSON"):
            read_air_bench(tmp_path, prompts=PROMPTS)


class TestTranscripts:
    def test_librispeech(self, tmp_path):
        write_librispeech(tmp_path)
        with (tmp_path / "LibriSpeech/test-other/367/134686/367-134686.trans.txt").open(
            "a"
        ) as file:
            file.write("367-134686-0002\n367-134686-0000 TWICE\n")
        suite = read_librispeech(tmp_path, prompts=PROMPTS)
        assert suite.items[0].id == "librispeech/test_clean/1089-134686-0000"
        assert suite.items[0].references == ("he hoped for stew",) and suite.items[0].metrics == (
            "wer",
        )
        assert (
            list_reasons(suite)[1] == ("test_other", "another row has this id")
            and len(suite.set_aside) == 2
        )
        # its folder may be the root itself, and its parts be spelt as on disk
        assert (
            len(
                read_librispeech(
                    tmp_path / "LibriSpeech", subsets=("test-clean",), prompts=PROMPTS
                ).items
            )
            == 2
        )

    def test_fleurs_asks_in_the_language_spoken(self, tmp_path):
        write_fleurs(tmp_path)
        lines = "7\t0.wav\tEs regnet.\tes regnet\te\t1600\tMALE\n8\t1.wav\n"
        write_text(tmp_path / "data" / "de_de" / "test.tsv", lines)
        suite = read_fleurs(tmp_path, prompts=PROMPTS, languages=("de",))
        assert (
            suite.items[0].question == "Schreib auf, was die Person sagt."
            and suite.items[0].language == "de"
        )
        assert list_reasons(suite) == [("recordings", "2 columns, not 7")]
        with pytest.raises(
            EvaluationError, match="fleurs: no language fi; those read here are en, de"
        ):
            read_fleurs(tmp_path, prompts=PROMPTS, languages=("fi",))

    def test_fleurs_by_the_sentence(self, tmp_path):
        write_fleurs(tmp_path)
        suite = read_fleurs(
            tmp_path, subsets=("recordings", "sentences"), prompts=PROMPTS, languages=("de",)
        )
        assert [(item.subset, item.id[-1]) for item in suite.items] == [
            ("recordings", "0"),
            ("recordings", "1"),
            ("sentences", "0"),
        ]

    def test_peoples_speech_of_either_revision(self, tmp_path):
        write_peoples_speech(tmp_path / "archives")
        write_parquet(
            tmp_path / "tables" / "test" / "test-00000-of-00001.parquet",
            [
                {
                    "id": "a_talk_mp3_00000.flac",
                    "audio": embed(0),
                    "duration_ms": 100,
                    "text": "so we went",
                },
                {
                    "id": "a_talk_mp3_00001.flac",
                    "audio": embed(1),
                    "duration_ms": 100,
                    "text": None,
                },
            ],
        )
        suite = read_peoples_speech(tmp_path / "archives", prompts=PROMPTS)
        assert [item.references for item in suite.items] == [("so we went",), ("out for a walk",)]
        suite = read_peoples_speech(
            tmp_path / "tables", cache_dir=tmp_path / "cache", prompts=PROMPTS
        )
        assert suite.items[0].references == ("so we went",)
        assert list_reasons(suite) == [("test", "empty reference")]

    def test_peoples_speech_source_of_unequal_lists(self, tmp_path):
        write_peoples_speech(tmp_path)
        with (tmp_path / "test" / "test.json").open("a") as file:
            file.write('{"identifier": "b", "training_data": {"name": ["b.flac"], "label": []}}\n')
        suite = read_peoples_speech(tmp_path, prompts=PROMPTS)
        assert (
            len(suite.items) == 2
            and "no training_data of name and label" in suite.set_aside[0].reason
        )


class TestCovost2:
    def test_translations(self, tmp_path):
        write_covost2(tmp_path)
        item = read_covost2(tmp_path, prompts=PROMPTS).items[0]
        assert (item.subset, item.language, item.metrics) == ("de_en", "de", ("bleu", "chrf"))
        assert item.references == ('"Yes", he said.',)

    def test_the_target_is_named_in_the_language_of_the_prompt(self, tmp_path):
        write_covost2(tmp_path)
        names = {"de": "Englisch", "fr": "anglais", "it": "inglese", "es": "inglés"}
        for item in read_covost2(tmp_path, prompts=PROMPTS).items:
            assert f": {names[item.language]}." in item.question and "English" not in item.question

    def test_a_renamed_column_and_a_torn_row(self, tmp_path):
        write_covost2(tmp_path)
        path = tmp_path / "cv-corpus-4-2019-12-10" / "de" / "covost_v2.de_en.test.tsv"
        text = path.read_text()
        path.write_text(text + "common_voice_de_2.mp3\tEs regnet.\n")
        assert list_reasons(read_covost2(tmp_path, languages=("de",), prompts=PROMPTS)) == [
            ("de_en", "2 columns where the first line has 4")
        ]
        path.write_text(text.replace("translation", "target"))
        with pytest.raises(
            EvaluationError, match="no translation among its columns .path, sentence, target,"
        ):
            read_covost2(tmp_path, prompts=PROMPTS)


class TestSlurp:
    def test_intents_are_a_choice(self, tmp_path):
        write_slurp(tmp_path)
        items = {
            item.id: item
            for item in read_slurp(tmp_path, subsets=("intent",), prompts=PROMPTS).items
        }
        item = items["slurp/intent/audio-2"]
        assert (
            item.references == ("iot hue lightoff",)
            and item.references[0] in item.labels
            and len(item.labels) == 4
        )
        assert all(
            f"{letter}. {label}" in item.question
            for letter, label in zip("ABCD", item.labels, strict=True)
        )
        assert item.facets == {"scenario": "iot"} and item.metrics == ("accuracy",)
        assert items == {
            item.id: item
            for item in read_slurp(tmp_path, subsets=("intent",), prompts=PROMPTS).items
        }

    def test_slots_have_a_line_each(self, tmp_path):
        write_slurp(tmp_path)
        items = {
            item.id: item
            for item in read_slurp(tmp_path, subsets=("slots",), prompts=PROMPTS).items
        }
        assert items["slurp/slots/audio-1"].references == ("time: nine am",)
        assert items["slurp/slots/audio-2"].references == ("none",)
        assert "The names are time." in items["slurp/slots/audio-1"].question

    def test_bad_rows(self, tmp_path):
        write_slurp(tmp_path)
        wrong = make_command(7, "alarm", "set", "audio-7.flac")
        wrong["entities"] = [{"span": [17], "type": "time"}]
        path = tmp_path / "dataset" / "slurp" / "test.jsonl"
        write_json_lines(
            path, [make_command(1, "alarm", "set", "audio-1.flac"), wrong, {"slurp_id": 8}]
        )
        suite = read_slurp(tmp_path, subsets=("slots",), prompts=PROMPTS)
        assert len(suite.items) == 1
        assert [row.id for row in suite.set_aside] == [
            "slurp/slots/test.jsonl:2",
            "slurp/slots/test.jsonl:3",
        ]
        write_json_lines(path, [{"intent": "alarm_set"}])
        with pytest.raises(
            EvaluationError, match="no scenario and no action .*among its columns .intent."
        ):
            read_slurp(tmp_path, prompts=PROMPTS)


class TestEmotions:
    def test_msp_podcast(self, tmp_path):
        write_msp_podcast(tmp_path)
        suite = read_msp_podcast(tmp_path, prompts=PROMPTS)
        assert [(item.subset, item.references) for item in suite.items] == [
            ("test1", ("neutral",)),
            ("test1", ("angry",)),
            ("test2", ("happy",)),
        ]
        assert len(suite.items[0].labels) == 8 and "contemptuous" in suite.items[0].question
        assert list_reasons(suite) == [
            ("test1", "no agreed emotion (X)"),
            ("test2", "another emotion (O)"),
        ]

    def test_msp_podcast_of_another_release(self, tmp_path):
        write_msp_podcast(tmp_path)
        path = tmp_path / "Labels" / "labels_consensus.csv"
        text = path.read_text()
        path.write_text(text.replace(",A,", ",Q,"))
        assert list_reasons(read_msp_podcast(tmp_path, prompts=PROMPTS))[0] == (
            "test1",
            "label 'Q' is not one of A, S, H, U, F, D, C, N",
        )
        path.write_text(text.replace("EmoClass", "Emotion"))
        with pytest.raises(
            EvaluationError, match="no EmoClass among its columns .FileName, Emotion"
        ):
            read_msp_podcast(tmp_path, prompts=PROMPTS)

    def test_iemocap_has_four_classes(self, tmp_path):
        write_iemocap(tmp_path)
        suite = read_iemocap(tmp_path, prompts=PROMPTS)
        assert [item.references[0] for item in suite.items] == [
            "neutral",
            "angry",
            "happy",
            "happy",
            "sad",
        ]
        assert suite.items[0].labels == ("angry", "happy", "sad", "neutral")
        assert suite.items[0].facets == {"dialogue": "improvised"}
        assert list_reasons(suite) == [
            ("Session5", "frustrated (fru)"),
            ("Session5", "no agreed emotion (xxx)"),
        ]

    def test_iemocap_with_a_label_of_nobody(self, tmp_path):
        write_iemocap(tmp_path)
        path = (
            tmp_path
            / "IEMOCAP_full_release"
            / "Session5"
            / "dialog"
            / "EmoEvaluation"
            / "Ses05F_impro01.txt"
        )
        path.write_text(path.read_text().replace("\tsad\t", "\tglad\t"))
        assert ("Session5", "label 'glad' is not one of the corpus") in list_reasons(
            read_iemocap(tmp_path, prompts=PROMPTS)
        )


class TestSpokenQA:
    def test_either_layout(self, tmp_path):
        write_spoken_qa(tmp_path)
        first, second = read_spoken_qa(tmp_path, prompts=PROMPTS).items
        assert (first.subset, first.references) == (
            "speech_msmarco",
            ("In Spain.", "On the plain."),
        )
        assert (second.id, second.references) == (
            "spoken_qa/spokenqa_ls/en/19-198-0000#1",
            ("He is.",),
        )
        assert first.metrics == second.metrics == ("rouge_l",)

    def test_one_set_alone(self, tmp_path):
        write_spoken_qa(tmp_path)
        (tmp_path / "speech_msmarco.jsonl").unlink()
        suite = read_spoken_qa(tmp_path, prompts=PROMPTS)
        assert len(suite.items) == 1 and suite.set_aside[0].reason.startswith(
            "no speech_msmarco.jsonl"
        )
        with pytest.raises(EvaluationError, match="no speech_msmarco.jsonl and no folder"):
            read_spoken_qa(tmp_path, subsets=("speech_msmarco",), prompts=PROMPTS)


class TestMMAU:
    def test_a_question_lists_its_choices(self, tmp_path):
        write_mmau(tmp_path)
        suite = read_mmau(tmp_path, prompts=PROMPTS)
        item = suite.items[0]
        assert (item.id, item.references, item.metrics) == (
            "mmau/sound/3fe6-1",
            ("A woman",),
            ("choice",),
        )
        assert item.question.startswith("Based on the given audio")
        assert item.question.endswith("A child\nA woman\nAn adult man\nA teenager")
        assert suite.items[1].facets == {
            "difficulty": "hard",
            "category": "Reasoning",
            "skill": "Acoustic Source Inference",
        }
        assert suite.items[2].labels == ("one", "two")
        assert [item.subset for item in suite.items] == ["sound", "music", "speech"]

    def test_the_hub_s_table_has_the_same_questions(self, tmp_path):
        write_mmau(tmp_path / "repository")
        rows = json.loads((tmp_path / "repository" / "mmau-test-mini.json").read_text())
        table = []
        for number, row in enumerate(rows):
            choices = row.pop("choices")
            lettered = [f"({letter}) {text}" for letter, text in zip("ABCD", choices, strict=False)]
            table.append(
                {
                    "context": embed(number),
                    "instruction": row["question"],
                    "choices": lettered,
                    "answer": lettered[choices.index(row.pop("answer"))],
                    "other_attributes": json.dumps(row),
                }
            )
        write_parquet(tmp_path / "hub" / "test_mini.parquet", table)
        listed = read_mmau(tmp_path / "repository", prompts=PROMPTS).items
        held = read_mmau(tmp_path / "hub", cache_dir=tmp_path / "cache", prompts=PROMPTS).items
        for name in ("id", "question", "references", "labels", "facets"):
            assert [getattr(item, name) for item in listed] == [
                getattr(item, name) for item in held
            ]
        assert held[0].audio[0].startswith(str(tmp_path / "cache"))

    def test_rows_that_cannot_be_asked(self, tmp_path):
        write_mmau(tmp_path)
        path = tmp_path / "mmau-test-mini.json"
        rows = [
            make_choice_row(1, "sound"),
            make_choice_row(2, "sound", answer=None),
            make_choice_row(2, "music", choices="A or B"),
            make_choice_row(3, "speech", answer="A dog"),
            make_choice_row(3, ""),
            make_choice_row(3, None),
            "A woman",
        ]
        path.write_text(json.dumps(rows))
        assert list_reasons(read_mmau(tmp_path, prompts=PROMPTS)) == [
            ("sound", "its answer is withheld; the benchmark's authors score it"),
            ("", "choices is not a list"),
            ("speech", "label 'A dog' is not one of A child, A woman, An adult man, A teenager"),
            ("", "no domain ''"),
            ("", "no task"),
            ("", "not an object"),
        ]
        path.write_text(json.dumps([{"question": "Who?"}]))
        with pytest.raises(EvaluationError, match="no audio_id and no choices and no task among"):
            read_mmau(tmp_path, prompts=PROMPTS)


class TestVoiceBench:
    def test_a_question_is_heard_alone(self, tmp_path):
        write_voicebench(tmp_path)
        suite = read_voicebench(tmp_path, cache_dir=tmp_path / "cache")
        for item in suite.items:
            (message,) = item.messages
            assert [list(part) for part in message["content"]] == [["audio_path"]]
            assert item.question == "" and item.asked.startswith("Where does it rain, ")

    def test_each_subset_has_its_scores(self, tmp_path):
        write_voicebench(tmp_path)
        suite = read_voicebench(tmp_path, cache_dir=tmp_path / "cache")
        found = {item.id.removeprefix("voicebench/"): item for item in suite.items}
        assert {
            own_id: (item.metrics[0], item.references, item.facets)
            for own_id, item in found.items()
            if item.subset != "ifeval"
        } == {
            "alpacaeval_full/test/0001": ("judge_spoken", (), {}),
            "alpacaeval_full/test/0002": ("judge_spoken", (), {}),
            "commoneval/test/0001": ("judge_spoken", (), {}),
            "wildvoice/test/0001": ("judge_spoken", (), {}),
            "sd-qa/gbr/0001": ("judge_closed", ("on the plain",), {"region": "gbr"}),
            "sd-qa/usa/0001": ("judge_closed", ("on the plain",), {"region": "usa"}),
            "mmsu/law/0001": ("option", ("B",), {"subject": "law"}),
            "openbookqa/test/0001": ("option", ("D",), {}),
            "bbh/test/0001": ("option", ("yes",), {"task": "navigate"}),
            "bbh/test/0002": ("option", ("A",), {"task": "hyperbaton"}),
            "advbench/test/0001": ("refused", (), {}),
        }
        assert found["ifeval/test/0001"].references == (
            'length_constraints:number_words {"num_words": 3, "relation": "at least"}',
            "punctuation:no_comma",
        )
        assert list_reasons(suite) == [
            ("sd-qa", "empty reference"),
            ("bbh", "no task in the id 'snarks_9'"),
            ("ifeval", "no rule for answers in 'hi'"),
        ]

    def test_a_subset_that_is_not_there_is_told(self, tmp_path):
        write_voicebench(tmp_path / "voicebench")
        (tmp_path / "voicebench" / "commoneval" / "test-00000-of-00001.parquet").unlink()
        suite = read_voicebench(
            tmp_path, subsets=("commoneval", "openbookqa"), cache_dir=tmp_path / "cache"
        )
        assert len(suite.items) == 1
        assert suite.set_aside[0].reason.startswith("no Parquet file in ")
