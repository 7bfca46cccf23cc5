"""A decoder that reads and writes text, by itself: no encoder, no projector, and LoRA off.

a run or an export        ─► its decoder without the adapters ┐
weights/Qwen2.5-…/, hf:// ─► the decoder of that folder       ┴─► TextDecoder ─ answer ─► Reply(text, finish)
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from data_prep.llm.journal import make_key
from sift_jax.checkpoints.checksums import checksum_leaves
from sift_jax.decoding.generate import Prompt, lay_out_prompts, prepare, speak
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.endpoints.client import Reply
from sift_jax.endpoints.hub import SCHEME, find_folder
from sift_jax.models.hf_config import read_decoder_preset
from sift_jax.models.layers import NO_LORA
from sift_jax.models.lora_off import drop_lora, switch_off_lora
from sift_jax.models.presets import ENCODERS, PROJECTORS, to_json
from sift_jax.models.speech_lm import Params, SpeechLMConfig
from sift_jax.pretrained import Model
from sift_jax.text.chat import make_question, render_chat
from sift_jax.text.tokenizers import SpeechTokenizer
from sift_jax.weights.load import check_vocabulary, is_whole_model, load_decoder

_LENGTH_STEP = 64


class TextDecoder:
    """A decoder made ready to answer `rows` prompts at once, on the first device of the process."""

    def __init__(
        self,
        config: SpeechLMConfig,
        decoder: Params,
        tokenizer: SpeechTokenizer,
        decoding: DecodingConfig,
        *,
        rows: int,
        seed: int,
    ):
        self.config, self.tokenizer, self.decoding = config, tokenizer, decoding
        self.rows, self._seed = rows, seed
        self._checksums = make_key({path: int(x) for path, x in checksum_leaves(decoder).items()})
        self._prepared = prepare(config, {"decoder": decoder}, rows=rows)

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides what it says, but the prompt and its number."""
        return {
            "decoder": to_json(self.config)["decoder"],
            "dtype": self.config.dtype,
            "parameters": self._checksums,
            "tokenizer": self.tokenizer.digest,
            "decoding": self.decoding.describe(),
            "rows": self.rows,
            "seed": self._seed,
        }

    def _encode(self, prompt: str) -> np.ndarray:
        rendered = render_chat(make_question(prompt, []), self.tokenizer, has_reply=False)
        return np.asarray(rendered.tokens, np.int32)

    def count_tokens(self, prompt: str) -> int:
        """Positions of a prompt, as the template has it."""
        return len(self._encode(prompt))

    def answer(self, prompts: Sequence[str], draws: Sequence[int]) -> list[Reply]:
        """At most `rows` replies, in the order of the prompts."""
        tokens = [self._encode(prompt) for prompt in prompts]
        longest, new = max(map(len, tokens)), self.decoding.max_new_tokens
        if longest + new > self.config.decoder.max_positions:
            raise ValueError(
                f"{longest} positions of text with an answer of up to {new} are more than the "
                f"decoder's {self.config.decoder.max_positions}; lower --max_new_tokens"
            )
        more = self.rows - len(prompts)
        batch = lay_out_prompts(
            [Prompt.of_text(x) for x in [*tokens, *[tokens[-1]] * more]],
            self.config,
            tokens=-(-longest // _LENGTH_STEP) * _LENGTH_STEP,
            draws=[*draws, *[draws[-1]] * more],
        )
        stop_ids = self.tokenizer.stop_ids
        ids = speak(
            self.config,
            self._prepared,
            jax.device_put(batch),
            jax.random.key(self._seed),
            decoding=self.decoding,
            stop_ids=stop_ids,
        )
        return [self._read(row, len(asked)) for row, asked in zip(ids, tokens, strict=False)]

    def _read(self, row: np.ndarray, prompt_tokens: int) -> Reply:
        ended = np.flatnonzero(np.isin(row, self.tokenizer.stop_ids))
        end = int(ended[0]) if len(ended) else len(row)
        return Reply(
            text=self.tokenizer.decode(row[:end]).strip(),
            finish="stop" if len(ended) else "length",
            prompt_tokens=prompt_tokens,
            completion_tokens=end,
        )


def load_text_decoder(
    source: str,
    decoding: DecodingConfig,
    *,
    step: int | None,
    dtype: str,
    chat_template: str | None,
    rows: int,
    seed: int,
) -> TextDecoder:
    """The decoder of a run, of an export, or of a folder in the Hugging Face layout, without its
    adapters."""
    folder = find_folder(source) if source.startswith(SCHEME) else Path(source)
    if (folder / "checkpoints").is_dir() or is_whole_model(folder):
        model = Model.load(folder, step)
        config, decoder = switch_off_lora(model.config), drop_lora(model.params["decoder"])
        tokenizer = model.tokenizer
        if model.config.cross is not None:
            config = dataclasses.replace(config, cross=None)
    else:
        if step is not None:
            raise ValueError(f"{folder} is not a run, and has one step; leave --step out")
        config = SpeechLMConfig(
            quantized=None,
            windows=1,
            # nothing is heard: what stands here is never made
            encoder=ENCODERS["whisper-tiny"],
            projector=PROJECTORS["linear"],
            decoder=read_decoder_preset(folder),
            cross=None,
            lora=NO_LORA,
            dtype=dtype,
            remat="none",
            attention="auto",
            attention_block=512,
        )
        decoder = unflatten_dict(load_decoder(folder, config), sep="/")
        tokenizer = SpeechTokenizer(folder, chat_template)
        check_text_vocabulary(tokenizer, config.decoder.vocab_size, str(folder))
    config = dataclasses.replace(config, dtype=dtype)
    decoder = jax.tree.map(lambda x: jnp.asarray(x, dtype), decoder)
    return TextDecoder(config, decoder, tokenizer, decoding, rows=rows, seed=seed)


def check_text_vocabulary(tokenizer: SpeechTokenizer, rows: int, source: str) -> None:
    """The tokens of audio, which no text has, may lie behind the decoder's rows."""
    check_vocabulary(len(tokenizer) - len(tokenizer.lacking), rows, f"the tokenizer of {source}")
