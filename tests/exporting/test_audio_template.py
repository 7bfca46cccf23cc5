"""A template for texts takes recordings as transformers hands them over, and is otherwise as it
was."""

import pytest

from sift_jax.exporting.audio_template import take_recordings
from sift_jax.text.chat_template import TEMPLATES, ChatTemplate

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
HEARD = "<|audio_bos|><|AUDIO|><|audio_eos|>"
# its first line is indented, and its blocks stand on lines of their own
LINES = """  {% for message in messages %}
  {{ message.role }}: {{ message.content | trim }}{{ eos_token }}
  {% endfor %}
  {% if add_generation_prompt %}
assistant:
  {% endif %}
"""


def make_template(source):
    return ChatTemplate(source, TOKENS, origin="a test")


@pytest.mark.parametrize("source", [TEMPLATES["vicuna"], LINES], ids=["vicuna", "lines"])
@pytest.mark.parametrize("is_prompt", [True, False])
def test_parts_become_the_text_that_is_trained_on(source, is_prompt):
    plain = make_template(source)
    taking = make_template(take_recordings(plain))
    assert not plain.takes_audio("<|AUDIO|>") and taking.takes_audio("<|AUDIO|>")
    heard = {"type": "audio", "audio": [0.0]}
    parts = [heard, {"type": "text", "text": "First?"}, heard, {"type": "text", "text": " Second?"}]
    answer = {"role": "assistant", "content": "Yes."}
    asked = {"role": "user", "content": "And now?"}
    written = f"{HEARD}First?{HEARD} Second?"
    found = taking.render([{"role": "user", "content": parts}, answer, asked], is_prompt=is_prompt)
    same = [{"role": "user", "content": written}, answer, asked]
    assert found == plain.render(same, is_prompt=is_prompt)
    assert written in found
    # texts are rendered as they were, to the last blank
    assert taking.render(same, is_prompt=is_prompt) == found


@pytest.mark.parametrize("name", ["chatml", "qwen2_audio"])
def test_a_template_that_takes_recordings_stays(name):
    template = make_template(TEMPLATES[name])
    assert take_recordings(template) == template.source
