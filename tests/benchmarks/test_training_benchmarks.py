"""The benchmarks of training, at small scale: what they compare is the same work, and the GPU's script
runs on a CPU."""

import json

import numpy as np
import pytest
from tiny_model import make_config, make_params, measure_loss

from benchmarks.one_gpu import main
from benchmarks.speech_batches import Sizes, count_questions, make_batches, make_groups, split_group
from sift_jax.batch import BatchShape

CONFIG = make_config()


def make_shape(rows, tokens, questions):
    mel = {"mel_frames": CONFIG.encoder.mel_frames, "mel_bins": CONFIG.encoder.mel_bins}
    return BatchShape(rows=rows, tokens=tokens, targets=42 * questions, clips=2, **mel)


def test_packed_and_apart_are_the_same_examples():
    """Each question alone with its own audio has the loss that it has behind the audio of all."""
    sizes = Sizes(utterances=2, questions=3, shortest=0.5, longest=2.0, vocab_size=384)
    count_frames = CONFIG.count_frames
    groups = make_groups(sizes, count_frames)
    singles = [single for group in groups for single in split_group(group)]
    assert count_questions(groups) == count_questions(singles) == len(singles) == 6
    packed = make_batches(groups, {2.0: make_shape(1, 448, 6)}, count_frames)
    apart = make_batches(singles, {2.0: make_shape(6, 120, 1)}, count_frames)
    assert len(packed) == len(apart) == 1
    losses = [
        [float(x) for x in measure_loss(CONFIG, make_params(CONFIG), batch)]
        for batch in (packed[0], apart[0])
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert (packed[0]["frames_ba"] > 0).sum() == 2 and (apart[0]["frames_ba"] > 0).sum() == 6


def test_what_fits_no_row_says_so():
    sizes = Sizes(utterances=1, questions=3, shortest=0.5, longest=2.0, vocab_size=384)
    groups = make_groups(sizes, CONFIG.count_frames)
    with pytest.raises(ValueError, match="positions do not fit a row of 100; raise its tokens"):
        make_batches(groups, {2.0: make_shape(1, 100, 3)}, CONFIG.count_frames)


def test_one_gpu_runs_small_on_a_cpu(monkeypatch, capsys):
    words = (
        "--encoder=test --decoder=test --rows=1 --tokens=256 --questions=3 --longest=2 --steps=1"
    )
    monkeypatch.setattr("sys.argv", ["one_gpu", *words.split(), "--dtype=float32", "--remat=none"])
    main()
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    for side in ("packed", "unshared"):
        assert all(np.isfinite(value) and value > 0 for value in figures[side].values())
    assert figures["packed"]["token_efficiency"] > 0.3


@pytest.mark.parity
def test_pytorch_trains_the_same_model():
    """transformers' Whisper and Qwen2 with PEFT's silent LoRA: the same loss over the same
    examples."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("peft")
    from benchmarks.torch_speech_lm import TorchSpeechLM, collate

    config = make_config(projector="linear", projector_frames=None)
    params, count_frames = make_params(config), config.count_frames
    sizes = Sizes(utterances=2, questions=2, shortest=0.5, longest=2.0, vocab_size=384)
    groups = make_groups(sizes, count_frames)
    packed = make_batches(groups, {2.0: make_shape(1, 448, 4)}, count_frames)[0]
    total, weight = (float(x) for x in measure_loss(config, params, packed))
    singles = [single for group in groups for single in split_group(group)]
    model = TorchSpeechLM(config, params, 4, 8.0)
    with torch.no_grad():
        theirs = float(model(**collate(singles, config.encoder.mel_bins)))
    assert theirs == pytest.approx(total / weight, rel=1e-5)
