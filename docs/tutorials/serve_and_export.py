"""Serve a model, and export it: the commands and the code of serve_and_export.md, made by python -m docs.tools.make_notebooks."""

import subprocess
from pathlib import Path


def run(commands):
    """Commands of a shell; the first one that fails ends the script."""
    subprocess.run(["bash", "-euo", "pipefail", "-c", commands], check=True)


def write(name, text):
    """A file of the tutorial, in the current folder."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")


# %% [markdown]
# # Serve a model, and export it
#
# This page as a [script](serve_and_export.py) and as a [notebook](serve_and_export.ipynb).

# %%
run(r'''
pip install ".[serve]" openai
''')

# %% [markdown]
# ## A server
#
# `sift-jax serve` without a checkpoint serves the [small model](first_answers.md); `--checkpoint=` names another. In a terminal it runs until Ctrl-C; here it is started in the background, and its first line says that it listens:

# %%
import subprocess

server = subprocess.Popen(["sift-jax", "serve", "--port=8765"], stdout=subprocess.PIPE, text=True)
print(server.stdout.readline())

# %% [markdown]
# `http://127.0.0.1:8765/` is then a page to record, ask and compare on, and OpenAI's client asks it as any other server:

# %%
import base64

import openai

from sift_jax.shipped.places import find_recording

client = openai.OpenAI(base_url="http://127.0.0.1:8765/v1", api_key="none")
sound = base64.b64encode(find_recording("sample:slow").read_bytes()).decode()
content = [
    {"type": "input_audio", "input_audio": {"data": sound, "format": "flac"}},
    {"type": "text", "text": "How fast does the person talk?"},
]
reply = client.chat.completions.create(
    model="small", messages=[{"role": "user", "content": content}]
)
print(reply.choices[0].message.content)
server.terminate()
server.wait()

# %% [markdown]
# [Serving](../guides/serving.md) has streams, keys, limits and what it refuses.
#
# ## An export

# %%
run(r'''
sift-jax export --checkpoint=small --out=exports/merged --format=merged
''')

# %% [markdown]
# writes the decoder alone, LoRA merged, as `AutoModelForCausalLM` of `transformers` reads it; its tokenizer has the chat template of training:

# %%
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("exports/merged")
turn = [{"role": "user", "content": "How fast does she speak?"}]
print(tokenizer.apply_chat_template(turn, tokenize=False))

# %% [markdown]
# ## The whole model in transformers

# %%
run(r'''
pip install torch
sift-jax export --checkpoint=small --out=exports/whole --format=transformers
''')

# %% [markdown]
# writes everything that answers a recording: encoder, projector and decoder, with their code for PyTorch in the same folder, so that neither JAX nor `sift_jax` is needed to use it. `transformers` runs code of a folder only with `trust_remote_code=True`:

# %%
import soundfile
from transformers import AutoModelForCausalLM, AutoProcessor

model = AutoModelForCausalLM.from_pretrained("exports/whole", trust_remote_code=True)
processor = AutoProcessor.from_pretrained("exports/whole", trust_remote_code=True)
samples, rate = soundfile.read(find_recording("sample:slow"), dtype="float32")
assert rate == 16_000
content = [
    {"type": "audio", "audio": samples},
    {"type": "text", "text": "How fast does the person talk?"},
]
inputs = processor.apply_chat_template(
    [{"role": "user", "content": content}],
    add_generation_prompt=True,
    tokenize=True,
    return_dict=True,
)
answer = model.generate(**inputs, max_new_tokens=32)
prompt = inputs["input_ids"].shape[1]
print(processor.batch_decode(answer[:, prompt:], skip_special_tokens=True)[0])

# %% [markdown]
# It answers as the server did. What it takes beside that, and which models it can be written for: [in transformers](../guides/models.md#in-transformers). Other formats, adapters of PEFT and Qwen2-Audio's layout among them: [models, weights, export](../guides/models.md#export).
