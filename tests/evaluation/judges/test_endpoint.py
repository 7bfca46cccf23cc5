"""A judge over HTTP: patience, nonsense, keys, the cache."""

import pickle
import traceback

import pytest
from judge_server import (
    Clock,
    fail,
    find_code,
    judge_at,
    make_config,
    predict,
    read_object,
    say,
    serve,
)
from scored_items import make_item

from sift_jax.endpoints.secret import Secret
from sift_jax.evaluation.judges.cache import VerdictCache
from sift_jax.evaluation.judges.config import JudgeError, read_key
from sift_jax.evaluation.judges.endpoint import EndpointJudge
from sift_jax.evaluation.judges.judge_protocol import make_messages
from sift_jax.evaluation.judges.prompts import hash_prompts
from sift_jax.evaluation.judges.verdicts import make_judge, read_verdicts, write_verdicts
from sift_jax.evaluation.scores.schema import Prediction

SECRET = "sk-very-secret/key+1"


def agree(body, _=0):
    """Right if the answer is the reference."""
    found = read_object(body)
    return say(
        f"Compared.\nVERDICT {find_code(body)} {int(found['answer'] in found['references'])}"
    )


def predictions(count=6):
    return [
        predict(n, ("They speak very fast.", f"They do not, {n}.")[n % 2]) for n in range(count)
    ]


def test_verdicts_come_in_order_with_reasons(tmp_path):
    with serve(agree) as script, judge_at(script.url, tmp_path) as judge:
        verdicts = list(judge.judge(predictions(40)))
    assert [v.id for v in verdicts] == [f"i{n}" for n in range(40)]
    assert [v.score for v in verdicts] == [1.0, 0.0] * 20
    assert {(v.status, v.reason, v.metric, v.judge) for v in verdicts} == {
        ("scored", "Compared.", "judge_closed", "endpoint")
    }
    body = script.bodies[0]
    assert body["temperature"] == 0.0 and body["model"] == "judge" and body["max_tokens"] == 512
    assert [m["role"] for m in body["messages"]] == ["system", "user"]


def test_parameters_of_a_servers_own_are_laid_over(tmp_path):
    extra = {"max_tokens": None, "max_completion_tokens": 64, "seed": 1}
    with (
        serve(agree) as script,
        judge_at(script.url, tmp_path, extra=extra, use_system_role=False) as judge,
    ):
        list(judge.judge(predictions(1)))
    assert "max_tokens" not in script.bodies[0] and script.bodies[0]["max_completion_tokens"] == 64
    assert [m["role"] for m in script.bodies[0]["messages"]] == ["user"]


def test_an_empty_answer_is_wrong_without_asking(tmp_path):
    with serve(agree) as script, judge_at(script.url, tmp_path) as judge:
        closed, pair = judge.judge([predict(0, " \n"), predict(1, "", metric="judge_air_bench")])
    assert (closed.score, closed.status, closed.reason) == (0.0, "scored", "the answer is empty")
    assert pair.score == 1.0 and not script.bodies


@pytest.mark.parametrize(
    "nonsense", ["I like trains.", "VERDICT 1", "", "VERDICT 0123456789abcdef 1"]
)
def test_nonsense_is_asked_again_and_then_counted(nonsense, tmp_path):
    with (
        serve(lambda body, n: say(nonsense)) as script,
        judge_at(script.url, tmp_path, tries=3) as judge,
    ):
        (verdict,) = judge.judge(predictions(1))
        assert (verdict.score, verdict.status) == (
            None,
            "unparsed",
        ) and "in 3 replies" in verdict.reason
        assert (
            len(script.bodies) == 3
            and "could not be read" in script.bodies[1]["messages"][1]["content"]
        )
        assert {body["temperature"] for body in script.bodies} == {0.0}
        list(judge.judge(predictions(1)))
    assert len(script.bodies) == 6, "what could not be parsed is not kept"


def test_a_second_try_may_do_better(tmp_path):
    with (
        serve(lambda body, n: say("Hm.") if n == 0 else agree(body)) as script,
        judge_at(script.url, tmp_path) as judge,
    ):
        (verdict,) = judge.judge(predictions(1))
    assert verdict.score == 1.0 and len(script.bodies) == 2


def test_a_judge_that_is_down_for_a_minute_is_waited_for(tmp_path):
    clock = Clock()
    with (
        serve(lambda body, n: fail(503) if clock.now < 60 else agree(body)) as script,
        judge_at(script.url, tmp_path, clock=clock, concurrency=1) as judge,
    ):
        verdicts = list(judge.judge(predictions(3)))
    assert [v.score for v in verdicts] == [1.0, 0.0, 1.0]
    assert 60 <= clock.now < 120 and len(clock.waits) < 12, "the wait doubles"


def test_patience_ends_and_says_so(tmp_path):
    clock = Clock()
    with (
        serve(lambda body, n: fail(503, "overloaded")) as script,
        judge_at(script.url, tmp_path, clock=clock, patience=90.0) as judge,
        pytest.raises(
            JudgeError, match=r"waited 90 s, and the last try met: http 503 \(overloaded\)"
        ),
    ):
        list(judge.judge(predictions(3)))


def test_nothing_listening_is_waited_for_too(tmp_path):
    with (
        judge_at("http://127.0.0.1:9/v1", tmp_path, patience=30.0, concurrency=1) as judge,
        pytest.raises(JudgeError, match="Connection refused"),
    ):
        list(judge.judge(predictions(1)))


def test_one_question_that_always_fails_does_not_stop_the_others(tmp_path):
    clock = Clock()

    def decide(body, _):
        return fail(500) if "not, 1." in body["messages"][1]["content"] else agree(body)

    data = {"question": "?", "references": ["a"], "answer": "a"}
    other, _ = make_messages("judge_closed", data, longest=100, attempt=0, use_system_role=True)
    with (
        serve(decide) as script,
        judge_at(script.url, tmp_path, clock=clock, concurrency=1, patience=5.0) as judge,
    ):
        # others are answered while this one waits
        clock.meanwhile = lambda: judge.client.ask(other)
        verdicts = list(judge.judge(predictions(3)))
    assert [v.status for v in verdicts] == ["scored", "error", "scored"]
    assert verdicts[1].score is None and "http 500" in verdicts[1].reason


def test_a_question_that_the_server_refuses_is_an_error_of_its_own(tmp_path):
    def decide(body, _):
        return fail(400, "too long") if "not, 1." in body["messages"][1]["content"] else agree(body)

    with serve(decide) as script, judge_at(script.url, tmp_path) as judge:
        verdicts = list(judge.judge(predictions(3)))
    assert [v.status for v in verdicts] == ["scored", "error", "scored"]
    assert verdicts[1].reason == "http 400: too long"


def test_retry_after_is_waited_for(tmp_path):
    clock = Clock()
    with (
        serve(lambda body, n: fail(429, Retry_After="17") if n == 0 else agree(body)) as script,
        judge_at(script.url, tmp_path, clock=clock) as judge,
    ):
        list(judge.judge(predictions(1)))
    assert clock.waits == [17.0]


@pytest.mark.parametrize("missing, cut", [(0, 20), (5, 0)])
def test_a_reply_that_breaks_off_is_asked_for_again(missing, cut, tmp_path):
    clock = Clock()

    def decide(body, n):
        status, headers, payload = agree(body)
        return status, headers, payload[:-cut] if cut and n == 0 else payload

    with (
        serve(decide, missing_bytes=missing) as script,
        judge_at(script.url, tmp_path, clock=clock, patience=3.0) as judge,
    ):
        if missing:
            with pytest.raises(JudgeError, match="broken answer"):
                list(judge.judge(predictions(1)))
        else:
            assert [v.score for v in judge.judge(predictions(1))] == [1.0] and len(
                script.bodies
            ) == 2


@pytest.mark.parametrize(
    "status, words",
    [
        (401, "it refuses the key; set \\$SIFT_JUDGE_KEY"),
        (403, "set"),
        (404, "check url \\(…/v1\\) and model"),
        (301, "has moved"),
    ],
)
def test_what_helps_no_question_stops_the_run_and_names_no_key(status, words, tmp_path):
    def decide(body, n):
        return fail(status, f"Bearer {SECRET} is unknown here")

    with (
        serve(decide) as script,
        judge_at(script.url, tmp_path, key=SECRET, concurrency=1) as judge,
    ):
        with pytest.raises(JudgeError, match=words) as caught:
            list(judge.judge(predictions(3)))
        assert script.headers[0]["Authorization"] == f"Bearer {SECRET}" and len(script.bodies) == 1
    shown = (
        "".join(traceback.format_exception(caught.value))
        + repr(judge.client.__dict__)
        + repr(judge.describe())
    )
    assert SECRET not in shown and "secret" not in shown


def test_a_key_is_masked_in_replies_and_everywhere(tmp_path, monkeypatch):
    def decide(body, _):
        return say(f"The key is {SECRET}.\nVERDICT {find_code(body)} 1")

    with serve(decide) as script, judge_at(script.url, tmp_path, key=SECRET) as judge:
        (verdict,) = judge.judge(predictions(1))
    assert verdict.reason == "The key is ***."
    assert SECRET not in (tmp_path / "cache.jsonl").read_text()
    key = Secret(SECRET)
    assert SECRET not in f"{key} {key!r}" and Secret("EMPTY").scrub("EMPTY") == "EMPTY"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)
    monkeypatch.setenv("SIFT_JUDGE_KEY", "two words")
    with pytest.raises(JudgeError, match=r"\$SIFT_JUDGE_KEY holds a space") as caught:
        read_key("SIFT_JUDGE_KEY")
    assert "two words" not in str(caught.value)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"name": "oracle"}, "JudgeConfig.name is 'oracle'; choose one of offline, endpoint"),
        ({"url": "localhost:8000"}, "no http address"),
        ({"url": "http://me:pass@host/v1"}, "holds a user or a password"),
        ({"model": ""}, "the judge has no model"),
        ({"tries": 0}, "JudgeConfig.tries is 0; give 1 or more"),
        ({"planted_threshold": 90}, "JudgeConfig.planted_threshold is 90; give above 0, at most 1"),
    ],
)
def test_a_config_that_cannot_work_is_refused_in_one_line(changes, words):
    with pytest.raises(ValueError, match=words) as caught:
        make_config(**changes)
    assert "\n" not in str(caught.value) and "pass@" not in str(caught.value)


def test_what_was_judged_is_not_asked_again_and_a_killed_run_goes_on(tmp_path):
    asks = [predict(n, f"They do, {n}.") for n in range(6)]
    with serve(agree) as script:
        with judge_at(script.url, tmp_path, concurrency=1) as judge:
            some = judge.judge(asks)
            first = [next(some), next(some)]
            some.close()
        asked = len(script.bodies)
        with judge_at(script.url, tmp_path, concurrency=1) as judge:
            again = list(judge.judge(asks))
        assert again[:2] == first and len(again) == 6
        assert len(script.bodies) == 6 and asked <= 6
        with judge_at(script.url, tmp_path, model="another") as judge:
            list(judge.judge(asks[:2]))
        with judge_at(script.url, tmp_path, max_tokens=100) as judge:
            list(judge.judge(asks[:2]))
    assert len(script.bodies) == 10, "another model or parameter is asked again"


def test_a_torn_tail_is_cut_and_damage_asked_again(tmp_path):
    path = tmp_path / "cache.jsonl"
    cache = VerdictCache(path)
    cache.add("a" * 64, (1.0,), "ä")
    cache.add("b" * 64, (2.0, 3.0), "")
    cache.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-4])
    cut = VerdictCache(path)
    assert cut.get("a" * 64) == ((1.0,), "ä") and cut.get("b" * 64) is None
    cut.add("c" * 64, (4.0,), "")
    cut.close()
    lines = path.read_text().splitlines()
    assert len(lines) == 2 and all(line.endswith("}") for line in lines)
    path.write_text(lines[0] + "\n" + "{broken\n" + lines[1] + "\n")
    again = VerdictCache(path)
    assert again.get("a" * 64) == ((1.0,), "ä") and again.get("c" * 64) == ((4.0,), "")
    with pytest.raises(JudgeError, match="held by another run"):
        VerdictCache(path)
    again.close()


def test_the_judge_of_a_config_and_its_verdicts_on_disk(tmp_path, monkeypatch):
    monkeypatch.delenv("SIFT_JUDGE_KEY", raising=False)
    path = tmp_path / "verdicts" / "model.endpoint.jsonl"
    with (
        serve(agree) as script,
        make_judge(make_config(script.url), tmp_path / "cache.jsonl") as judge,
    ):
        assert isinstance(judge, EndpointJudge)
        counts = write_verdicts(path, judge.judge(predictions(4)))
        assert "Authorization" not in script.headers[0]
        assert judge.describe() == {
            "name": "endpoint",
            "model": "judge",
            "prompt_hash": hash_prompts(),
            "parameters": {
                "temperature": 0.0,
                "max_tokens": 512,
                "longest_text": 4000,
                "use_system_role": True,
            },
        }
    assert counts == {"scored": 4} and [v.score for v in read_verdicts(path)] == [
        1.0,
        0.0,
        1.0,
        0.0,
    ]
    assert list(path.parent.iterdir()) == [path], "nothing is left aside"
    path.write_text('{"id": 3}\n')
    with pytest.raises(ValueError, match="model.endpoint.jsonl:1: not a verdict"):
        list(read_verdicts(path))


def test_verdicts_that_break_off_leave_the_file_as_it_was(tmp_path):
    path = tmp_path / "v.jsonl"
    write_verdicts(path, ())

    def breaking():
        raise JudgeError("down")
        yield

    with pytest.raises(JudgeError):
        write_verdicts(path, breaking())
    assert list(tmp_path.iterdir()) == [path] and path.read_text() == ""


def test_of_a_spoken_question_the_judge_reads_what_is_said(tmp_path):
    def grade(body, _=0):
        score = 4 if "Spain" in read_object(body)["answer"] else 9
        return say(f"Long.\nVERDICT {find_code(body)} {score}")

    item = make_item(0, (), question="", context="Where does it rain?", metrics=("judge_spoken",))
    answers = [Prediction(item=item, answer=answer) for answer in ("In Spain.", "No.", "")]
    with serve(grade) as script, judge_at(script.url, tmp_path, tries=1, concurrency=1) as judge:
        verdicts = list(judge.judge(answers))
    found = read_object(script.bodies[0])
    assert found == {"question": "Where does it rain?", "answer": "In Spain."}
    # of five, so that 9 is no verdict; who says nothing gets the least
    assert [(v.score, v.status) for v in verdicts] == [
        (4.0, "scored"),
        (None, "unparsed"),
        (1.0, "scored"),
    ]
