"""Slots: whoever is beside it, and however it was fed, a prompt is answered as it is alone."""

import dataclasses

import numpy as np
import pytest
from tiny_corpus import make_noise
from tiny_model import SALM_XATT, make_config, make_params

from sift_jax.decoding.kept_prefixes import KeptPrefixes, Prefix, count_prefix, digest_prefix
from sift_jax.decoding.sampling import ANSWERING
from sift_jax.decoding.slots import Choice, SlotDecoder, choose_piece
from sift_jax.decoding.text_answers import TextGenerator, make_prompt
from sift_jax.models.decoder import GemmaStyle, LayerPattern
from sift_jax.pretrained import Model
from sift_jax.text.chat import make_question

NEW = 12
GREEDY = Choice(temperature=0.0, top_p=0.95, seed=0)


@pytest.fixture(scope="module")
def model(trained_run):
    return Model.load(trained_run)


@pytest.fixture(scope="module")
def decoder(model):
    return SlotDecoder(model, slots=4, positions=1000, kept_bytes=1 << 20)


@pytest.fixture(scope="module")
def generator(model):
    return TextGenerator(model, rows=1)


def make(model, text, *clips):
    waves = {
        f"{i}.wav": make_noise(seed, s).astype(np.float32) for i, (seed, s) in enumerate(clips)
    }
    return make_prompt(model, make_question(text, list(waves)), waves.__getitem__)


def ask_alone(generator, prompt, choice, new=NEW):
    """The ids of the one-request path, the end of the turn left out."""
    decoding = dataclasses.replace(
        ANSWERING, max_new_tokens=new, temperature=choice.temperature, top_p=choice.top_p
    )
    ids = generator._generate([prompt], decoding, seed=choice.seed, draws=[0])[0].tolist()
    stops = [i for i, token in enumerate(ids) if token in generator.tokenizer.stop_ids]
    return ids[: stops[0]] if stops else ids


def run(decoder, requests, new=NEW, every=1):
    """Requests (prompt, choice) that join one by one, every so many steps, as slots come free."""
    stops = decoder.model.tokenizer.stop_ids
    waiting, said, order, most = list(requests), {}, [], 0

    def hear(seat, token):
        if token in stops or len(said[seat]) == new:
            decoder.leave(seat)
            return
        said[seat].append(token)
        if len(said[seat]) == new:
            decoder.leave(seat)

    steps = 0
    while waiting or decoder.free < decoder.slots:
        if waiting and decoder.free and steps % every == 0:
            seat = decoder.take(*waiting.pop(0))
            order.append(seat)
            said[seat] = []
            while (first := decoder.feed(seat)) is None:
                for other, token in decoder.step().items():
                    hear(other, token)
            hear(seat, first)
        most = max(most, decoder.slots - decoder.free)
        for seat, token in decoder.step().items():
            hear(seat, token)
        steps += 1
    assert most >= min(3, len(requests)) or every > 1
    return [said[seat] for seat in order]


def make_many(model):
    return [
        make(model, "Is it loud?", (1, 0.6)),
        make(model, "How fast is it? " * 6, (2, 1.1)),
        make(model, "What is this?"),
        make(model, "Which is louder?", (1, 0.6), (2, 1.9)),
        make(model, "word " * 60),
        make(model, "How loud?", (2, 1.1)),
        make(model, "Is it?", (1, 0.6)),
    ]


def test_each_is_answered_as_alone_whoever_is_beside_it(model, decoder, generator):
    prompts = make_many(model)
    alone = [ask_alone(generator, prompt, GREEDY) for prompt in prompts]
    for every in (1, 3):
        assert run(decoder, [(prompt, GREEDY) for prompt in prompts], every=every) == alone
    assert len({tuple(ids) for ids in alone}) > 2


def test_windows_are_of_positions_in_slots_too(model):
    """Prompts that are longer than the window, fed in pieces, beside each other."""
    config = make_config()
    pattern = LayerPattern(every=2, window=7, rope_theta=1e2, is_odd_rotated=True)
    style = {"pattern": pattern, "gemma": GemmaStyle(query_size=5), "has_qk_norm": True}
    rows = max(config.decoder.vocab_size, len(model.tokenizer))
    local = dataclasses.replace(config.decoder, vocab_size=rows, has_qkv_bias=False, **style)
    config = dataclasses.replace(config, decoder=local)
    gemma = dataclasses.replace(model, config=config, params=make_params(config))
    prompts = [
        make(gemma, "How fast is it? " * 6),
        make(gemma, "word " * 40),
        make(gemma, "Is it?"),
    ]
    alone = [ask_alone(TextGenerator(gemma, rows=1), prompt, GREEDY) for prompt in prompts]
    slots = SlotDecoder(gemma, slots=3, positions=400, kept_bytes=0)
    assert run(slots, [(prompt, GREEDY) for prompt in prompts]) == alone
    assert len({tuple(ids) for ids in alone}) == 3


def test_draws_follow_from_the_seed_and_not_from_who_is_beside(model, decoder, generator):
    choices = [
        Choice(temperature=0.9, top_p=0.95, seed=1),
        Choice(temperature=1.5, top_p=1.0, seed=2),
        GREEDY,
        Choice(temperature=0.9, top_p=0.3, seed=3),
        Choice(temperature=3.0, top_p=0.999, seed=4),
        Choice(temperature=0.9, top_p=0.95, seed=2**32 - 1),
        Choice(temperature=0.9, top_p=0.95, seed=1),
    ]
    requests = list(zip(make_many(model), choices, strict=True))
    alone = [ask_alone(generator, *request) for request in requests]
    assert run(decoder, requests) == alone
    assert run(decoder, requests[::-1])[::-1] == alone


def test_a_recording_is_computed_once_for_its_questions(model, decoder, generator):
    decoder.prefixes.clear()
    first, second = (make(model, text, (7, 1.3)) for text in ("Is it loud?", "How fast?"))
    alone = [ask_alone(generator, prompt, GREEDY) for prompt in (first, second)]
    assert run(decoder, [(first, GREEDY)]) == alone[:1]
    assert len(decoder.prefixes) == 1
    seat = decoder.take(second, GREEDY)
    decoder.feed(seat)
    assert seat.reused == count_prefix(second) > 0
    decoder.leave(seat)
    assert run(decoder, [(second, GREEDY)]) == alone[1:]
    # other samples under the same tokens are another prefix
    other = decoder.take(make(model, "Is it loud?", (8, 1.3)), GREEDY)
    decoder.feed(other)
    assert other.reused == 0
    decoder.leave(other)


def test_a_prefix_is_known_by_its_tokens_and_its_samples(model):
    one, two = (make(model, text, (7, 1.3)) for text in ("Is it loud?", "How fast?"))
    assert digest_prefix(one, [b"a"]) == digest_prefix(two, [b"a"]) != digest_prefix(one, [b"b"])
    longer = make(model, "Is it loud?", (7, 1.6))
    assert digest_prefix(longer, [b"a"]) != digest_prefix(one, [b"a"])


def test_prefixes_are_bounded_in_bytes():
    def make_prefix(size):
        return Prefix(positions=1, parts=[[{"k": np.zeros(size, np.uint8)}]])

    kept = KeptPrefixes(100)
    for name in (b"a", b"b"):
        kept.keep(name, make_prefix(40))
    assert kept.find(b"a") is not None
    kept.keep(b"c", make_prefix(40))
    # the one that was used last has stayed
    assert kept.find(b"b") is None and kept.find(b"a") is not None and kept.nbytes == 80
    kept.keep(b"d", make_prefix(101))
    assert kept.find(b"d") is None and len(kept) == 2


def test_slots_grow_with_their_longest_text_and_shrink_behind_it(model, decoder):
    rooms = decoder.list_rooms()
    assert rooms == [256, 512, 1024, 1088]
    long = decoder.take(make(model, "word " * 100), GREEDY)
    while decoder.feed(long) is None:
        pass
    assert decoder.room > rooms[0]
    decoder.leave(long)
    run(decoder, [(make(model, "Is it loud?"), GREEDY)])
    assert decoder.room <= 512


def test_what_has_left_a_slot_is_not_seen_by_the_next(model, decoder, generator):
    prompt = make(model, "Is it loud?", (1, 0.6))
    alone = ask_alone(generator, prompt, GREEDY)
    for _ in range(decoder.slots + 1):
        left = decoder.take(make(model, "word " * 60), GREEDY)
        decoder.feed(left)
        decoder.leave(left)
        assert run(decoder, [(prompt, GREEDY)]) == [alone]
    decoder.leave(left)
    assert decoder.free == decoder.slots


def test_after_a_failure_it_begins_anew(model, decoder, generator):
    prompt = make(model, "Is it loud?", (1, 0.6))
    seat = decoder.take(prompt, GREEDY)
    decoder.feed(seat)
    decoder.reset()
    assert decoder.free == decoder.slots and decoder.step() == {}
    assert run(decoder, [(prompt, GREEDY)]) == [ask_alone(generator, prompt, GREEDY)]


def test_pieces_are_filled_or_small():
    sizes = [choose_piece(rest, 640) for rest in (1, 32, 40, 97, 128, 300, 500, 2000)]
    assert sizes == [32, 32, 32, 128, 128, 128, 512, 512]
    assert choose_piece(500, 200) == 128 and choose_piece(5, 20) == 32


def test_what_does_not_fit_is_refused_with_the_remedy(model, decoder):
    with pytest.raises(ValueError, match="leaves no room for an answer within 1000; shorten it"):
        decoder.take(make(model, "word " * 900), GREEDY)
    assert decoder.free == decoder.slots
    most = model.config.decoder.max_positions
    with pytest.raises(ValueError, match=f"this decoder takes 1 to {most}"):
        SlotDecoder(model, slots=1, positions=most + 1)
    cross = make_config(**SALM_XATT)
    listening = dataclasses.replace(model, config=cross, params=make_params(cross))
    with pytest.raises(ValueError, match="hears by cross-attention"):
        SlotDecoder(listening, slots=1, positions=64)
