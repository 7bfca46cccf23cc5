"""python -m sift_jax.speak on a run of three steps: what it writes, goes on with, and refuses."""

import dataclasses
import json
import shutil
import sys

import numpy as np
import pytest
from tiny_model import MODEL
from tiny_run import SPOKEN, make_run

from sift_jax import speak
from sift_jax.audio.files import read_audio, write_audio
from sift_jax.checkpoints.checkpoint_errors import CheckpointError
from sift_jax.codecs.registry import load_codec
from sift_jax.decoding import speech, speech_answers
from sift_jax.decoding.speech_answers import limit_units
from sift_jax.exporting.export import export_model
from sift_jax.pretrained import Model
from sift_jax.text.unit_tokens import UNITS_FILE
from sift_jax.training.loop import train


def run(monkeypatch, capsys, *flags):
    """(status, stdout, stderr) of the command."""
    monkeypatch.setattr(sys, "argv", ["speak", *map(str, flags)])
    try:
        speak.main()
        status = 0
    except SystemExit as error:
        status = error.code
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.fixture
def say(monkeypatch, capsys, speaking_run):
    return lambda *flags: run(monkeypatch, capsys, f"--checkpoint={speaking_run}", *flags)


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    path = tmp_path_factory.mktemp("items") / "items.jsonl"
    lines = [
        {
            "id": f"u{i}",
            "language": language,
            "instruction": f"Say this softly: It is {i}.",
            "text": f"It is {i}.",
            "asked": {"average_intensity": "softly"},
        }
        for i, language in enumerate(("en", "de", "en"))
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_samples_of_a_text(say, speaking_run, tmp_path):
    flags = (
        "--text=It is loud.",
        "--style=slowly, softly",
        "--samples=2",
        f"--out={tmp_path / 'x.wav'}",
    )
    status, out, err = say(*flags)
    assert status == 0 and "asked: Say this quite slowly and softly: It is loud." in err
    waves = [read_audio(tmp_path / f"x-{i}.wav") for i in (1, 2)]
    assert len(out.splitlines()) == 2 and all(len(wave) for wave in waves)
    assert say(*flags)[1] == out, "the same seed says the same"
    say(*flags, "--seed=1")
    again = [read_audio(tmp_path / f"x-{i}.wav") for i in (1, 2)]
    assert any(len(a) != len(b) or (a != b).any() for a, b in zip(waves, again, strict=True))


def test_a_sample_is_written_before_the_next_is_made(say, monkeypatch, tmp_path):
    """A thousand samples take no more memory than one."""
    real, written = speech.say, []

    def count(*given, **options):
        written.append(len(list(tmp_path.iterdir())))
        return real(*given, **options)

    monkeypatch.setattr(speech, "say", count)
    status, out, _ = say("--text=It is loud.", "--samples=3", f"--out={tmp_path / 'x.wav'}")
    assert status == 0 and written == [0, 1, 2], out


def test_a_question_by_voice_is_answered_by_voice(say, tmp_path):
    write_audio(tmp_path / "q.wav", np.sin(np.arange(12_000) / 20).astype(np.float32) * 0.3)
    status, out, _ = say(
        f"--audio={tmp_path / 'q.wav'}", "--max_seconds=2", f"--out={tmp_path / 'a.flac'}"
    )
    assert status == 0 and "a.flac: " in out
    assert len(read_audio(tmp_path / "a.flac"))


def test_a_limit_follows_from_the_text_and_is_said_when_it_is_hit(say, codec_folder, tmp_path):
    codec = load_codec(codec_folder)
    assert limit_units("a" * 20, codec, max_seconds=30) < limit_units(
        "a" * 40, codec, max_seconds=30
    )
    assert limit_units("a" * 300, codec, max_seconds=30) == round(
        30 * codec.config.frame_rate + 0.49
    )
    # of many samples of a model that knows nothing some do not end by themselves, at a fifth of a
    # second's limit
    _, said, _ = say(
        "--text=It is loud.", f"--out={tmp_path / 'x.wav'}", "--samples=8", "--max_seconds=0.75"
    )
    limit = limit_units("It is loud.", codec, max_seconds=0.75)
    for line in said.splitlines():
        units = int(line.split(" units")[0].split()[-1])
        assert units <= limit and (units == limit) == (f"cut at the limit of {limit} units" in line)
    assert "cut at the limit" in said


def test_units_without_a_sound_are_silence_and_said_to_be(codec_folder):
    codec = load_codec(codec_folder)
    wave, is_silent = speech_answers.say(np.array([1, 2, 3]), codec, None, seed=0)
    assert is_silent and len(wave) and not wave.any()
    assert not speech_answers.say(np.array([codec.first_sound]), codec, None, seed=0)[1]


def test_many_items_and_a_kill_between_them(say, items, tmp_path):
    out = tmp_path / "spoken"
    flags = (f"--items={items}", "--samples=2", "--rows=2", f"--out={out}")
    status, said, _ = say(*flags)
    assert status == 0 and "6 recordings of 3 instructions" in said
    lines = [json.loads(line) for line in (out / "spoken.jsonl").read_text().splitlines()]
    assert [(line["id"], line["sample"]) for line in lines] == [
        (f"u{i}", k) for i in range(3) for k in range(2)
    ]
    for line in lines:
        assert set(line) == {
            "id",
            "language",
            "instruction",
            "text",
            "asked",
            "sample",
            "seed",
            "audio",
            "units",
            "ended",
            "silent",
        }
        assert line["asked"] == {"average_intensity": "softly"} and line["units"] > 0
        assert len(read_audio(out / line["audio"])) and line["audio"].endswith(".flac")
    before = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    # a line torn, and a recording whose line never came
    text = (out / "spoken.jsonl").read_bytes().splitlines(keepends=True)
    (out / "spoken.jsonl").write_bytes(b"".join(text[:2]) + text[2][:20])
    (out / lines[0]["audio"]).unlink()
    assert say(*flags)[0] == 0
    assert {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()} == before
    status, _, err = say(*flags, "--seed=3")
    assert status == 2 and "holds speech of another seed (0, not 3); give another --out" in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--text=",), "there is no text to say"),
        (("--text=Hi there.", "--style=very slowly and very fast"), "contradicts itself"),
        (("--text=Hi there.", "--language=nl"), "no wording in language 'nl'"),
        (("--text=Oui.", "--language=fr"), "has learnt to speak de, en, not 'fr'"),
        (("--text=" + "word " * 2_000,), "takes about 667 s to say, more than 30; cut it"),
        (
            ("--text=Hi there.", "--reference=x.wav"),
            "has the voice in its units; leave the reference out",
        ),
        (("--text=Hi there.", "--samples=0"), "--samples=0 is too few"),
        (("--audio=nowhere.wav",), "nowhere.wav"),
    ],
)
def test_what_cannot_be_said_is_an_error(say, tmp_path, flags, message):
    status, _, err = say(*flags, f"--out={tmp_path / 'x.wav'}")
    assert status == 2 and message in err and not list(tmp_path.iterdir())


def test_a_file_of_items_that_is_wrong_names_the_line(say, items, tmp_path):
    text = items.read_text()
    for line, message in (
        ("{}", "an item is an object with id"),
        (text.splitlines()[0], "'u0' stands in line 1 too"),
        (text.splitlines()[0].replace('"en"', '"nl"'), "no wording in language"),
    ):
        (tmp_path / "items.jsonl").write_text(text + line + "\n")
        status, _, err = say(f"--items={tmp_path / 'items.jsonl'}", f"--out={tmp_path / 'out'}")
        assert status == 2 and f"items.jsonl:4: {message}" in err


def test_another_codec_never_meets_these_units(
    say, trained_run, codec_folder, tmp_path, monkeypatch, capsys
):
    other = shutil.copytree(codec_folder, tmp_path / "other")
    document = json.loads((other / "codec.json").read_text())
    (other / "codec.json").write_text(json.dumps({**document, "fingerprint": "0" * 64}))
    status, _, err = say("--text=Hi there.", f"--codec={other}", f"--out={tmp_path / 'x.wav'}")
    assert status == 2 and "was changed since it was written" in err
    from sift_jax.codecs.codec_folder import read_folder, write_folder

    held = read_folder(codec_folder)
    book = held.read_tensors("book")
    book["tones"] = book["tones"] + np.float32(0.01)
    write_folder(tmp_path / "third", held.config, {"book": book})
    status, _, err = say(
        "--text=Hi there.", f"--codec={tmp_path / 'third'}", f"--out={tmp_path / 'x.wav'}"
    )
    assert status == 2 and "speaks the units of the codec" in err and str(codec_folder) in err
    status, _, err = run(
        monkeypatch,
        capsys,
        f"--checkpoint={trained_run}",
        "--text=Hi there.",
        f"--out={tmp_path / 'x.wav'}",
    )
    assert status == 2 and "answers in text alone" in err


def test_a_run_keeps_its_codec_and_so_does_its_export(
    speaking_run, corpus, codec_folder, spoken_records, tmp_path
):
    model = Model.load(speaking_run)
    assert model.codec.languages == ("de", "en") and model.codec.codes == 125
    export_model(model, tmp_path / "export", run_dir=speaking_run)
    assert Model.load(tmp_path / "export").codec == model.codec
    held = json.loads((speaking_run / UNITS_FILE).read_text())
    run_dir = shutil.copytree(speaking_run, tmp_path / "run")
    (run_dir / UNITS_FILE).write_text(json.dumps({**held, "codec": "0" * 64}))
    arguments = make_run(
        corpus,
        run_dir,
        model=dataclasses.replace(MODEL, extra_tokens=127),
        steps=6,
        checkpoint_every=3,
        data={"records": str(spoken_records), "codec": str(codec_folder), **SPOKEN},
    )
    with pytest.raises(CheckpointError, match="was trained on the units of the codec 000000000000"):
        train(**arguments)
    (run_dir / UNITS_FILE).write_text(json.dumps({**held, "begin": 7}))
    with pytest.raises(ValueError, match="units begin at id 7 there, and at [0-9]+ with this"):
        Model.load(run_dir)
