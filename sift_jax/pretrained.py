"""A model out of any folder that holds one: a run of ours, an export, or Qwen2-Audio's, here or on
the hub; or the small one that comes with the package.

folder ─► Model(config, params, tokenizer, codec) ─► decoding, exporting
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax

from sift_jax.checkpoints.checkpoint import load_params
from sift_jax.endpoints.hub import SCHEME, find_folder
from sift_jax.models.speech_lm import Params, SpeechLMConfig, init_params
from sift_jax.shipped.places import SMALL, find_checkpoint
from sift_jax.text.tokenizers import SpeechTokenizer
from sift_jax.text.unit_tokens import (
    CodecIdentity,
    check_unit_rows,
    place_units,
    read_units_file,
)
from sift_jax.weights.load import check_vocabulary, is_whole_model, load_folder


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """Parameters with the config and tokenizer that they were made for."""

    config: SpeechLMConfig
    params: Params
    tokenizer: SpeechTokenizer
    step: int | None
    # whose units it speaks or hears; None if it knows text alone
    codec: CodecIdentity | None = None

    @classmethod
    def load(cls, folder: str | Path, step: int | None = None) -> Model:
        """A run's folder (its checkpoint of `step`, or the latest), an export's, or Qwen2-Audio's
        (here or hf://); "small" is the model that comes with the package."""
        folder = find_folder(folder) if str(folder).startswith(SCHEME) else find_checkpoint(folder)
        if not folder.exists():
            raise ValueError(
                f"{folder}: no such folder; give a run's, or an export's, or {SMALL} for the model "
                "that comes with sift_jax"
            )
        if (folder / "checkpoints").is_dir():
            config, step, params = load_params(folder, step)
        elif is_whole_model(folder):
            if step is not None:
                raise ValueError(f"{folder} is an export, of one step; leave step {step} out")
            config, params = load_folder(folder)
        else:
            raise ValueError(
                f"{folder} is neither a run (checkpoints/) nor an export (decoder/); train or "
                "export one first"
            )
        # ours lies apart, Qwen2-Audio's among its other files
        tokenizer = SpeechTokenizer(
            folder / "tokenizer" if (folder / "tokenizer").is_dir() else folder
        )
        check_vocabulary(len(tokenizer), config.decoder.vocab_size, f"the tokenizer of {folder}")
        codec = read_units_file(folder, place_units(tokenizer))
        if codec is not None:
            check_unit_rows(place_units(tokenizer), codec, config.decoder.vocab_size)
        return cls(config=config, params=params, tokenizer=tokenizer, step=step, codec=codec)

    def forget(self) -> Model:
        """The same model untrained: a baseline."""
        params = jax.jit(init_params, static_argnums=0)(self.config, jax.random.key(1))
        return dataclasses.replace(self, params=params, step=0)
