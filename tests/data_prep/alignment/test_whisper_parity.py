"""transformers' Whisper beside ours: the same attention, the same moments of tokens.

tiny random weights ─► forward of both over the same text ─► attention of the alignment heads, equal
                    ─► _extract_token_timestamps of theirs ─► starts of our words, within a frame
"""

import numpy as np
import pytest
from whisper_folder import ALIGNMENT_HEADS, write_whisper

from data_prep.alignment.attention_path import find_starts
from data_prep.alignment.whisper import WhisperAligner
from data_prep.alignment.whisper_words import FRAME_SECONDS, place_words
from data_prep.alignment.word_time import RATE
from sift_jax.audio.whisper_mel import fill_log_mel

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.parity

TEXTS = (
    ("Well, it rains and nobody minds.", "en", 4.0),
    ("Es regnet, ja!", "de", 2.6),
    ("l'eau est là", "fr", 1.3),
)


@pytest.fixture(scope="module", params=[0, 1])
def both(request, tmp_path_factory):
    folder = write_whisper(
        tmp_path_factory.mktemp("whisper"), heads=ALIGNMENT_HEADS, seed=request.param
    )
    theirs = transformers.WhisperForConditionalGeneration.from_pretrained(
        folder, attn_implementation="eager"
    ).eval()
    return WhisperAligner.read(folder), theirs


@pytest.mark.parametrize("transcript, language, seconds", TEXTS)
def test_attention_and_moments_are_theirs(both, transcript, language, seconds):
    aligner, theirs = both
    wave = 0.1 * np.random.default_rng(3).standard_normal(round(seconds * RATE)).astype(np.float32)
    text = aligner._text.encode(transcript)
    prompt = aligner._text.make_prompt(language)
    ids = [*prompt, *text.ids.tolist(), aligner._text.end]
    mel = np.zeros((1, 400, 80), np.float32)
    fill_log_mel(wave, mel[0])
    reading = aligner._read(mel, np.array([ids], np.int32))
    with torch.no_grad():
        out = theirs(
            input_features=torch.from_numpy(mel.swapaxes(1, 2).copy()),
            decoder_input_ids=torch.tensor([ids]),
            output_attentions=True,
        )
    weights = torch.stack(
        [out.cross_attentions[layer][:, head] for layer, head in ALIGNMENT_HEADS], dim=1
    )
    np.testing.assert_allclose(reading.weight_bhts, weights, atol=2e-5)
    log_probs = out.logits.log_softmax(-1)[0]
    expected = log_probs[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
    np.testing.assert_allclose(np.asarray(reading.log_prob_bt)[0, :-1], expected, atol=2e-4)

    # theirs leaves out the rows before the one that listens for the first token of the text
    begin, frames = len(prompt) - 1, len(wave) // 320
    found = transformers.modeling_outputs.ModelOutput(
        cross_attentions=[tuple(x[:, :, : len(ids) - 1] for x in out.cross_attentions)],
        sequences=torch.tensor([ids[:-1]]),
    )
    moments = theirs._extract_token_timestamps(
        found, ALIGNMENT_HEADS, num_frames=2 * frames, num_input_ids=begin
    )
    moments = moments[0, begin : begin + len(text.ids) + 1].numpy()
    (heard,) = aligner.hear([(wave, text, language)])
    ours = find_starts(heard.matrix) * FRAME_SECONDS
    assert np.abs(ours - moments[: len(ours)]).max() <= FRAME_SECONDS + 1e-6
    spans = place_words(text, find_starts(heard.matrix))
    first = [int(np.flatnonzero(text.owners == word)[0]) for word in range(len(text.words))]
    assert np.abs(spans[:, 0] - moments[first]).max() <= FRAME_SECONDS + 1e-6
