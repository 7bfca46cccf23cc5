"""How many rows of the vocabulary a run needs, where its config leaves that to the tokenizer and
the codec."""

from __future__ import annotations

from pathlib import Path

from sift_jax.checkpoints.checkpoint import read_model_file
from sift_jax.data.data_config import DataConfig
from sift_jax.data.defined_tasks import read_codec
from sift_jax.endpoints.hub import find_cached, find_folder, is_on_hub
from sift_jax.models.presets import ModelConfig
from sift_jax.text.tokenizers import SpeechTokenizer, has_tokenizer
from sift_jax.text.unit_tokens import count_needed_rows


def fetch_tokenizer(data: DataConfig) -> None:
    """Of a tokenizer on the hub, its files onto this machine: before the rows are counted, and not
    for a dry run, which asks no network."""
    if is_on_hub(data.tokenizer):
        find_folder(data.tokenizer, texts_only=True)


def count_rows(model: ModelConfig, data: DataConfig, *, start_run: str | None, out_dir: str) -> int:
    """The rows for which extra_tokens None makes room; none for a dry run without the tokenizer,
    and never fewer than the run has whose parameters are read."""
    folder = find_cached(data.tokenizer)
    if model.extra_tokens is not None or folder is None or not has_tokenizer(folder):
        return 0
    needed = count_needed_rows(SpeechTokenizer(folder, data.chat_template), read_codec(data))
    # a run that resumes can do without the one that it began with
    folders = [Path(start_run), Path(out_dir)] if start_run else []
    begun = next((folder for folder in folders if (folder / "model.json").is_file()), None)
    return needed if begun is None else max(needed, read_model_file(begun).decoder.vocab_size)
