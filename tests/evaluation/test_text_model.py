"""The decoder alone, asked of transcripts: what it is asked, by which weights, and the difference to
the model."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from tiny_evaluation import make_evaluation, make_suite
from tiny_model import MODEL, make_config, make_params
from tiny_run import make_run

from sift_jax.evaluation.evaluate import evaluate
from sift_jax.evaluation.scores.schema import EvaluationError, Item
from sift_jax.evaluation.suites import read_suite
from sift_jax.evaluation.text_model import drop_adapters, read_transcripts, write_in_words
from sift_jax.models.attention import AttentionMask
from sift_jax.models.decoder import compute_logits
from sift_jax.models.speech_lm import make_decoder
from sift_jax.pretrained import Model
from sift_jax.sift.rows import name_utterance
from sift_jax.training.loop import train


def make_item(*contents, language="en"):
    return Item(
        id="1",
        suite="s",
        subset="t",
        language=language,
        messages=tuple({"role": "user", "content": list(content)} for content in contents),
        references=("x",),
        metrics=("accuracy",),
    )


WORDS = {"a": "Three red boxes.", "b": "It is late."}
HEARD, OTHER, ASKED = {"audio_path": "x/a.wav"}, {"audio_path": "y/b.flac"}, {"text": "What is it?"}


def test_words_stand_where_the_recording_stood():
    (message,) = write_in_words(make_item([HEARD, ASKED]), WORDS)
    assert message["content"] == [{"text": 'Transcript: "Three red boxes."\nWhat is it?'}]
    (message,) = write_in_words(make_item([ASKED, HEARD]), WORDS)
    assert message["content"] == [{"text": 'What is it?\nTranscript: "Three red boxes."'}]
    (message,) = write_in_words(make_item([HEARD, ASKED], language="de"), WORDS)
    assert message["content"][0]["text"].startswith('Transkript: "Three red boxes."\n')
    first, second = write_in_words(make_item([HEARD, OTHER, ASKED], [ASKED, HEARD]), WORDS)
    assert first["content"] == [
        {"text": 'Transcript 1: "Three red boxes."\nTranscript 2: "It is late."\nWhat is it?'}
    ]
    assert second["content"] == [{"text": 'What is it?\nTranscript 3: "Three red boxes."'}]
    assert write_in_words(make_item([HEARD, OTHER, ASKED]), {"a": "Words."}) is None
    assert write_in_words(make_item([HEARD, ASKED]), {"a": ""}) is None
    # what has no recording is asked as it is
    assert write_in_words(make_item([ASKED]), {}) == make_item([ASKED]).messages


def test_transcripts_are_read_by_id_or_file(tmp_path):
    path = tmp_path / "metadata.jsonl"
    rows = [
        {"id": "a", "transcript": " Three red boxes.", "rate": 4},
        {"audio_path": "y/b.flac", "text": "It is late."},
        {"id": "c", "transcript": None},
        {"id": "a", "transcript": "Three red boxes. "},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_transcripts(path) == {**WORDS, "c": ""}
    with pytest.raises(EvaluationError, match=r"TRANSCRIPTS: .* is not a file; give JSON lines"):
        read_transcripts(tmp_path / "none.jsonl")
    for line, said in (
        ('{"id": "a", "transcript": "Others."}', r":5: a was given other words above"),
        ('{"id": "d"}', r":5: a line has an id or audio_path, and a transcript or text"),
        ("[1]", r":5: a line has"),
        ("{", r":5: a line has"),
    ):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows) + line + "\n")
        with pytest.raises(EvaluationError, match=said):
            read_transcripts(path)


def test_what_is_asked_is_the_decoder_under_the_adapters():
    config = make_config(lora_rank=2, lora_targets=("q", "v"))
    model = Model(config=config, params=make_params(config), tokenizer=None, step=1)
    alone = drop_adapters(model, "runs/x")
    assert not any("lora" in path[-1] for path in flatten_dict(alone.params))
    silent = jax.tree_util.tree_map_with_path(
        lambda path, x: np.zeros_like(x) if "lora_b" in str(path[-1]) else x, model.params
    )
    # the decoder whose adapters say nothing is the one without them
    logits = []
    for each in (dataclasses.replace(model, params=silent), alone, model):
        tokens = np.arange(1, 7)[None]
        hidden = run_decoder(each, tokens)
        logits.append(np.asarray(compute_logits(each.params["decoder"], hidden)))
    assert np.allclose(logits[0], logits[1], atol=1e-5)
    assert not np.allclose(logits[1], logits[2], atol=1e-2)
    plain = make_config()
    with pytest.raises(EvaluationError, match="runs/x has no LoRA, .* set TRANSCRIPTS = ''"):
        drop_adapters(Model(config=plain, params={}, tokenizer=None, step=1), "runs/x")


def run_decoder(model, tokens):
    x = np.asarray(model.params["decoder"]["embedding"])[tokens]
    mask = AttentionMask.of(np.tri(tokens.shape[1], dtype=bool)[None])
    position = np.arange(tokens.shape[1])[None]
    return make_decoder(model.config).apply({"params": model.params["decoder"]}, x, position, mask)


@pytest.fixture(scope="module")
def adapted_run(corpus, tmp_path_factory):
    """A run of three steps with adapters."""
    out = tmp_path_factory.mktemp("runs") / "adapted"
    model = dataclasses.replace(MODEL, lora_rank=2)
    train(**make_run(corpus, out, model=model, steps=3, checkpoint_every=3))
    return out


def test_an_evaluation_asks_the_decoder_beside_the_model(corpus, adapted_run, tmp_path, capsys):
    items = read_suite(make_suite(corpus.root)).items
    names = sorted({name_utterance(path) for item in items for path in item.audio})
    path, out = tmp_path / "words.jsonl", tmp_path / "out"

    def write(names):
        rows = [json.dumps({"id": name, "transcript": f"It is {name}."}) for name in names]
        path.write_text("\n".join(rows) + "\n")

    arguments = make_evaluation(
        corpus.root, adapted_run, out, transcripts=str(path), has_majority=False
    )
    # the words of one recording are not there: what asks of it is told, and left out
    write(names[1:])
    missing = sum(names[0] in map(name_utterance, item.audio) for item in items)
    evaluate(**arguments)
    said = capsys.readouterr().out
    assert f"{missing} of 20 questions are not asked of the decoder alone" in said
    assert "Decoder on transcripts" in said
    results = json.loads((out / "results.json").read_text())
    meta = json.loads((out / "predictions" / "text_model.json").read_text())
    assert meta["weights"] == "without adapters"
    asked = (out / "predictions" / "text_model.jsonl").read_text().splitlines()
    assert len(asked) == 20 - missing
    for one in results["forgetting"]:
        assert one["difference"] == pytest.approx(one["second"] - one["first"])
        assert one["n"] <= 20 - missing
    assert {one["suite"] for one in results["forgetting"]} == {"evalsift"}
    assert "The decoder alone" in (out / "report.md").read_text()
    # other words, other answers: not into the same folder
    write(names)
    with pytest.raises(EvaluationError, match=r"answers were made with transcripts ="):
        evaluate(**arguments)
    evaluate(**{**arguments, "run": dataclasses.replace(arguments["run"], transcripts="")})
    assert not (out / "predictions" / "text_model.jsonl").exists()
    assert "forgetting" not in json.loads((out / "results.json").read_text())
    path.write_text(json.dumps({"id": "nobody", "transcript": "Nothing."}) + "\n")
    with pytest.raises(EvaluationError, match="no question has the transcript of its recording"):
        evaluate(**arguments)
