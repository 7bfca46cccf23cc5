"""What TensorBoard shows of the data: the first row's text and speech."""

import numpy as np
from tiny_model import make_config
from tiny_run import make_data

from sift_jax.data.batch_stream import BatchStream
from sift_jax.training.job import make_geometry
from sift_jax.training.logged_samples import make_samples


def test_a_row_is_read_and_heard(corpus):
    stream = BatchStream(
        make_data(corpus), make_geometry(make_config()), split="dev", is_endless=False
    )
    _, batch = next(stream.batches())
    texts, audio = make_samples(batch, stream.tokenizer, "whisper")
    assert "assistant\n" in texts["row"]
    seconds = batch["frames_ba"][0, 0] / 100
    assert abs(len(audio["clip"]) / 16_000 - seconds) < 0.02
    assert np.isfinite(audio["clip"]).all() and 0 < np.abs(audio["clip"]).max() <= 1
    # a row of text alone, as a task of one's own may have it
    assert make_samples(
        {**batch, "frames_ba": 0 * batch["frames_ba"]}, stream.tokenizer, "whisper"
    ) == (texts, {})
    # what is normalised over a clip cannot be heard again
    assert make_samples(batch, stream.tokenizer, "normalised") == (texts, {})
