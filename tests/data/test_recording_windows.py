"""A recording longer than the window is heard as windows that follow each other, in training as in
answers; what does not fit is counted or refused."""

import dataclasses

import numpy as np
import pytest
from tiny_corpus import SIZES
from tiny_model import make_config, make_params
from tiny_run import make_data, make_run

from sift_jax.audio.windows import count_windows, cut_windows, measure_windows
from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.row_layout import make_group, repeat_markers
from sift_jax.decoding.conversation import read_clip
from sift_jax.decoding.sampling import GREEDY
from sift_jax.decoding.text_answers import TextGenerator, make_prompt
from sift_jax.models.presets import from_json, to_json
from sift_jax.pretrained import Model
from sift_jax.text.chat import make_question, render_chat
from sift_jax.training.job import JobConfigs, describe_job, make_geometry

RATE = 16_000
CONFIG = dataclasses.replace(make_config(), windows=3)
SECOND = dataclasses.replace(make_geometry(CONFIG), window_seconds=1.0)


@pytest.mark.parametrize("samples", [0, 1, 99, 100, 101, 250])
def test_windows_are_all_of_a_recording(samples):
    clip = np.arange(samples)
    windows = cut_windows(clip, 100)
    np.testing.assert_array_equal(np.concatenate(windows), clip)
    assert [len(window) for window in windows] == measure_windows(samples, 100)
    assert len(windows) == count_windows(samples, 100) == count_windows(np.array([samples]), 100)[0]


def test_markers_are_as_many_as_windows():
    tokens, is_target = np.array([7, 5, 5, 9, 5]), np.array([0, 0, 0, 1, 0])
    found = repeat_markers(tokens, is_target, np.array([0, 1, 0]), 5, [1, 3])
    assert found[0].tolist() == [7, 5, 5, 5, 5, 9, 5]
    assert found[1].tolist() == [0, 0, 0, 0, 0, 1, 0]
    assert found[2].tolist() == [0, 1, 2, 3, 0]


def test_a_stream_hears_what_it_set_aside(corpus):
    """Clips of 0.5 to 1.1 s and a window of one second: the longest is two windows, one behind the
    other, and nothing is set aside. The plan's sizes are those of the rows, or reading would
    fail."""
    changes = {
        "clip_seconds": (1.0,),
        "rates": {"sift.open_ended.en": 1.0},
        "questions_per_record": 0,
        "rows": 1,
    }
    data = make_data(corpus, **changes, long_audio="windows", clips=2)
    stream = BatchStream(data, SECOND, split="train", is_endless=False)
    batches = [batch for _, batch in stream.batches()]
    counts = stream.counts
    assert counts.groups == SIZES["train"]
    assert counts.groups_dropped == counts.questions_dropped == 0
    said = stream.describe_start()
    each = SECOND.count_frames(100)
    assert said == [
        f"a recording may have 2 windows of 1 s: a row holds 2, and {data.tokens} positions, of "
        f"which each takes {each}"
    ]
    heard = [
        row
        for batch in batches
        for row in zip(batch["frames_ba"], batch["slot_bt"], batch["position_bt"], strict=True)
        if row[0][0] == 100 and row[0][1]
    ]
    assert heard
    for frames_a, slot_t, position_t in heard:
        places = np.flatnonzero(slot_t >= 0)
        if (np.diff(places) != 1).any():
            # two recordings of one row
            continue
        first = SECOND.count_frames(int(frames_a[0]))
        second = SECOND.count_frames(int(frames_a[1]))
        assert slot_t[places].tolist() == [*range(first), *range(each, each + second)]
        assert (np.diff(position_t[places]) == 1).all()
    few = make_data(corpus, **changes, long_audio="windows", clips=1)
    (line,) = BatchStream(few, SECOND, split="train", is_endless=False).describe_start()[1:]
    assert "1 as its clips, or the windows of a long one, are more than a row holds" in line


def test_a_prompt_is_laid_out_as_training_lays_it(tokenizer):
    model = Model(config=CONFIG, params=make_params(CONFIG), tokenizer=tokenizer, step=0)
    wave = np.random.default_rng(0).normal(size=5 * RATE).astype(np.float32) / 10
    messages = make_question("How fast?", ["x.wav"])
    prompt = make_prompt(model, messages, lambda _: wave)
    assert [len(clip) for clip in prompt.clips] == [2 * RATE, 2 * RATE, RATE]
    rendered = render_chat(messages, tokenizer, has_reply=False)
    tokens = np.asarray([*rendered.tokens, 1])
    example = {
        "tokens": tokens,
        "is_target": np.arange(len(tokens)) == len(tokens) - 1,
        "question": np.zeros(len(tokens), int),
        "clips": np.zeros(1, int),
        "audio": wave,
        "audio_lengths": np.array([len(wave)]),
    }
    group = make_group(
        example,
        audio_id=tokenizer.ids["<|AUDIO|>"],
        count_frames=lambda n: CONFIG.count_frames(n // 160),
        window=2 * RATE,
    )
    for name in ("tokens", "clip", "frame"):
        whole = [getattr(group.prefix, name), getattr(group.questions[0], name)]
        np.testing.assert_array_equal(np.concatenate(whole)[:-1], getattr(prompt, name))
    generator = TextGenerator(model, rows=1)
    (answer,) = generator.answer([prompt], GREEDY)
    cut = make_prompt(model, messages, lambda _: wave[: 2 * RATE])
    assert isinstance(answer, str) and len(cut.tokens) < len(prompt.tokens)
    assert read_clip((wave, RATE), CONFIG.longest_seconds) is not None
    longer = np.zeros(7 * RATE, np.float32)
    with pytest.raises(ValueError, match="7.0 s is longer than the 6 s that this model"):
        read_clip((longer, RATE), CONFIG.longest_seconds)


def test_a_run_remembers_how_many_windows_it_learnt(corpus, tmp_path):
    for long_audio, windows in (("set_aside", 1), ("windows", 3)):
        arguments = make_run(corpus, tmp_path, data={"long_audio": long_audio})
        job = describe_job(JobConfigs(**arguments))
        assert job.model.windows == windows == from_json(to_json(job.model)).windows
    before = to_json(job.model)
    del before["windows"], before["quantized"]
    assert from_json(before).windows == 1
