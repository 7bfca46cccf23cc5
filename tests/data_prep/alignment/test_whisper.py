"""The Whisper aligner over a tiny folder, and over attention that is known."""

import itertools
import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from whisper_folder import ALIGNMENT_HEADS, LAYERS, POSITIONS, SPECIAL, write_whisper

from data_prep.alignment import word_time_stage
from data_prep.alignment.align import make_aligner
from data_prep.alignment.whisper import WhisperAligner
from data_prep.alignment.whisper_text import WhisperText
from data_prep.alignment.whisper_words import Heard
from data_prep.alignment.word_edges import find_pauses, move_to_pauses, shorten_ends
from data_prep.alignment.word_time import AlignmentError, Speech
from data_prep.build import parse_arguments
from data_prep.embedded.corpus import make_plans, synthesize
from data_prep.pipeline.build_stages import build
from sift_jax.audio.files import write_audio
from sift_jax.weights.whisper import load_whisper


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_whisper(tmp_path_factory.mktemp("whisper") / "tiny", heads=ALIGNMENT_HEADS)


@pytest.fixture(scope="module")
def aligner(folder):
    return WhisperAligner.read(folder)


def make_wave(samples, seed=5):
    return 0.1 * np.random.default_rng(seed).standard_normal(samples).astype(np.float32)


# ---- text


def test_marks_are_no_part_of_words(folder):
    text = WhisperText(folder, 263).encode("« Où est l'eau ? » — (là-bas), 42!")
    assert text.words == ("Où", "est", "l'eau", "là-bas", "42")
    assert text.starts[0] == 0 and text.starts[-1] == len(text.ids) == len(text.owners)
    # bytes: a space before each token, é and à of two
    assert [int((text.owners == word).sum()) for word in range(5)] == [4, 4, 6, 7, 3]
    second = text.cut(2, 4)
    assert second.words == ("l'eau", "là-bas") and (second.owners == 1).sum() == 7
    assert text.count_fitting(0, len(text.ids)) == 5
    assert text.count_fitting(1, int(text.starts[3] - text.starts[1])) == 3


def test_each_word_by_itself_is_the_text_as_a_whole(folder):
    text = WhisperText(folder, 263)
    sentence = "Well, 'tis (half-past) ten… isn't it?"
    whole = text._tokenizer.encode(" " + sentence, add_special_tokens=False).ids
    assert text.encode(sentence).ids.tolist() == whole


def test_the_prompt_names_the_language(folder, tmp_path):
    text = WhisperText(folder, 263)
    assert (
        text.make_prompt("de")
        == text.make_prompt("de-CH")
        == [
            256 + SPECIAL.index(name)
            for name in ("<|startoftranscript|>", "<|de|>", "<|transcribe|>", "<|notimestamps|>")
        ]
    )
    with pytest.raises(AlignmentError, match="does not know the language 'it'"):
        text.make_prompt("it")
    with pytest.raises(AlignmentError, match="is told the language"):
        text.make_prompt(None)
    write_whisper(tmp_path / "en", heads=ALIGNMENT_HEADS)
    (tmp_path / "en" / "generation_config.json").write_text('{"is_multilingual": false}')
    english = WhisperText(tmp_path / "en", 263)
    assert len(english.make_prompt(None)) == len(english.make_prompt("en")) == 2
    with pytest.raises(AlignmentError, match="knows English alone"):
        english.make_prompt("de")


def test_names_of_special_tokens_in_a_transcript_are_text(folder):
    assert max(WhisperText(folder, 263).encode("say <|endoftext|> now").ids) < 256


# ---- weights


def test_heads_come_from_the_folder_or_are_the_upper_half(folder, tmp_path):
    assert load_whisper(folder).alignment_heads == ((0, 1), (1, 0), (1, 1))
    plain = write_whisper(tmp_path / "plain")
    assert load_whisper(plain).alignment_heads == tuple((LAYERS - 1, head) for head in range(2))
    config = json.loads((plain / "config.json").read_text())
    (plain / "config.json").write_text(json.dumps({**config, "alignment_heads": [[0, 0]]}))
    assert load_whisper(plain).alignment_heads == ((0, 0),)
    (plain / "config.json").write_text(json.dumps({**config, "alignment_heads": [[7, 0]]}))
    with pytest.raises(ValueError, match="alignment_heads are no"):
        load_whisper(plain)


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer.json"),
        (
            lambda folder: (folder / "config.json").write_text('{"model_type": "wav2vec2"}'),
            "wav2vec2",
        ),
        (
            lambda folder: save_file(
                {
                    key: value
                    for key, value in load_file(folder / "model.safetensors").items()
                    if "encoder_attn" not in key
                },
                folder / "model.safetensors",
            ),
            "encoder_attn",
        ),
        (lambda folder: (folder / "model.safetensors").unlink(), "safetensors"),
    ],
)
def test_what_is_no_whisper_is_named(tmp_path, spoil, said):
    folder = write_whisper(tmp_path / "x")
    spoil(folder)
    with pytest.raises(AlignmentError, match=said):
        make_aligner("whisper", folder)


# ---- times


def test_a_folder_is_an_aligner(aligner):
    times = aligner.align(make_wave(40_000), "Ab, c'été 42!", "fr")
    assert [time.word for time in times] == ["Ab", "c'été", "42"]
    edges = [edge for time in times for edge in (time.start, time.end)]
    assert edges == sorted(edges) and edges[0] >= 0
    assert all(0 < time.score <= 1 and time.end > time.start for time in times)


def test_several_at_once_are_each_alone(aligner):
    speeches = [
        Speech(wave=make_wave(n, n), transcript=text, language=language)
        for n, text, language in (
            (20_000, "one two", "en"),
            (50_000, "eins zwei drei", "de"),
            (9_000, "—", "de"),
            (31_000, "un", "fr"),
            (30_000, "uno", "it"),
            (25_000, "two", "en"),
        )
    ]
    together = aligner.align_batch(speeches)
    assert [isinstance(found, AlignmentError) for found in together] == [
        False,
        False,
        True,
        False,
        True,
        False,
    ]
    for speech, found in zip(speeches, together, strict=True):
        if not isinstance(found, AlignmentError):
            alone = aligner.align(speech.wave, speech.transcript, speech.language)
            assert [(t.word, t.start, t.end) for t in found] == [
                (t.word, t.start, t.end) for t in alone
            ]
            np.testing.assert_allclose(
                [t.score for t in found], [t.score for t in alone], atol=2e-4
            )


def test_too_much_text_is_refused(aligner):
    with pytest.raises(AlignmentError, match="tokens of text in 1 s"):
        aligner.align(make_wave(16_000), "word " * POSITIONS, "en")


def test_words_are_where_the_network_listens(aligner, monkeypatch):
    """Ġ a b , Ġ c: the mark holds the pause, so that the word before it ends where the mark
    begins."""
    rows = np.full((7, 60), -0.5)
    for row, (a, b) in enumerate(
        ((0, 6), (6, 10), (10, 20), (20, 40), (40, 42), (42, 50), (50, 60))
    ):
        rows[row, a:b] = 2.0
    heard = Heard(matrix=rows, log_probs=np.log([0.5, 0.5, 0.5, 0.9, 0.2, 0.2]), ends=np.zeros(7))
    monkeypatch.setattr(aligner, "hear", lambda texts: [heard])
    times = aligner.align(make_wave(19_200), "ab, c", "en")
    assert [(time.word, time.start, time.end, time.score) for time in times] == [
        ("ab", 0.04, 0.44, pytest.approx(0.5, abs=1e-3)),
        ("c", 0.84, 1.04, pytest.approx(0.2, abs=1e-3)),
    ]


def test_borders_go_to_pauses_that_are_near():
    wave = make_wave(32_000)
    wave[:3_200] *= 1e-3
    wave[16_000:20_800] *= 1e-3
    pauses = find_pauses(wave)
    np.testing.assert_allclose(pauses, [[0, 0.2], [1.0, 1.3]], atol=0.015)
    spans = np.array([[0.06, 0.5], [0.5, 1.12], [1.12, 1.8], [1.8, 2.0]])
    moved = move_to_pauses(spans, pauses)
    np.testing.assert_allclose(moved, [[0.2, 0.5], [0.5, 1.0], [1.3, 1.8], [1.8, 2.0]], atol=0.015)
    far = np.array([[0.2, 0.4], [0.4, 1.9]])
    np.testing.assert_allclose(move_to_pauses(far, pauses[1:]), far)


def test_a_knock_long_before_the_words_is_no_part_of_the_first(aligner, monkeypatch):
    """Attention has "ab" from the beginning of the recording on, where there is a click."""
    speech, _ = synthesize(make_plans("en", "train", 1, seed=0)[0])
    click = np.zeros(2 * 16_000, np.float32)
    click[4_000:4_800] = 0.5 * np.sin(2 * np.pi * 900 * np.arange(800) / 16_000)
    floor = 1e-4 * make_wave(len(click) + len(speech))
    wave = np.concatenate([click, 0.5 * speech / np.abs(speech).max()]) + floor
    wave = wave[: int(aligner.window_seconds * 16_000)]
    begins = find_pauses(wave)[:2, 1].max()
    assert begins > 2.0
    frames = len(wave) // 320
    rows, second = np.full((7, frames), -0.5), round(begins / 0.02) + 20
    edges = (0, second - 10, second, second + 5, second + 6, second + 10, second + 14, frames)
    for row, span in enumerate(itertools.pairwise(edges)):
        rows[row, slice(*span)] = 2.0
    heard = Heard(matrix=rows, log_probs=np.zeros(6), ends=np.zeros(7))
    monkeypatch.setattr(aligner, "hear", lambda texts: [heard])
    first, last = aligner.align(wave, "ab, c", "en")
    assert first.start == pytest.approx(begins, abs=0.02) and first.end < last.end
    # Without the click the same attention comes to the same: the pause is all that is before.
    quiet = np.concatenate([0 * click, wave[len(click) :]]) + floor[: len(wave)]
    assert aligner.align(quiet, "ab, c", "en")[0].start == pytest.approx(begins, abs=0.02)


def test_only_words_longer_than_words_are_lose_what_a_pause_parts_from_them():
    pauses = np.array([[0.0, 0.2], [0.3, 2.0], [3.0, 3.4], [4.6, 5.0], [6.6, 7.0]])
    spans = np.array([[0.2, 2.4], [2.4, 4.4], [4.4, 7.2]])
    np.testing.assert_allclose(
        shorten_ends(spans, pauses), [[2.0, 2.4], [2.4, 4.4], [4.4, 4.6]], atol=1e-9
    )
    usual = np.array([[1.8, 2.4], [2.4, 4.4], [4.4, 5.4]])
    np.testing.assert_allclose(shorten_ends(usual, pauses), usual)
    alone = np.array([[0.2, 7.2]])
    np.testing.assert_allclose(shorten_ends(alone, pauses[[1, 4]]), [[2.0, 6.6]])


# ---- in a build


def test_a_whisper_aligns_a_build_and_its_weights_decide_the_stage(folder, tmp_path):
    model = write_whisper(tmp_path / "model")
    for name, text, language in (
        ("a", "Ab, c'été!", "fr"),
        ("b", "Ba Ab", "de"),
        ("c", "Ba", "it"),
    ):
        write_audio(tmp_path / f"{name}.flac", make_wave(20_000, ord(name)))
        with (tmp_path / "list.jsonl").open("a") as out:
            out.write(
                json.dumps({"audio": f"{name}.flac", "text": text, "language": language}) + "\n"
            )
    flags = [
        "--corpus=manifest",
        f"--manifest={tmp_path / 'list.jsonl'}",
        "--languages=fr,de,it",
        f"--out={tmp_path / 'out'}",
        "--workers=2",
        "--dev=0",
        "--evaluation=0",
        "--aligner=whisper",
        f"--checkpoint={model}",
    ]

    def find_words():
        word_time_stage._load_aligner.cache_clear()
        build(parse_arguments(flags), ("corpus", "words"))
        rows = [
            json.loads(line)
            for part in (tmp_path / "out" / "parts" / "words").iterdir()
            for line in part.read_text().splitlines()
        ]
        return {row["id"]: row.get("words", row.get("detail")) for row in rows}

    first = find_words()
    assert [word["word"] for word in first["a"]] == ["Ab", "c'été"] and len(first["b"]) == 2
    assert "does not know the language 'it'" in first["c"]
    tensors = load_file(model / "model.safetensors")
    save_file(
        {
            key: value[::-1].copy() if "encoder_attn.q" in key else value
            for key, value in tensors.items()
        },
        model / "model.safetensors",
    )
    assert find_words() != first


def test_a_network_needs_its_folder(tmp_path):
    flags = [
        "--corpus=manifest",
        "--manifest=x.jsonl",
        "--languages=de",
        "--out=x",
        "--aligner=whisper",
    ]
    with pytest.raises(SystemExit):
        parse_arguments(flags)
    with pytest.raises(AlignmentError, match="needs the folder of a Whisper; give --checkpoint"):
        make_aligner("whisper")
