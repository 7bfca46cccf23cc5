"""What a run shows of its data, beside its figures."""

from __future__ import annotations

import numpy as np

from sift_jax.audio.whisper_mel import HOP, RATE, WINDOW
from sift_jax.batch import Batch
from sift_jax.text.tokenizers import SpeechTokenizer


def make_samples(
    batch: Batch, tokenizer: SpeechTokenizer, front_end: str
) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """The first row of a batch as a person reads and hears it: its text, and a Griffin-Lim of its
    first clip's mel."""
    import librosa

    is_text = (batch["slot_bt"][0] < 0) & (batch["group_bt"][0] == 1)
    texts = {"row": tokenizer.decode(batch["token_bt"][0][is_text])}
    frames = int(batch["frames_ba"][0, 0])
    if not frames or front_end != "whisper":
        # what is normalised over a clip cannot be heard again
        return texts, {}
    power = 10.0 ** (batch["mel_basf"][0, 0, :frames].T * 4.0 - 4.0)
    heard = librosa.feature.inverse.mel_to_audio(
        power, sr=RATE, n_fft=WINDOW, hop_length=HOP, n_iter=8
    )
    return texts, {"clip": np.clip(heard, -1, 1)}
