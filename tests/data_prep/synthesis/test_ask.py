"""python -m data_prep.synthesis ask and filter: transcripts in, questions with answers out, the bad
ones skipped."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from chat_server import fail, say
from corpus_layouts import write_librispeech, write_voice
from test_synthesis_speak import check_books, read_files, read_lines
from voice_server import serve_voices

from data_prep.records import join_release
from data_prep.synthesis.__main__ import main
from data_prep.synthesis.graders import Grade, RulesGrader, read_grades
from data_prep.synthesis.question_writers.rules_writer import RulesWriter
from data_prep.synthesis.triples import Triple, read_triples
from sift_jax.data.records.record_reader import RecordReader
from sift_jax.sift.rows import list_files, read_rows


@pytest.fixture(scope="module")
def libri(tmp_path_factory):
    root = tmp_path_factory.mktemp("libri")
    write_librispeech(root)
    return root


def read_words(sent):
    """What a writer or grader is shown: the JSON between the marks."""
    return json.loads(
        re.search(r"\n([0-9A-F]{16})\n(.*)\n\1(\n|$)", sent["messages"][-1]["content"]).group(2)
    )


def write_well(number, sent):
    first, second = read_words(sent)["words"].split()[:2]
    return say(json.dumps({"question": f"What comes after {first}?", "answer": f"It is {second}."}))


def grade_well(number, sent):
    return say(
        "\n".join(
            json.dumps(
                {"number": item["number"], "answerable": 5, "correct": 4, "worded": 5, "fault": ""}
            )
            for item in read_words(sent)["exercises"]
        )
    )


def ask(libri, out, *more):
    main(["ask", "--corpus=librispeech", f"--root={libri}", f"--out={out}", "--workers=1", *more])


def point(server, *more):
    return [f"--endpoint={server.url}", "--model=m", "--attempts=2", "--concurrency=2", *more]


def test_spokenqa_ls(libri, tmp_path, monkeypatch):
    monkeypatch.setenv("SIFT_LLM_KEY", "sk-tell-nobody")
    out = tmp_path / "out"
    with serve_voices(completions=write_well) as server:
        ask(libri, out, *point(server))
        count = len(server.asked)
        system = server.asked[0][1]["messages"][0]["content"]
        assert "Write everything in English" in system
        assert server.asked[0][1]["messages"][1]["content"].endswith(
            "\n\nWrite one question with its answer."
        )
        # done before: nobody is asked again
        ask(libri, out, *point(server))
        assert len(server.asked) == count
    accounts = check_books(out)
    assert accounts["ask"]["in"] == accounts["ask"]["out"] == accounts["decode"]["out"] == count
    triples = list(read_triples(out / "triples.jsonl"))
    assert triples[0].transcript.startswith("rain falls") and triples[0].answer == "It is falls."
    assert {triple.source for triple in triples} == {"librispeech"}
    rows = [
        row
        for split in ("train", "dev", "EvalSIFT")
        for path in list_files(out / "sift", split)
        for row in read_rows(path)
    ]
    assert len(rows) == count and "audio_path" in rows[0]["messages"][0]["content"][0]
    summary = join_release(out / "sift", [str(out / "audio")], out / "records", ("en",))
    assert sum(summary["en"]["records"].values()) == count
    record = RecordReader(str(out / "records"), "en").read("train", 0)
    assert json.loads(record["turns"])[0]["category"] == "open_ended"
    assert all(b"sk-tell" not in path.read_bytes() for path in out.rglob("*") if path.is_file())


def test_what_a_writer_does_wrong_is_counted_and_kept(libri, tmp_path):
    out = tmp_path / "out"
    answers = [
        say('{"nothing": "only noise"}'),
        say("I would rather not."),
        fail(400, "too long"),
        say('{"question": "What falls?", "answer": "As an AI I cannot hear."}'),
        say(
            "\n".join(
                json.dumps({"question": f"What falls {where}?", "answer": "Rain."})
                for where in ("here", "there", "on hills")
            )
        ),
        say('{"question": "What does the transcript say?", "answer": "Rain falls."}'),
        say('{"question": ["What?"], "answer": "Rain falls."}'),
        say('{"question": "What falls?", "answer": "Ra'),
        say(
            '{"question": "Was fällt denn da auf die Hügel?", "answer": "Der Regen fällt auf '
            'die sieben Hügel."}'
        ),
    ]
    firsts = []

    def answer(number, sent):
        if sent["messages"][1]["content"].endswith("Write one question with its answer."):
            return write_well(number, sent)
        firsts.append(number)
        return answers[len(firsts) - 1] if len(firsts) <= len(answers) else write_well(number, sent)

    with serve_voices(completions=answer) as server:
        ask(libri, out, *point(server, "--concurrency=1", "--pairs=2"))
        # of which nothing was kept, those were asked about again: for one, and without a word of
        # what was wrong
        assert len(server.asked) == len(firsts) + 6
        assert not any("rather not" in json.dumps(sent) for _, sent, _ in server.asked)
    accounts = check_books(out)
    assert accounts["ask"]["rejected"] == {
        "nothing to ask": 1,
        "nothing in the reply": 1,
        "no answer: http 400": 1,
        "refusal": 1,
        "too many": 1,
        "mentions metadata": 1,
        "not JSON": 1,
        "cut off": 1,
        "wrong language": 1,
    }
    assert "on hills" in (out / "rejected.jsonl").read_text()


def start(libri, out, url):
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "SIFT_LLM_KEY": "sk-killed-not-told",
    }
    flags = [
        "ask",
        "--corpus=librispeech",
        f"--root={libri}",
        f"--out={out}",
        "--workers=1",
        f"--endpoint={url}",
        "--model=m",
        "--concurrency=2",
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "data_prep.synthesis", *flags],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_killed_and_started_again(libri, tmp_path):
    """The clock starts with the first call of each life."""
    rng, out = random.Random(5), tmp_path / "killed"

    def slowly(number, sent):
        time.sleep(0.02)
        return write_well(number, sent)

    with serve_voices(completions=slowly) as server:
        for _ in range(2):
            before = len(server.asked)
            run = start(libri, out, server.url)
            target = before + rng.randrange(3, 6)
            while len(server.asked) < target and run.poll() is None:
                time.sleep(0.002)
            run.send_signal(signal.SIGKILL)
            run.communicate()
            assert run.returncode == -signal.SIGKILL and not (out / "report.json").exists()
        run = start(libri, out, server.url)
        said = run.communicate(timeout=60)[0].decode()
        assert run.returncode == 0, said
        asked = [json.dumps(sent) for _, sent, _ in server.asked]
        # no more than the calls that were under way at each kill
        assert len(asked) - len(set(asked)) <= 2 * 2
        ask(libri, tmp_path / "calm", *point(server))
    killed, calm = read_files(out), read_files(tmp_path / "calm")
    # it tells from where the replies came
    del killed["report.json"], calm["report.json"]
    assert killed == calm


def test_rules_write_without_a_server(libri, tmp_path):
    out = tmp_path / "out"
    ask(libri, out, "--writer=rules", "--pairs=3")
    assert check_books(out)["ask"]["rejected"] == {}
    triples = list(read_triples(out / "triples.jsonl"))
    assert len({(triple.id, triple.question) for triple in triples}) == len(triples)
    for triple in triples:
        said = triple.answer.strip(".")
        assert said in ("Yes", "No") or said in triple.transcript.split()


@pytest.mark.parametrize(
    "language, text",
    [
        ("en", "Rain falls softly over seven hills."),
        ("de", "Regen fällt leise über sieben Hügel."),
        ("fr", "La pluie tombe doucement sur sept collines."),
        ("it", "La pioggia cade piano su sette colline."),
        ("es", "La lluvia cae suave sobre siete colinas."),
    ],
)
def test_rules_say_what_is_true(language, text):
    writer, words = RulesWriter(99, 0), [word.strip(".") for word in text.split()]
    pairs = [
        pair
        for seed in range(20)
        for pair in RulesWriter(99, seed).write("u", language, text).pairs
    ]
    assert len({pair["question"] for pair in pairs}) > 15
    for pair in pairs:
        quoted = re.search(r"[\"„«»]\s?([^\"„«»“]+?)\s?[\"“«»]", pair["question"])
        if pair["answer"].endswith("."):
            assert (quoted.group(1) in words) == (
                pair["answer"] in ("Yes.", "Ja.", "Oui.", "Sì.", "Sí.")
            )
        elif quoted is None:
            assert pair["answer"] in (words[0], words[-1], words[4], words[5])
        elif "___" in quoted.group(1):
            before, after = (part.split() for part in quoted.group(1).split("___"))
            place = words.index(pair["answer"])
            assert words[:place][-3:] == before and words[place + 1 :][:3] == after
        else:
            assert abs(words.index(pair["answer"]) - words.index(quoted.group(1))) == 1
    assert writer.write("u", language, "a").drops[0].reason == "too few words"


def filter_triples(data, out, *more):
    main(["filter", f"--data={data}", f"--out={out}", "--workers=1", *more])


@pytest.fixture(scope="module")
def asked(libri, tmp_path_factory):
    out = tmp_path_factory.mktemp("asked") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("data_prep.synthesis.write_questions.run_chunks", run_here)
        patch.setattr("data_prep.tasks.decode.run_chunks", run_here)
        ask(libri, out, "--writer=rules", "--pairs=2")
    return out


def run_here(chunks, kind, work, engine):
    for chunk in chunks:
        if not chunk.path(kind).exists():
            work(chunk)


def test_the_filter_sets_aside_by_reason(asked, tmp_path):
    out = tmp_path / "out"
    bad = {0: (1, 5, 5), 1: (5, 2, 5), 2: (5, 5, 1), 3: (1, 1, 1)}
    seen = {}

    def answer(number, sent):
        shown = read_words(sent)
        place = seen.setdefault(shown["words"] + json.dumps(shown["exercises"]), len(seen))
        if place == 5:
            return say("They are all fine!")
        marks = [bad.get(place, (4, 4, 4)), (5, 5, 5)]
        lines = [
            {
                "number": item["number"],
                **dict(zip(("answerable", "correct", "worded"), mark, strict=True)),
                "fault": "so",
            }
            for item, mark in zip(shown["exercises"], marks, strict=True)
        ]
        if place == 6:
            # half of the grades, then none of them
            lines = [lines[0], {**lines[1], "correct": 9}]
        return say("\n".join(map(json.dumps, lines)))

    with serve_voices(completions=answer) as server:
        filter_triples(asked, out, *point(server, "--concurrency=1"))
        count = len(server.asked)
        assert len(server.asked[0][1]["messages"]) == 2 and server.asked[0][1]["temperature"] == 0.0
        before = read_files(out)
        # another limit shares the same grades out again
        filter_triples(asked, out, *point(server, "--least=5"))
        assert check_books(out)["grade"]["rejected"]["not answered by its recording"] > 2
        filter_triples(asked, out, *point(server))
        assert read_files(out) == before and len(server.asked) == count
    accounts = check_books(out)
    triples = list(read_triples(asked / "triples.jsonl"))
    assert accounts["grade"]["in"] == len(triples)
    assert accounts["grade"]["rejected"] == {
        "not answered by its recording": 2,
        "wrong answer": 1,
        "badly worded": 1,
        "no grade": 3,
    }
    aside, kept = read_lines(out / "aside.jsonl"), list(read_triples(out / "triples.jsonl"))
    assert len(aside) == 7 and aside[0]["grade"]["answerable"] == 1 and aside[0]["triple"]["answer"]
    assert sorted(
        [row["triple"]["key"] for row in aside] + [triple.key for triple in kept]
    ) == sorted(triple.key for triple in triples)
    assert len(read_lines(out / "grades.jsonl")) == len(triples)
    rows = [
        row
        for split in ("train", "dev", "EvalSIFT")
        for path in list_files(out / "sift", split)
        for row in read_rows(path)
    ]
    assert len(rows) == len(kept)


def test_grades_are_read_or_they_are_none():
    assert read_grades(
        '{"number": 1, "answerable": 5, "correct": 4, "worded": 3, "fault": "no"}'
    ) == {1: Grade(answerable=5, correct=4, worded=3, detail="no")}
    for reply in (
        "",
        "5",
        '{"number": 1, "answerable": 5}',
        '{"number": "1", "answerable": 5, "correct": 5, "worded": 5}',
        '{"number": 1, "answerable": true, "correct": 5, "worded": 5}',
        '{"number": 1, "answerable": 0, "correct": 5, "worded": 5}',
    ):
        assert read_grades(reply) == {}


def test_rules_grade_what_is_foreign(asked, tmp_path):
    out = tmp_path / "out"
    filter_triples(asked, out, "--grader=rules")
    # what the rules have written is of the words that are said
    assert check_books(out)["grade"]["rejected"] == {}
    known = {
        "id": "u",
        "key": "u/0",
        "language": "en",
        "split": "train",
        "references": (),
        "source": "s",
        "transcript": "Rain falls softly over seven hills.",
    }
    grades = [
        RulesGrader().grade([Triple(**known, question=question, answer=answer)])[0]
        for question, answer in (
            ("What falls over the hills?", "Rain."),
            ("Who won the cup?", "Italy."),
            ("What falls?", "Lead and iron."),
            ("Is it softly?", "Yes."),
            ("Was fällt auf die Hügel herab?", "Der Regen fällt auf die Hügel."),
        )
    ]
    assert [(grade.answerable >= 3, grade.correct >= 3, grade.worded >= 3) for grade in grades] == [
        (True, True, True),
        (False, False, True),
        (True, False, True),
        (True, True, True),
        (False, False, False),
    ]


def test_a_manifest_and_a_build_are_asked_about(libri, asked, tmp_path):
    write_voice(tmp_path / "one.wav", 1)
    write_voice(tmp_path / "two.wav", 2)
    (tmp_path / "mine.jsonl").write_text(
        '{"audio": "one.wav", "text": "Rain falls on seven hills."}\n{"audio": "two.wav", "text": '
        '""}\n'
    )
    out = tmp_path / "out"
    main(
        [
            "ask",
            "--corpus=manifest",
            f"--manifest={tmp_path / 'mine.jsonl'}",
            f"--out={out}",
            "--workers=1",
            "--writer=rules",
        ]
    )
    assert check_books(out)["read"]["rejected"] == {"no transcript": 1}
    again = tmp_path / "again"
    main(
        [
            "ask",
            "--corpus=build",
            f"--root={out}",
            f"--out={again}",
            "--workers=1",
            "--writer=rules",
            "--seed=4",
        ]
    )
    rows = [list(read_triples(folder / "triples.jsonl"))[0] for folder in (out, again)]
    assert rows[0].id == rows[1].id == "mine_en_one" and rows[1].source == "mine"
    with pytest.raises(SystemExit, match="needs --endpoint"):
        ask(libri, tmp_path / "none")
    with pytest.raises(SystemExit, match="has no triples.jsonl"):
        filter_triples(tmp_path, tmp_path / "none", "--grader=rules")


@pytest.mark.slow
def test_through_beam_several_processes_ask_and_grade_the_same(libri, tmp_path):
    def answer(number, sent):
        is_writer = "listening exercises" in sent["messages"][0]["content"]
        return (write_well if is_writer else grade_well)(number, sent)

    with serve_voices(completions=answer) as server:
        for workers in (1, 2):
            out, filtered = tmp_path / f"{workers}", tmp_path / f"{workers}_filtered"
            main(
                [
                    "ask",
                    "--corpus=librispeech",
                    f"--root={libri}",
                    f"--out={out}",
                    f"--workers={workers}",
                    *point(server),
                ]
            )
            main(
                [
                    "filter",
                    f"--data={out}",
                    f"--out={filtered}",
                    f"--workers={workers}",
                    *point(server),
                ]
            )
    for name in ("", "_filtered"):
        assert read_files(tmp_path / f"1{name}") == read_files(tmp_path / f"2{name}")
    assert check_books(tmp_path / "2_filtered")["grade"]["out"] == 16


def test_a_few_shot_writer_shows_examples(libri, tmp_path):
    out = tmp_path / "out"
    with serve_voices(completions=write_well) as server:
        ask(libri, out, *point(server, "--writer=few_shot", "--shots=2"))
        sent = [body["messages"] for _, body, _ in server.asked]
        # done before: nobody is asked again
        ask(libri, out, *point(server, "--writer=few_shot", "--shots=2"))
        assert len(server.asked) == len(sent)
    assert check_books(out)["ask"]["rejected"] == {}
    for messages in sent:
        assert [message["role"] for message in messages] == [
            "system",
            *["user", "assistant"] * 2,
            "user",
        ]
        for message in messages[2:-1:2]:
            assert set(json.loads(message["content"])) == {"question", "answer"}
        assert messages[-1]["content"].endswith("Write one question with its answer.")
    # others for other transcripts
    assert len({messages[2]["content"] for messages in sent}) > 1
    assert json.loads((out / "report.json").read_text())["ledger"]["this_run"]["from_journal"] == 0


def test_the_examples_may_be_ones_own(libri, asked, tmp_path):
    """What the speak and ask commands write are examples, too."""
    with serve_voices(completions=write_well) as server:
        ask(
            libri,
            tmp_path / "out",
            *point(server, "--writer=few_shot", f"--examples={asked / 'triples.jsonl'}"),
        )
        shown = json.loads(server.asked[0][1]["messages"][2]["content"])
    known = {(triple.question, triple.answer) for triple in read_triples(asked / "triples.jsonl")}
    assert (shown["question"], shown["answer"]) in known


def test_an_example_that_comes_back_is_dropped(libri, tmp_path):
    def copy(number, sent):
        return say(sent["messages"][2]["content"])

    with (
        serve_voices(completions=copy) as server,
        pytest.raises(SystemExit, match="no pair was kept"),
    ):
        ask(libri, tmp_path / "out", *point(server, "--writer=few_shot"))
    accounts = (tmp_path / "out/parts/accounts").glob("*ask*")
    assert '"copies the example": ' in "".join(path.read_text() for path in accounts)


@pytest.mark.parametrize(
    "lines, flags, message",
    [
        ("[]", ["--writer=few_shot"], "line 1 is not a JSON object"),
        (
            '{"text": "Rain falls.", "question": "What falls?"}',
            ["--writer=few_shot"],
            "line 1 has no answer",
        ),
        (
            '{"text": "Rain falls.", "question": "Qué?", "answer": "A", "language": "pt"}',
            ["--writer=few_shot"],
            "none of en, de",
        ),
        ("", ["--writer=few_shot"], "holds no example"),
        (
            (
                '{"text": "Regen fällt.", "question": "Was fällt?", "answer": "Regen.", '
                '"language": "de"}'
            ),
            ["--writer=few_shot"],
            "no example in language 'en'",
        ),
        ("", ["--writer=llm"], "--examples are for --writer=few_shot"),
        ("", ["--writer=few_shot", "--shots=0"], "--shots=0 is too small"),
    ],
)
def test_wrong_examples_are_one_line(libri, tmp_path, lines, flags, message):
    (tmp_path / "examples.jsonl").write_text(lines + "\n", encoding="utf-8")
    with serve_voices(completions=write_well) as server, pytest.raises(SystemExit) as stop:
        ask(
            libri,
            tmp_path / "out",
            *point(server, f"--examples={tmp_path / 'examples.jsonl'}", *flags),
        )
    assert message in str(stop.value) and len(str(stop.value).splitlines()) == 1
    with pytest.raises(SystemExit, match="--writer=few_shot needs --endpoint"):
        ask(libri, tmp_path / "none", "--writer=few_shot")
