"""Slots of a server that is up: nothing is compiled any more, and what is not finite stays where it
is."""

import dataclasses

import jax
import numpy as np
import pytest
from tiny_corpus import make_noise
from tiny_model import make_config, make_params

from sift_jax.decoding.slot_programs import BROKEN
from sift_jax.decoding.slots import Choice, NotFiniteError, SlotDecoder
from sift_jax.decoding.text_answers import make_prompt
from sift_jax.pretrained import Model
from sift_jax.shipped.places import FOLDER
from sift_jax.text.chat import make_question
from sift_jax.text.tokenizers import SpeechTokenizer
from sift_jax.training.compile_counter import Compilations

GREEDY = Choice(temperature=0.0, top_p=1.0, seed=0)
DRAWN = Choice(temperature=0.9, top_p=0.9, seed=1)
SPOILT = "loud"
# no other file has as many slots of this model: what is compiled here was not there before
SIZES = {"slots": 3, "positions": 300, "kept_bytes": 1 << 20}


@pytest.fixture(scope="module")
def model():
    """Random parameters behind the tokenizer of the package."""
    tokenizer = SpeechTokenizer(FOLDER / "tokenizer")
    config = make_config()
    # a head of its own, so that a word may be spoilt and all others still be said
    decoder = dataclasses.replace(config.decoder, vocab_size=len(tokenizer), is_tied=False)
    config = dataclasses.replace(config, decoder=decoder)
    return Model(config=config, params=make_params(config), tokenizer=tokenizer, step=0)


def make(model, text, *seconds):
    clips = {f"{i}.wav": make_noise(5, s).astype(np.float32) for i, s in enumerate(seconds)}
    return make_prompt(model, make_question(text, list(clips)), clips.__getitem__)


def answer(decoder, *requests, new=4):
    """The tokens of requests that run beside each other, as many as there are slots for."""
    seats = [decoder.take(*request) for request in requests]
    said = {}
    for seat in seats:
        while (first := decoder.feed(seat)) is None:
            pass
        said[seat] = [first]
    for _ in range(new - 1):
        for seat, token in decoder.step().items():
            said[seat].append(token)
    for seat in seats:
        decoder.leave(seat)
    return list(said.values())


def test_after_the_warm_up_nothing_is_compiled(model):
    """Every length of a clip, every room and back, one slot or all of them, prefixes put in."""
    decoder = SlotDecoder(model, **SIZES)
    assert decoder.list_rooms() == [256, 384]
    decoder.warm_up()
    counter = Compilations()
    with counter.over("requests"):
        for choice in (GREEDY, DRAWN):
            for seconds in (0.1, 0.4, 0.7, 1.0, 1.3, 1.6, 1.9, 2.0):
                clip = make(model, "Is it loud?", seconds)
                answer(decoder, (clip, choice))
                # at once, and the recording is computed already
                answer(decoder, *[(clip, choice)] * 3)
            for words in (40, 120, 200, 5):
                answer(decoder, (make(model, "word " * words, 1.3, 1.9), choice))
            decoder.reset()
    assert counter.made == 0
    assert len(decoder.prefixes) > 3


@pytest.fixture(scope="module")
def spoilt(model):
    """The same model, which has no numbers for one word."""
    word = next(i for i in make(model, f"Is it {SPOILT}?").tokens if SPOILT in name(model, i))
    embedding = np.array(model.params["decoder"]["embedding"])
    embedding[word] = np.nan
    decoder = {**model.params["decoder"], "embedding": embedding}
    return dataclasses.replace(model, params={**model.params, "decoder": decoder})


def name(model, token):
    return model.tokenizer.decode([int(token)])


def test_a_slot_with_nan_is_told_and_leaves_nothing_behind(model, spoilt):
    decoder = SlotDecoder(spoilt, **SIZES)
    good = make(spoilt, "Is it fast?", 0.7), GREEDY
    bad = make(spoilt, f"Is it {SPOILT}? " * 9, 0.4), GREEDY
    (alone,) = answer(decoder, good)
    assert BROKEN not in alone
    for beside in (False, True):
        found = answer(decoder, *([good] * beside), bad)
        assert found[-1][0] == BROKEN and found[:-1] == [alone] * beside
        # in the slot that it had, and in the other
        assert answer(decoder, good, good) == [alone, alone]
    # the prefix that was kept of the broken one has gone with it
    assert len(decoder.prefixes) == 1
    # it leaves half fed, as where nobody waits for it any more
    seat = decoder.take(make(spoilt, f"It is {SPOILT}. " * 40), GREEDY)
    assert decoder.feed(seat) is None
    decoder.leave(seat)
    assert answer(decoder, good, good) == [alone, alone]


def test_what_is_heard_as_nan_never_reaches_the_slots(model):
    projector = jax.tree.map(lambda x: np.full_like(x, np.nan), model.params["projector"])
    deaf = dataclasses.replace(model, params={**model.params, "projector": projector})
    decoder = SlotDecoder(deaf, **SIZES)
    written = make(deaf, "Is it fast?"), GREEDY
    (alone,) = answer(decoder, written)
    seat = decoder.take(make(deaf, "Is it fast?", 0.4), GREEDY)
    with pytest.raises(NotFiniteError, match="of the recording is not finite"):
        decoder.feed(seat)
    decoder.leave(seat)
    assert decoder.is_whole and len(decoder.prefixes) == 0
    assert answer(decoder, written, written) == [alone, alone]
