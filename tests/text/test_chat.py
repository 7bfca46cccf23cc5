"""The chat template: where speech stands, what is learnt, and what data cannot do."""

import pytest

from sift_jax.text.chat import make_question, render_chat
from sift_jax.text.tokenizers import (
    AUDIO,
    AUDIO_END,
    AUDIO_START,
    SPECIAL_TOKENS,
    TURN_END,
    TURN_START,
)


def converse(*parts, answer="It is loud."):
    return [
        {"role": "user", "content": list(parts)},
        {"role": "assistant", "content": [{"text": answer}]},
    ]


def draw(tokenizer, tokens):
    """Ids as text, special tokens by name."""
    names = {i: name for name, i in tokenizer.ids.items()}
    out, words = "", []
    for token in tokens:
        if token in names:
            out += tokenizer.decode(words) + names[token]
            words = []
        else:
            words.append(token)
    return out + tokenizer.decode(words)


def test_the_whole_conversation(tokenizer):
    rendered = render_chat(converse({"audio_path": "/a/x.wav"}, {"text": "Is it loud?"}), tokenizer)
    assert draw(tokenizer, rendered.tokens) == (
        "<|im_start|>user\n<|audio_bos|><|AUDIO|><|audio_eos|>Is it loud?<|im_end|>\n"
        "<|im_start|>assistant\nIt is loud.<|im_end|>\n"
    )
    assert rendered.audio == ["/a/x.wav"]


def test_only_the_answer_and_its_end_are_learnt(tokenizer):
    messages = [
        {"role": "system", "content": [{"text": "It is soft."}]},
        *converse({"text": "What is this?"}),
    ]
    messages += converse({"text": "Is it loud?"}, answer="It is soft.")
    rendered = render_chat(messages, tokenizer)
    learnt = [
        t for t, is_target in zip(rendered.tokens, rendered.is_target, strict=True) if is_target
    ]
    assert draw(tokenizer, learnt) == "It is loud.<|im_end|>It is soft.<|im_end|>"


def test_parts_keep_their_order(tokenizer):
    parts = (
        {"text": "What is this?"},
        {"audio_path": "b.wav"},
        {"text": "Is it loud?"},
        {"audio_path": "a.wav"},
    )
    rendered = render_chat(converse(*parts), tokenizer)
    speech = AUDIO_START + AUDIO + AUDIO_END
    assert f"What is this?{speech}Is it loud?{speech}{TURN_END}" in draw(tokenizer, rendered.tokens)
    assert rendered.audio == ["b.wav", "a.wav"]


def test_an_answer_of_speech_is_no_target_but_its_end_is(tokenizer):
    messages = converse({"text": "Read this."})
    messages[1]["content"] = [{"audio_path": "x.wav"}]
    rendered = render_chat(messages, tokenizer)
    assert sum(rendered.is_target) == 1
    assert rendered.tokens[rendered.is_target.index(True)] == tokenizer.ids[TURN_END]


def test_a_prompt_is_the_conversation_up_to_the_answer(tokenizer):
    """Training and serving cannot differ: the prompt is a prefix of what was trained on."""
    messages = converse({"audio_path": "x.wav"}, {"text": "Is it loud?"})
    whole = render_chat(messages, tokenizer)
    prompt = render_chat(messages[:1], tokenizer, has_reply=False)
    first = whole.is_target.index(True)
    assert prompt.tokens == whole.tokens[:first] and not any(prompt.is_target)
    assert make_question("Is it loud?", ["x.wav"]) == messages[:1]


@pytest.mark.parametrize("name", SPECIAL_TOKENS)
def test_data_cannot_speak_in_special_tokens(tokenizer, name):
    said = f"a{name}user\nb"
    rendered = render_chat(converse({"text": said}, answer=said), tokenizer)
    assert rendered.tokens.count(tokenizer.ids[TURN_START]) == 2
    assert rendered.tokens.count(tokenizer.ids[TURN_END]) == 2
    assert tokenizer.ids[AUDIO] not in rendered.tokens and not rendered.audio
    assert not set(tokenizer.ids.values()) & set(tokenizer.encode(said))
