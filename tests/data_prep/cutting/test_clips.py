"""Where a recording is cut: in pauses, with all of its words and all of its text."""

import numpy as np
import pytest

from data_prep.alignment.word_time import WordTime, split_transcript
from data_prep.cutting.clips import Cutting, cut_recording, find_token_ends

CUTTING = Cutting(longest=10.0, pause=0.2, margin=0.3)


def say(text, rng, pauses=0.3):
    """Words one after another, a pause behind some of them."""
    times, now = [], 0.4
    for word in split_transcript(text):
        length = rng.uniform(0.1, 0.6)
        times.append(
            WordTime(word=word, start=round(now, 3), end=round(now + length, 3), score=1.0)
        )
        now += length + (rng.uniform(0.2, 1.5) if rng.random() < pauses else rng.uniform(0, 0.1))
    return times, now + 0.5


def write(rng, words):
    ends = ["", "", "", ",", ".", " ?", " »", " —"]
    return " ".join(
        f"{'« ' if rng.random() < 0.05 else ''}w{i}{ends[rng.integers(len(ends))]}"
        for i in range(words)
    )


@pytest.mark.parametrize("seed", range(12))
def test_clips_have_all_words_and_all_of_the_text(seed):
    rng = np.random.default_rng(seed)
    text = write(rng, int(rng.integers(1, 200)))
    times, seconds = say(text, rng, pauses=(0.05, 0.3, 1.0)[seed % 3])
    clips = cut_recording(times, text, seconds, CUTTING)
    assert " ".join(clip.text for clip in clips) == text
    assert [clip.first for clip in clips[1:]] == [clip.last for clip in clips[:-1]]
    assert clips[0].first == 0 and clips[-1].last == len(times)
    for clip in clips:
        assert split_transcript(clip.text) == [time.word for time in times[clip.first : clip.last]]
        assert clip.start <= times[clip.first].start and times[clip.last - 1].end <= clip.end
        assert clip.is_too_long == (clip.end - clip.start > CUTTING.longest)
    for before, after in zip(clips, clips[1:], strict=False):
        # between two words, with the pause that was asked for, and no sample twice
        assert times[after.first].start - times[before.last - 1].end >= CUTTING.pause
        assert before.end <= after.start


def test_cuts_are_at_sentence_ends_where_they_can_be():
    words = [WordTime(word=f"w{i}", start=float(i), end=i + 0.6, score=1.0) for i in range(24)]
    text = " ".join(f"w{i}" + ("." if i in (6, 13, 20) else "") for i in range(24))
    clips = cut_recording(words, text, 25.0, Cutting(longest=11.0, pause=0.2, margin=0.3))
    assert [clip.text.split()[-1] for clip in clips] == ["w6.", "w13.", "w23"]


def test_what_has_no_pause_is_marked_and_the_rest_is_kept():
    words = [WordTime(word=f"w{i}", start=i * 0.5, end=i * 0.5 + 0.5, score=1.0) for i in range(40)]
    words += [WordTime(word=f"v{i}", start=21.0 + i, end=21.5 + i, score=1.0) for i in range(9)]
    text = " ".join(word.word for word in words)
    clips = cut_recording(words, text, 31.0, CUTTING)
    assert [(clip.is_too_long, clip.last - clip.first) for clip in clips] == [
        (True, 40),
        (False, 9),
    ]
    assert " ".join(clip.text for clip in clips) == text


def test_a_token_is_not_cut_where_an_aligner_has_parted_it():
    words = [("J", 0, 1), ("aime", 2, 3), ("l'", 4, 5), ("eau", 6, 7), ("bleue", 8, 9)]
    times = [WordTime(word=word, start=a, end=b, score=1.0) for word, a, b in words]
    assert find_token_ends(times, "« J'aime » « l'eau bleue »".split()) == [None, 3, None, 5, 7]
    clips = cut_recording(
        times, "« J'aime » « l'eau bleue »", 10.0, Cutting(longest=4.0, pause=0.2, margin=0.1)
    )
    assert [clip.text for clip in clips] == ["« J'aime »", "« l'eau", "bleue »"]


def test_sizes_that_leave_nothing_are_refused():
    with pytest.raises(ValueError, match="leave no clip"):
        Cutting(longest=0.1, pause=0.2, margin=0.3)
