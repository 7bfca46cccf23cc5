"""The command: long recordings with their text become clips, and a build of them works."""

import json

import numpy as np
import pytest

from data_prep import cut as command
from data_prep.alignment.word_time import AlignmentError, WordTime
from data_prep.build import main as build_whole
from data_prep.build import parse_arguments
from data_prep.cut import main
from data_prep.embedded.corpus import make_plans, synthesize
from data_prep.engine.chunks import BuildError
from data_prep.pipeline.build_stages import build
from sift_jax.audio.files import read_audio, read_long_audio, write_audio

RATE = 16_000


def read_rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def join_clips(language, count, seed):
    """One long recording of the synthesizer's clips, its text and its word times."""
    waves, texts, words, now = [], [], [], 0.0
    for plan in make_plans(language, "train", count, seed=seed):
        wave, truth = synthesize(plan)
        waves.append(wave)
        texts.append(truth.transcript)
        words += [
            {
                "word": word.word,
                "start": round(word.start + now, 3),
                "end": round(word.end + now, 3),
            }
            for word in truth.words
        ]
        now += len(wave) / RATE
    return np.concatenate(waves), " ".join(texts), words


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two long talks and a short clip; one line says that its talk begins after a second."""
    root = tmp_path_factory.mktemp("talks")
    (root / "audio").mkdir()
    rows = []
    for language, seed in (("en", 1), ("de", 2)):
        wave, text, words = join_clips(language, 26, seed)
        write_audio(
            root / "audio" / f"{language}.flac", np.concatenate([np.zeros(RATE, np.float32), wave])
        )
        rows.append(
            {
                "audio_filepath": f"audio/{language}.flac",
                "text": text,
                "lang": language,
                "speaker": f"s_{language}",
                "mood": "calm",
                "split": "train",
                "offset": 1.0,
                "duration": round(len(wave) / RATE, 3),
                "words": words,
            }
        )
    write_audio(root / "audio" / "short.flac", wave[: 5 * RATE])
    rows.append(
        {"audio_filepath": "audio/short.flac", "text": "Kurz.", "lang": "de", "split": "dev"}
    )
    (root / "talks.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
    )
    return root


def test_given_times_cut_a_recording_and_the_build_takes_the_clips(root, tmp_path, capsys):
    out = tmp_path / "cut"
    main(
        [f"--manifest={root / 'talks.jsonl'}", f"--out={out}", "--languages=en,de", "--seconds=15"]
    )
    rows, talks = read_rows(out / "manifest.jsonl"), read_rows(root / "talks.jsonl")
    assert rows[-1] == talks[-1] and not (out / "rejected.jsonl").read_text()
    for talk in talks[:2]:
        own = [row for row in rows if row["audio_filepath"] == talk["audio_filepath"]]
        assert len(own) > 2 and " ".join(row["text"] for row in own) == " ".join(
            talk["text"].split()
        )
        assert all(
            row["duration"] <= 15 and row["speaker"] == talk["speaker"] and row["mood"] == "calm"
            for row in own
        )
        found = [
            (
                word["word"],
                round(word["start"] + row["offset"] - 1, 2),
                round(word["end"] + row["offset"] - 1, 2),
            )
            for row in own
            for word in row["words"]
        ]
        for (word, start, end), given in zip(found, talk["words"], strict=True):
            assert word.strip(".,?!") == given["word"].strip(".,?!")
            assert abs(start - given["start"]) < 0.011 and abs(end - given["end"]) < 0.011
    said = capsys.readouterr().out
    assert "3 recordings: 1 short enough as they are, 2 cut into" in said
    assert f"--manifest={out}/manifest.jsonl --root={root.resolve()}" in said
    build_whole(
        [
            "--corpus=manifest",
            f"--manifest={out / 'manifest.jsonl'}",
            f"--root={root}",
            "--languages=en,de",
            f"--out={tmp_path / 'built'}",
            "--workers=1",
            "--evaluation=0",
            "--rows_per_utterance=2",
            "--wordings=1",
        ]
    )
    built = {row["id"]: row for row in read_rows(tmp_path / "built" / "metadata.jsonl")}
    clips = [row for row in rows if "words" in row]
    aside = {row["id"]: row["stage"] for row in read_rows(tmp_path / "built" / "rejected.jsonl")}
    # a measure may still set a clip aside
    assert {row["id"] for row in clips} - set(built) == set(aside) and set(aside.values()) <= {
        "measure"
    }
    for row in (row for row in clips if row["id"] in built):
        assert built[row["id"]]["transcript"] == row["text"] and len(
            built[row["id"]]["words"]
        ) == len(row["words"])


def test_what_a_build_refuses_as_too_long_names_the_command_that_cuts_it(root, tmp_path):
    out = tmp_path / "built"
    with pytest.raises(BuildError, match="train has no utterance"):
        build(
            parse_arguments(
                [
                    "--corpus=manifest",
                    f"--manifest={root / 'talks.jsonl'}",
                    "--languages=en,de",
                    f"--out={out}",
                    "--workers=1",
                    "--evaluation=0",
                ]
            ),
            ("corpus",),
        )
    rejected = read_rows(out / "parts" / "accounts" / "decode_rejected.jsonl")
    assert [row["reason"] for row in rejected] == ["too long", "too long"]
    assert all(
        f"python -m data_prep.cut --build={out} --out={out}_cut" in row["detail"]
        for row in rejected
    )


def test_what_a_build_set_aside_is_cut(root, tmp_path):
    out, talks = tmp_path / "built", read_rows(root / "talks.jsonl")
    with pytest.raises(BuildError, match="train has no utterance"):
        build(
            parse_arguments(
                [
                    "--corpus=manifest",
                    f"--manifest={root / 'talks.jsonl'}",
                    "--languages=en,de",
                    f"--out={out}",
                    "--workers=1",
                    "--evaluation=0",
                ]
            ),
            ("corpus",),
        )
    main([f"--build={out}", f"--out={tmp_path / 'cut'}", "--seconds=20"])
    rows = read_rows(tmp_path / "cut" / "manifest.jsonl")
    for talk in talks[:2]:
        own = [row for row in rows if row["language"] == talk["lang"]]
        assert " ".join(row["text"] for row in own) == talk["text"] and {
            row["split"] for row in own
        } == {"train"}
        assert {row["speaker"] for row in own} == {talk["speaker"]}
    with pytest.raises(SystemExit, match="no build that has decoded its corpus"):
        main([f"--build={tmp_path / 'cut'}", f"--out={tmp_path / 'x'}"])


class TruthfulAligner:
    """Answers with the times of the text that it is given."""

    def __init__(self, known):
        self.known, self.calls = known, 0

    def align(self, wave, transcript, language=None):
        self.calls += 1
        words, seconds = self.known[transcript]
        if seconds is not None and abs(len(wave) / RATE - seconds) > 0.01:
            raise AlignmentError("another recording")
        return [
            WordTime(word=word["word"], start=word["start"], end=word["end"], score=0.9)
            for word in words
        ]


def test_found_times_are_kept_and_asked_for_once(root, tmp_path, monkeypatch):
    talks = read_rows(root / "talks.jsonl")[:2]
    aligner = TruthfulAligner(
        {" ".join(talk["text"].split()): (talk.pop("words"), talk["duration"]) for talk in talks}
    )
    monkeypatch.setattr(command, "make_aligner", lambda name, checkpoint: aligner)
    (root / "bare.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in talks), encoding="utf-8"
    )
    flags = [
        f"--manifest={root / 'bare.jsonl'}",
        f"--out={tmp_path}",
        "--languages=en,de",
        "--aligner=whisper",
        f"--checkpoint={root}",
    ]
    main(flags)
    first = (tmp_path / "manifest.jsonl").read_text()
    assert aligner.calls == 2 and len(first.splitlines()) >= 4
    # as a killed run leaves it
    with (tmp_path / "words.jsonl").open("a") as out:
        out.write('{"key": "torn')
    (tmp_path / "manifest.jsonl").unlink()
    main(flags)
    assert aligner.calls == 2 and (tmp_path / "manifest.jsonl").read_text() == first
    main([*flags[:1], f"--out={tmp_path / 'none'}", "--languages=en,de"])
    assert [row["reason"] for row in read_rows(tmp_path / "none" / "rejected.jsonl")] == [
        "no word times"
    ] * 2
    main([*flags[:1], f"--out={tmp_path / 'sphinx'}", "--languages=en,de", "--aligner=sphinx"])
    aside = read_rows(tmp_path / "sphinx" / "rejected.jsonl")
    assert [row["language"] for row in aside] == ["de"] and "take --aligner=whisper" in aside[0][
        "detail"
    ]


def test_times_of_a_file_go_by_the_lines_id(root, tmp_path):
    talks = read_rows(root / "talks.jsonl")[:2]
    with (tmp_path / "words.ctm").open("w") as out:
        for talk in talks:
            for word in talk.pop("words"):
                out.write(
                    f"talk_{talk['lang']} 1 {word['start']} {word['end'] - word['start']:.3f} "
                    f"{word['word']}\n"
                )
    rows = [{**talk, "id": f"talk_{talk['lang']}"} for talk in talks] + [
        {**talks[0], "id": "other"}
    ]
    (root / "named.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
    )
    main(
        [
            f"--manifest={root / 'named.jsonl'}",
            f"--out={tmp_path}",
            "--languages=en,de",
            f"--words={tmp_path / 'words.ctm'}",
        ]
    )
    made = read_rows(tmp_path / "manifest.jsonl")
    for talk in talks:
        assert " ".join(row["text"] for row in made if row["lang"] == talk["lang"]) == talk["text"]
    assert [row["id"] for row in read_rows(tmp_path / "rejected.jsonl")] == ["other"]


def test_stretches_without_a_pause_and_broken_lines_are_set_aside(root, tmp_path, capsys):
    talk = read_rows(root / "talks.jsonl")[0]
    count, step = len(talk["words"]), talk["duration"] / len(talk["words"])
    talk["words"] = [
        {"word": word["word"], "start": i * step, "end": (i + 1) * step}
        for i, word in enumerate(talk["words"])
    ]
    lines = [
        json.dumps(talk),
        "{broken",
        json.dumps({**talk, "audio_filepath": "audio/none.flac"}),
        json.dumps({**talk, "text": "—", "id": "mute"}),
        json.dumps({**talk, "text": "Other words.", "id": "other"}),
    ]
    (root / "odd.jsonl").write_text("\n".join(lines), encoding="utf-8")
    main([f"--manifest={root / 'odd.jsonl'}", f"--out={tmp_path}", "--languages=en,de"])
    aside = read_rows(tmp_path / "rejected.jsonl")
    assert [row["reason"] for row in aside] == [
        "no pause",
        "broken line",
        "no audio file",
        "no transcript",
        "other words",
    ]
    assert "without a pause of 0.2 s" in aside[0]["detail"] and count > 20
    assert not read_rows(tmp_path / "manifest.jsonl")
    said = capsys.readouterr().out
    assert (
        f"{round(talk['duration'])} s are in stretches without a pause" in said
        and "1 × no pause" in said
    )


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_long_file_is_read_a_minute_at_a_time(tmp_path, rate):
    wave = 0.1 * np.random.default_rng(0).standard_normal(130 * rate).astype(np.float32)
    write_audio(tmp_path / "a.flac", wave, rate=rate)
    whole, long = read_audio(tmp_path / "a.flac"), read_long_audio(tmp_path / "a.flac")
    assert len(whole) == len(long)
    np.testing.assert_allclose(long, whole, atol=1e-4)
    part = read_long_audio(tmp_path / "a.flac", start=50.0, seconds=70.0)
    np.testing.assert_allclose(
        part[4_000:-4_000], whole[50 * RATE + 4_000 : 120 * RATE - 4_000], atol=1e-3
    )
