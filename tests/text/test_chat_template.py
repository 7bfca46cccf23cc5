"""The model's own chat template: the text and ids that transformers gives, and what is learnt of
them."""

import datetime

import jinja2
import pytest
import transformers
from chat_templates import NUMBERED_AUDIOS, SPECIAL, TEMPLATES, VISIBLE, write_tokenizer_folder

from sift_jax.text.chat import render_chat
from sift_jax.text.chat_template import fix_dates
from sift_jax.text.template_sandbox import DATE, compile_template
from sift_jax.text.tokenizers import AUDIO, AUDIO_END, AUDIO_START, SpeechTokenizer

SYSTEM, ASK, REPLY, AGAIN, END = (
    "Be brief.",
    "Is it loud?",
    "It is soft.",
    " How fast?\n",
    "Slowly, 12 words. é",
)
TURNS = {
    "one turn": [("user", ASK), ("assistant", REPLY)],
    "two turns": [("user", ASK), ("assistant", REPLY), ("user", AGAIN), ("assistant", END)],
    "with system": [("system", SYSTEM), ("user", ASK), ("assistant", REPLY)],
    "two turns with system": [
        ("system", SYSTEM),
        ("user", "\nIs it?"),
        ("assistant", REPLY),
        ("user", AGAIN),
        ("assistant", END),
    ],
}
FITTING = [(t, c) for t in TEMPLATES for c in TURNS if not (t == "alternating" and "system" in c)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folder of a template and a kind of tokenizer, made once."""
    made, root = {}, tmp_path_factory.mktemp("templates")

    def find(name, kind="bytes"):
        if (name, kind) not in made:
            folder = root / kind / name.replace(" ", "_")
            made[name, kind] = write_tokenizer_folder(folder, TEMPLATES[name], kind=kind)
        return made[name, kind]

    return find


@pytest.fixture(autouse=True)
def still_clock(monkeypatch):
    """transformers renders at the date that is fixed here."""

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return DATE

    monkeypatch.setattr(transformers.utils.chat_template_utils, "datetime", Clock)


def ours(turns):
    return [{"role": role, "content": [{"text": text}]} for role, text in turns]


def plain(turns):
    return [{"role": role, "content": text} for role, text in turns]


def find_targets(tokenizer, rendered):
    """What is learnt, run by run, as names of tokens."""
    runs, before = [], False
    for token, is_target in zip(rendered.tokens, rendered.is_target, strict=True):
        if is_target:
            runs += [[]] if not before else []
            runs[-1].append(tokenizer.backend.id_to_token(token))
        before = is_target
    return runs


@pytest.mark.parametrize("kind", ["bytes", "pieces"])
@pytest.mark.parametrize(("template", "turns"), FITTING)
def test_the_ids_are_those_of_transformers(folders, template, turns, kind):
    folder, turns = folders(template, kind), TURNS[turns]
    tokenizer, theirs = SpeechTokenizer(folder), transformers.AutoTokenizer.from_pretrained(folder)
    whole = render_chat(ours(turns), tokenizer)
    assert whole.tokens == theirs.apply_chat_template(plain(turns), return_dict=False)
    prompt = render_chat(ours(turns[:-1]), tokenizer, has_reply=False)
    assert prompt.tokens == theirs.apply_chat_template(
        plain(turns[:-1]), add_generation_prompt=True, return_dict=False
    )
    # what is asked in serving is what stood before the answer in training
    last = len(whole.tokens) - 1 - whole.is_target[::-1].index(True)
    start = max(i for i in range(last) if whole.is_target[i + 1] and not whole.is_target[i]) + 1
    assert whole.tokens[:start] == prompt.tokens


@pytest.mark.parametrize(("template", "turns"), FITTING)
def test_the_text_is_that_of_transformers(folders, template, turns):
    folder, turns = folders(template), TURNS[turns]
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    own = SpeechTokenizer(folder).template
    for count, is_prompt in ((len(turns), False), (len(turns) - 1, True)):
        expected = theirs.apply_chat_template(
            plain(turns[:count]), add_generation_prompt=is_prompt, tokenize=False
        )
        assert own.render(plain(turns[:count]), is_prompt=is_prompt) == expected


@pytest.mark.parametrize(
    ("template", "end", "lead"),
    [
        ("default system", "<|done|>", ""),
        ("numbered audios", "<|done|>", ""),
        ("dated", "<|done|>", ""),
        ("plain turns", "</s>", ""),
        ("alternating", "</s>", " "),
    ],
)
def test_the_answers_and_their_ends_are_learnt(folders, template, end, lead):
    tokenizer = SpeechTokenizer(folders(template))
    assert tokenizer.stop_ids[0] == tokenizer.turn_end_id == tokenizer.get_id(end)
    rendered = render_chat(ours(TURNS["two turns"]), tokenizer)
    encode = tokenizer.backend.encode
    expected = [
        [*encode(lead + text, add_special_tokens=False).tokens, end] for text in (REPLY, END)
    ]
    assert find_targets(tokenizer, rendered) == expected


def test_recordings_are_numbered_by_the_template(folders):
    folder = folders("numbered audios")
    tokenizer, theirs = SpeechTokenizer(folder), transformers.AutoTokenizer.from_pretrained(folder)
    theirs.add_special_tokens({"additional_special_tokens": [AUDIO_START, AUDIO, AUDIO_END]})
    asked = [
        {
            "role": "user",
            "content": [{"audio_path": "a"}, {"text": "and "}, {"audio_path": "b"}, {"text": ASK}],
        },
        {"role": "assistant", "content": [{"text": REPLY}]},
        {"role": "user", "content": [{"text": "And "}, {"text": "this?"}, {"audio_path": "c"}]},
    ]
    audio = {"type": "audio", "audio_url": "x.wav"}
    same = [
        {
            "role": "user",
            "content": [
                audio,
                {"type": "text", "text": "and "},
                audio,
                {"type": "text", "text": ASK},
            ],
        },
        {"role": "assistant", "content": REPLY},
        {"role": "user", "content": [{"type": "text", "text": "And this?"}, audio]},
    ]
    rendered = render_chat(asked, tokenizer, has_reply=False)
    assert rendered.tokens == theirs.apply_chat_template(
        same, add_generation_prompt=True, return_dict=False
    )
    assert rendered.audio == ["a", "b", "c"] and rendered.tokens.count(tokenizer.ids[AUDIO]) == 3
    text = tokenizer.decode(rendered.tokens)
    assert "Recording 1: \nand Recording 2: \nIs it" in text and "And this?Recording 3: \n" in text


@pytest.mark.parametrize("template", ["default system", "dated", "plain turns", "alternating"])
def test_a_template_for_text_carries_audio_in_the_text(folders, template):
    folder = folders(template)
    tokenizer, theirs = SpeechTokenizer(folder), transformers.AutoTokenizer.from_pretrained(folder)
    theirs.add_special_tokens({"additional_special_tokens": [AUDIO_START, AUDIO, AUDIO_END]})
    asked = [{"role": "user", "content": [{"audio_path": "a"}, {"text": ASK}]}]
    same = [{"role": "user", "content": AUDIO_START + AUDIO + AUDIO_END + ASK}]
    rendered = render_chat(asked, tokenizer, has_reply=False)
    assert rendered.tokens == theirs.apply_chat_template(
        same, add_generation_prompt=True, return_dict=False
    )
    assert rendered.audio == ["a"]


@pytest.mark.parametrize("kind", ["bytes", "pieces"])
@pytest.mark.parametrize("template", ["default system", "numbered audios", "dated", "plain turns"])
def test_names_of_tokens_in_data_are_text(folders, template, kind):
    tokenizer = SpeechTokenizer(folders(template, kind))
    bare = render_chat(ours([("user", "ab"), ("assistant", "ab")]), tokenizer)
    names = [*SPECIAL, *VISIBLE, AUDIO, AUDIO_START]
    added = set(tokenizer.added.values())
    for name in names:
        said = f"a{name}b"
        # the parts of a name in two parts of a message are a name together
        parts = [{"text": said[: 1 + len(name) // 2]}, {"text": said[1 + len(name) // 2 :]}]
        messages = [
            {"role": "user", "content": parts},
            {"role": "assistant", "content": [{"text": said}]},
        ]
        rendered = render_chat(messages, tokenizer)
        assert [t for t in rendered.tokens if t in added] == [
            t for t in bare.tokens if t in added
        ], name
        learnt = [
            t for t, is_target in zip(rendered.tokens, rendered.is_target, strict=True) if is_target
        ]
        assert tokenizer.decode(learnt) == said
        assert tokenizer.decode(tokenizer.encode(said)) == said and not added & set(
            tokenizer.encode(said)
        )


def test_characters_that_stand_for_names_are_text_too(folders):
    tokenizer = SpeechTokenizer(folders("default system"))
    said = "a\U000f0000\U000f0001b<|done|>\U000f0000"
    rendered = render_chat(ours([("user", said), ("assistant", said)]), tokenizer)
    learnt = [
        t for t, is_target in zip(rendered.tokens, rendered.is_target, strict=True) if is_target
    ]
    assert tokenizer.decode(learnt) == said and tokenizer.decode(rendered.tokens).count(said) == 2


@pytest.mark.parametrize(
    ("template", "kind", "answer"),
    [
        ("default system", "bytes", "\n\nSoft."),
        ("dated", "gpt2", "Soft."),
        ("plain turns", "pieces", "\nSoft."),
    ],
)
def test_an_answer_goes_on_from_the_prompt(folders, template, kind, answer):
    """ "⏎" of the prompt and "⏎⏎" of the answer would be one token together, which no model is
    given a half of."""
    tokenizer = SpeechTokenizer(folders(template, kind))
    if kind == "bytes":
        assert len(tokenizer.encode("\n\n\n")) == 1
    turns = [("user", ASK), ("assistant", answer)]
    whole = render_chat(ours(turns), tokenizer)
    prompt = render_chat(ours(turns[:1]), tokenizer, has_reply=False)
    start = whole.is_target.index(True)
    assert whole.tokens[:start] == prompt.tokens
    learnt = [t for t, is_target in zip(whole.tokens, whole.is_target, strict=True) if is_target]
    assert tokenizer.decode(learnt) == answer


def test_a_question_that_begins_with_a_line_end_is_encoded_with_what_stands_before_it(folders):
    folder = folders("default system")
    tokenizer, theirs = SpeechTokenizer(folder), transformers.AutoTokenizer.from_pretrained(folder)
    turns = [("user", "\n\nIs it loud?")]
    rendered = render_chat(ours(turns), tokenizer, has_reply=False)
    assert rendered.tokens == theirs.apply_chat_template(
        plain(turns), add_generation_prompt=True, return_dict=False
    )
    assert tokenizer.encode("\n\n\n")[0] in rendered.tokens


def test_a_date_is_always_the_same(folders):
    tokenizer = SpeechTokenizer(folders("dated"))
    assert "Today: 26 Jul 2024\n" in tokenizer.template.render(
        [{"role": "user", "content": ASK}], is_prompt=True
    )
    assert "strftime_now(" not in tokenizer.template.source
    assert fix_dates("{{ strftime_now('%Y') }}") == '{{ "2024" }}'
    assert compile_template("{{ strftime_now(form) }}").render(form="%d.%m.") == "26.07."


@pytest.mark.parametrize("place", ["jinja", "config", "processor"])
def test_the_template_is_found_where_folders_have_it(tmp_path, place):
    tokenizer = SpeechTokenizer(write_tokenizer_folder(tmp_path, NUMBERED_AUDIOS, place=place))
    assert tokenizer.template.source == NUMBERED_AUDIOS and tokenizer.template.takes_audio(AUDIO)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_kept_tokenizer_asks_as_before(folders, template, tmp_path):
    """A run and an export keep the template; AutoTokenizer reads it there too."""
    first = SpeechTokenizer(folders(template))
    first.save(tmp_path)
    again, theirs = SpeechTokenizer(tmp_path), transformers.AutoTokenizer.from_pretrained(tmp_path)
    turns = TURNS["two turns"]
    assert render_chat(ours(turns), again) == render_chat(ours(turns), first)
    assert render_chat(ours(turns), first).tokens == theirs.apply_chat_template(
        plain(turns), return_dict=False
    )
    assert (
        again.ids == first.ids and again.stop_ids == first.stop_ids and again.digest == first.digest
    )


def test_only_what_is_missing_is_added(folders, tmp_path):
    own = SpeechTokenizer(folders("plain turns"))
    assert set(own.ids) == {AUDIO_START, AUDIO, AUDIO_END} and "<|im_start|>" not in own.added
    none = SpeechTokenizer(write_tokenizer_folder(tmp_path, None))
    assert none.get_id("<|im_end|>") == none.turn_end_id
    assert len(none) == len(own) + 3


def test_qwen2_audio_asks_as_its_processor_does(tmp_path):
    """A system turn, and recordings numbered, where its folder has no template; the processor's own
    words are the reference."""
    from transformers.models.qwen2_audio.processing_qwen2_audio import Qwen2AudioProcessor

    folder = write_tokenizer_folder(tmp_path, None)
    (folder / "config.json").write_text('{"model_type": "qwen2_audio"}')
    template = SpeechTokenizer(folder).template
    source = Qwen2AudioProcessor.default_chat_template.fget(None)
    heard = [{"type": "audio", "audio_url": "a.wav"}, {"type": "text", "text": ASK}]
    two = [*heard[:1], *heard[:1], {"type": "text", "text": AGAIN}]
    asked = [
        {"role": "user", "content": heard},
        {"role": "assistant", "content": REPLY},
        {"role": "user", "content": two},
    ]
    for messages in (asked, asked[:1], [{"role": "system", "content": SYSTEM}, *asked]):
        expected = compile_template(source).render(messages=messages, add_generation_prompt=True)
        assert template.render(messages, is_prompt=True) == expected
    assert "Audio 3: " in template.render(asked, is_prompt=True)
    with_system = SpeechTokenizer(folder, "chatml").template
    assert with_system.render(asked[:1], is_prompt=True).startswith("<|im_start|>user")


def test_vicuna_turns(tmp_path):
    folder = write_tokenizer_folder(tmp_path, None, kind="pieces")
    tokenizer = SpeechTokenizer(folder, "vicuna")
    assert tokenizer.template.render(plain(TURNS["two turns with system"]), is_prompt=False) == (
        "<s>Be brief. USER: \nIs it? ASSISTANT: It is soft.</s>USER:  How fast?\n ASSISTANT: "
        "Slowly, 12 words. é</s>"
    )
    turns = TURNS["two turns"]
    whole = render_chat(ours(turns), tokenizer)
    prompt = render_chat(ours(turns[:-1]), tokenizer, has_reply=False)
    learnt = find_targets(tokenizer, whole)
    assert [run[-1] for run in learnt] == ["</s>", "</s>"]
    assert "".join(learnt[0][:-1]) == "▁It▁is▁soft."
    assert whole.tokens[: len(prompt.tokens)] == prompt.tokens
    assert whole.is_target[len(prompt.tokens)] and not whole.is_target[len(prompt.tokens) - 1]


def test_salmonn_turns(tmp_path):
    """Its public code encodes the text before a recording, that behind it, and the answer apart."""
    tokenizer = SpeechTokenizer(write_tokenizer_folder(tmp_path, None, kind="pieces"), "salmonn")
    question = {"role": "user", "content": [{"audio_path": "a.wav"}, {"text": "How fast?"}]}
    answer = {"role": "assistant", "content": [{"text": "Slowly, 12 words."}]}
    found = render_chat([question, answer], tokenizer)
    before, behind = "USER: <Speech>", "</Speech> How fast?\nASSISTANT:"
    wanted = [tokenizer.get_id("<s>"), *tokenizer.encode(before), tokenizer.ids["<|AUDIO|>"]]
    wanted += tokenizer.encode(behind)
    learnt = [*tokenizer.encode("Slowly, 12 words."), tokenizer.get_id("</s>")]
    assert found.tokens == wanted + learnt and found.audio == ["a.wav"]
    assert found.is_target == [False] * len(wanted) + [True] * len(learnt)
    assert render_chat([question], tokenizer, has_reply=False).tokens == wanted


def test_an_unknown_template_is_refused_by_name(folders):
    with pytest.raises(
        ValueError,
        match="no chat template is named 'alpaca'; take 'chatml', 'qwen2_audio', 'vicuna', 'salmonn', or None",
    ):
        SpeechTokenizer(folders("dated"), "alpaca")


FORGETFUL = (
    "{% for message in messages %}{% if message['role'] == 'user' or loop.last %}"
    "{{ '<|turn|>' + message['role'] + '\n' + message['content'] + '<|done|>' }}{% endif %}{% "
    "endfor %}"
    "{% if add_generation_prompt %}{{ '<|turn|>assistant\n' }}{% endif %}"
)
ENDLESS = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% "
    "endfor %}"
)


def test_a_template_that_rewrites_the_past_is_refused(tmp_path):
    tokenizer = SpeechTokenizer(write_tokenizer_folder(tmp_path, FORGETFUL))
    render_chat(ours(TURNS["one turn"]), tokenizer)
    with pytest.raises(
        ValueError,
        match="rewrites what came before an answer .* set DataConfig.chat_template to one",
    ):
        render_chat(ours(TURNS["two turns"]), tokenizer)


def test_a_turn_without_an_end_is_refused(tmp_path):
    """The end of the next turn is not that of an answer."""
    source = (
        "{% for message in messages %}{{ '<|turn|>' + message['role'] + '\n' + message['content'] "
        "}}"
        "{% if message['role'] == 'user' or loop.last %}{{ '<|done|>' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|turn|>assistant\n' }}{% endif %}"
    )
    tokenizer = SpeechTokenizer(write_tokenizer_folder(tmp_path, source))
    render_chat(ours(TURNS["one turn"]), tokenizer)
    with pytest.raises(
        ValueError, match="rewrites what came before an answer|does not end every answer with"
    ):
        render_chat(ours(TURNS["two turns"]), tokenizer)


# an empty thought before the last answer, and none before earlier ones
THINKING = (
    "{% for message in messages %}"
    "{{ '<|turn|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}"
    "{% endif %}{{ message['content'] + '<|done|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|turn|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)


def test_nothing_is_thought(tmp_path):
    """The prompt ends behind the empty thought, as transformers writes it when it is told so; what
    is kept says it to others, too."""
    folder = write_tokenizer_folder(tmp_path / "own", THINKING)
    tokenizer, theirs = SpeechTokenizer(folder), transformers.AutoTokenizer.from_pretrained(folder)
    asked = plain(TURNS["one turn"][:1])
    expected = theirs.apply_chat_template(
        asked, add_generation_prompt=True, enable_thinking=False, return_dict=False
    )
    prompt = render_chat(ours(TURNS["one turn"][:1]), tokenizer, has_reply=False)
    assert prompt.tokens == expected
    whole = render_chat(ours(TURNS["one turn"]), tokenizer)
    encode = tokenizer.backend.encode
    assert find_targets(tokenizer, whole) == [
        [*encode(REPLY, add_special_tokens=False).tokens, "<|done|>"]
    ]
    tokenizer.save(tmp_path / "kept")
    kept = transformers.AutoTokenizer.from_pretrained(tmp_path / "kept")
    assert (
        kept.apply_chat_template(asked, add_generation_prompt=True, return_dict=False) == expected
    )
    assert SpeechTokenizer(tmp_path / "kept").template.source == tokenizer.template.source


def test_a_prompt_may_be_of_a_template_that_rewrites_earlier_answers(tmp_path):
    """Nothing is learnt of a prompt, so that a conversation goes on; it cannot be trained on."""
    folder = write_tokenizer_folder(tmp_path, THINKING)
    tokenizer, theirs = SpeechTokenizer(folder), transformers.AutoTokenizer.from_pretrained(folder)
    turns = TURNS["two turns"]
    expected = theirs.apply_chat_template(
        plain(turns[:-1]), add_generation_prompt=True, enable_thinking=False, return_dict=False
    )
    assert render_chat(ours(turns[:-1]), tokenizer, has_reply=False).tokens == expected
    with pytest.raises(ValueError, match="rewrites what came before an answer"):
        render_chat(ours(turns), tokenizer)


def test_a_template_that_ends_no_turn_is_refused(tmp_path):
    tokenizer = SpeechTokenizer(write_tokenizer_folder(tmp_path, ENDLESS))
    with pytest.raises(ValueError, match="no special token"):
        assert tokenizer.turn_end_id


def test_what_a_template_refuses_is_said(folders):
    tokenizer = SpeechTokenizer(folders("alternating"))
    with pytest.raises(
        ValueError, match="refuses a conversation of user, user: roles must alternate"
    ):
        render_chat(ours([("user", ASK), ("user", ASK)]), tokenizer)


ESCAPES = [
    "{{ messages.__class__.__mro__ }}",
    "{{ messages.append('x') }}",
    "{{ namespace(__class__=1) }}",
    "{{ dict.__globals__.items() }}",
    "{{ raise_exception.__globals__.items() }}",
]


@pytest.mark.parametrize("source", ESCAPES)
def test_a_template_stays_in_its_sandbox(source):
    with pytest.raises(jinja2.exceptions.SecurityError):
        compile_template(source).render(messages=[])


def test_json_in_a_template_is_plain():
    assert compile_template("{{ x | tojson }}").render(x={"a": "<é>"}) == '{"a": "<é>"}'
