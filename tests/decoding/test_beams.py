"""Beam search: the rules written out over full passes, transformers' own on random weights, and what
it refuses."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from test_generate import (
    CONFIG,
    GREEDY,
    NEVER,
    PROMPTS,
    lay_out,
    speak,
)
from tiny_model import make_params, measure_logits

from sift_jax.audio.whisper_mel import fill_log_mel
from sift_jax.batch import BatchShape, make_empty_batch
from sift_jax.decoding.beams import check_beams, search_beams
from sift_jax.decoding.generate import Prompt, lay_out_prompts, prepare
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.models.layers import NO_LORA

BEAMS, NEW = 3, 5
DECODING = dataclasses.replace(GREEDY, max_new_tokens=NEW, beams=BEAMS)
ASKED = PROMPTS[:2]


def search(prompts, stop_ids=(NEVER,), decoding=DECODING):
    prepared = prepare(CONFIG, make_params(CONFIG), rows=len(prompts))
    key = jax.random.key(0)
    return search_beams(
        CONFIG, prepared, lay_out(prompts), key, decoding=decoding, stop_ids=stop_ids
    )


def measure_next(prompt, said) -> np.ndarray:
    """Log-probabilities of the token behind what was said, without a cache."""
    shape = BatchShape(
        rows=1,
        tokens=160,
        targets=1,
        clips=2,
        mel_frames=CONFIG.encoder.mel_frames,
        mel_bins=CONFIG.encoder.mel_bins,
    )
    batch, n = make_empty_batch(shape), len(prompt.tokens)
    batch["token_bt"][0, : n + len(said)] = [*prompt.tokens, *said]
    batch["slot_bt"][0, :n] = np.where(
        prompt.clip >= 0, prompt.clip * CONFIG.slots_per_clip + prompt.frame, -1
    )
    for a, wave in enumerate(prompt.clips):
        batch["frames_ba"][0, a] = fill_log_mel(wave, batch["mel_basf"][0, a])
    batch["group_bt"][0, : n + len(said)] = 1
    batch["position_bt"][0, : n + len(said)] = np.arange(n + len(said))
    batch["predict_bm"][0, 0] = n + len(said) - 1
    logits = np.asarray(measure_logits(CONFIG, make_params(CONFIG), batch), np.float64)[0, 0]
    return logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()


def search_slowly(prompt, stop_ids) -> list[int]:
    running, finished = [((), 0.0)], []
    for count in range(1, NEW + 1):
        found = [
            ((*said, token), score + step)
            for said, score in running
            for token, step in enumerate(measure_next(prompt, said))
        ]
        found = sorted(found, key=lambda x: -x[1])[: (1 + len(stop_ids)) * BEAMS]
        ends = [said[-1] in stop_ids or count == NEW for said, _ in found]
        finished += [
            (said, score / count)
            for (said, score), is_end in zip(found[:BEAMS], ends, strict=False)
            if is_end
        ]
        finished = sorted(finished, key=lambda x: -x[1])[:BEAMS]
        running = [x for x, is_end in zip(found, ends, strict=True) if not is_end][:BEAMS]
        worst = finished[-1][1] if len(finished) == BEAMS else -math.inf
        if not running or running[0][1] / count <= worst:
            break
    best = list(finished[0][0])
    return best + [stop_ids[0]] * (NEW - len(best))


def test_rules_over_full_passes():
    found = search(ASKED)
    assert found.tolist() == [search_slowly(prompt, (NEVER,)) for prompt in ASKED]
    # a greedy answer that is another's shows that it was searched
    assert found.tolist() != speak(ASKED)[:, :NEW].tolist()


@pytest.mark.parametrize("stop_ids", [(58,), (120,), (107, 120)])
def test_answers_that_end(stop_ids):
    """Tokens that are likely in the midst of an answer as its end."""
    found = search(ASKED, stop_ids)
    assert found.tolist() == [search_slowly(prompt, stop_ids) for prompt in ASKED]
    assert np.isin(found, stop_ids).any() and found[0].tolist() != found[1].tolist()


def test_neighbours_change_nothing():
    together = search(PROMPTS)
    for prompt, row in zip(PROMPTS, together, strict=True):
        assert search([prompt])[0].tolist() == row.tolist()


def test_answers_of_one_beam_are_kept_as_before():
    assert "beams" not in GREEDY.describe() and DECODING.describe()["beams"] == BEAMS


def test_what_is_no_search_is_refused():
    with pytest.raises(ValueError, match="nothing is drawn; set temperature to 0"):
        dataclasses.replace(DECODING, temperature=0.5)
    crossed = dataclasses.replace(CONFIG, cross=object())
    with pytest.raises(ValueError, match="have no cross-attention"):
        check_beams(crossed, None, DECODING)


@pytest.mark.parity
@pytest.mark.parametrize("beams", [2, 4])
def test_parity_with_transformers(beams):
    """Prompts of several lengths, left-padded, of a model that ends often."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from torch_models import shake, take_weights

    from sift_jax.weights.key_table import QWEN2

    new, sizes = 10, CONFIG.decoder
    theirs = shake(
        transformers.Qwen2ForCausalLM(
            transformers.Qwen2Config(
                vocab_size=24,
                hidden_size=sizes.width,
                intermediate_size=sizes.hidden,
                num_hidden_layers=sizes.layers,
                num_attention_heads=sizes.heads,
                num_key_value_heads=sizes.kv_heads,
                rms_norm_eps=sizes.norm_eps,
                rope_theta=sizes.rope_theta,
                tie_word_embeddings=False,
                bos_token_id=1,
                eos_token_id=2,
                pad_token_id=2,
            )
        )
    )
    config = dataclasses.replace(
        CONFIG, decoder=dataclasses.replace(sizes, vocab_size=24), lora=NO_LORA
    )
    params = take_weights(QWEN2, dict(theirs.state_dict()), sizes.layers)
    rng = np.random.default_rng(0)
    asked = [rng.integers(3, 24, n) for n in (3, 9, 14, 20, 6, 11)]
    prompts = [Prompt.of_text(ids) for ids in asked]
    batch = lay_out_prompts(prompts, config, tokens=24)
    prepared = prepare(config, {"decoder": params}, rows=len(prompts))
    decoding = DecodingConfig(
        max_new_tokens=new,
        temperature=0.0,
        top_p=1.0,
        repetition_penalty=1.0,
        no_repeat_ngram=0,
        beams=beams,
    )
    key, ended = jax.random.key(0), set()
    # tokens that it says often as its end
    for stop in (2, 5, 9, 14, 17):
        found = search_beams(config, prepared, batch, key, decoding=decoding, stop_ids=(stop,))
        wanted = theirs.generate(
            torch.from_numpy(batch["token_bt"]).long(),
            attention_mask=torch.from_numpy(batch["is_real_bt"]).long(),
            max_new_tokens=new,
            do_sample=False,
            num_beams=beams,
            eos_token_id=stop,
            pad_token_id=stop,
        )[:, 24:].numpy()
        wanted = np.pad(wanted, ((0, 0), (0, new - wanted.shape[1])), constant_values=stop)
        assert found.tolist() == wanted.tolist()
        ended |= {int(np.argmax(row == stop)) for row in found}
    assert len(ended) > 1
