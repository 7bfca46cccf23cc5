"""CTC over the decoder's embeddings, against optax's, and what of a batch it learns from."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny_model import make_config
from tiny_run import make_run

from sift_jax.training.ctc import (
    CtcConfig,
    Transcripts,
    check_ctc,
    find_transcripts,
    score_paths,
    sum_ctc,
)
from sift_jax.training.loop import train

N, T, L, V, D = 5, 9, 4, 12, 6
BLANK = 11


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(N, T, D)).astype(np.float32)
    table = rng.normal(size=(V, D)).astype(np.float32)
    token = rng.integers(0, BLANK, (N, L))
    # a token twice in a row needs a blank between
    token[1, 1] = token[1, 0]
    count, positions = np.array([4, 3, 1, 0, 4]), np.array([9, 7, 1, 5, 8])
    return frames, table, token, count, positions


def _say(token, count, is_own=True):
    return Transcripts(
        token_nl=jnp.asarray(token),
        count_n=jnp.asarray(count),
        is_own_n=jnp.broadcast_to(jnp.asarray(is_own), (len(count),)),
    )


def test_equals_optax_loss_and_gradient(drawn):
    frames, table, token, count, positions = drawn

    def of_optax(frames):
        losses = optax.ctc_loss(
            frames @ table.T,
            jnp.arange(T)[None] >= positions[:, None],
            token,
            jnp.arange(L)[None] >= count[:, None],
            blank_id=BLANK,
        )
        return jnp.sum(losses * (count > 0))

    def of_ours(frames):
        return sum_ctc(frames, jnp.asarray(table), _say(token, count), positions, blank=BLANK)[0]

    want, want_slope = jax.value_and_grad(of_optax)(jnp.asarray(frames))
    got, slope = jax.value_and_grad(of_ours)(jnp.asarray(frames))
    np.testing.assert_allclose(got, want, rtol=1e-5)
    np.testing.assert_allclose(slope, want_slope, atol=1e-5)


def test_all_paths_are_counted():
    """Two positions and one label a: the paths a–, –a and aa."""
    blank, label = np.log([[0.3, 0.6]]), np.log([[[0.7], [0.4]]])
    found = score_paths(
        jnp.asarray(blank), jnp.asarray(label), jnp.array([[5]]), jnp.array([2]), jnp.array([1])
    )
    assert float(jnp.exp(found[0])) == pytest.approx(0.7 * 0.6 + 0.3 * 0.4 + 0.7 * 0.4)


def test_what_cannot_be_aligned_counts_nothing(drawn):
    frames, table, token, count, positions = drawn
    # a a in two positions, three tokens in two, a clip that shares its question
    token[0, :2] = 3
    count, positions = np.array([2, 3, 2, 0, 2]), np.array([2, 2, 5, 5, 5])
    is_own = np.array([True, True, True, True, False])

    def score(frames):
        return sum_ctc(
            frames, jnp.asarray(table), _say(token, count, is_own), positions, blank=BLANK
        )

    (total, is_counted), slope = jax.value_and_grad(score, has_aux=True)(jnp.asarray(frames))
    assert is_counted.tolist() == [False, False, True, False, False]
    assert np.isfinite(total) and np.isfinite(slope).all()
    slope = np.asarray(slope)
    assert not slope[[0, 1, 3, 4]].any() and slope[2].any()


def test_transcripts_of_a_row():
    """Two recordings with a question each, the first with a second question, and a comparison."""
    row = {
        #             ♪  q  a  b  ⏎   q  c │ ♪  q  d  ⏎ │ ♪  ♪  q  e
        "group_bt": [1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3],
        "segment_bt": [0, 1, 1, 1, 1, 2, 2, 0, 1, 1, 1, 0, 0, 1, 1],
        "slot_bt": [0, -1, -1, -1, -1, -1, -1, 2, -1, -1, -1, 4, 6, -1, -1],
        "predict_bm": [1, 2, 3, 5, 8, 9, 13, 0],
        "target_bm": [21, 22, 9, 23, 24, 9, 25, 0],
        "weight_bm": [1, 1, 1, 1, 1, 1, 1, 0],
        # five places for clips, of two positions each
        "frames_ba": [8, 8, 8, 8, 0],
    }
    batch = {key: jnp.asarray(value)[None] for key, value in row.items()}
    said = find_transcripts(batch, 2, 9, most=3)
    assert said.count_n.tolist()[:2] == [2, 1] and said.token_nl[0, :2].tolist() == [21, 22]
    assert said.token_nl[1, 0] == 24
    assert said.is_own_n.tolist() == [True, True, False, False, False]


def test_a_run_learns_the_projector_alone(corpus, tmp_path):
    arguments = make_run(
        corpus,
        tmp_path / "run",
        data={"rates": {"sift.closed_ended.acoustic_level.en": 1.0}, "questions_per_record": 1},
        trainable=("projector/.*",),
        steps=40,
        log_every=10,
        checkpoint_every=40,
    )
    slower = {"peak_learning_rate": 3e-3, "muon_learning_rate": None}
    arguments["optimizer"] = dataclasses.replace(arguments["optimizer"], **slower)
    train(**arguments, ctc=CtcConfig(share=1.0))
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "ctc" in row]
    assert len(losses) == 4 and losses[-1] < losses[0]
    assert all(0 < row["aligned"] <= 1 for row in rows if "aligned" in row)


def test_beside_the_cross_entropy(corpus, tmp_path):
    arguments = make_run(corpus, tmp_path / "run", steps=4, checkpoint_every=4)
    train(**arguments, ctc=CtcConfig(share=0.3))
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert all(row["cross_entropy"] > 0 for row in rows if "ctc" in row)
    assert any("ctc" in row for row in rows)


def test_a_model_without_audio_among_its_tokens_is_refused():
    with pytest.raises(ValueError, match="hears units or by cross-attention"):
        check_ctc(make_config(encoder=None))
