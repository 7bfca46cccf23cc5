"""A wav2vec2-type checkpoint folder as an aligner needs it: the network of sift_jax.codecs.hubert
and its vocabulary.

config.json, *.safetensors ─► HubertConfig, params, blank     vocab.json ─► {symbol: id}
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from data_prep.alignment.word_time import AlignmentError
from sift_jax.codecs.hubert.hubert_checkpoint import make_config, make_params
from sift_jax.codecs.hubert.network import HubertConfig, Params
from sift_jax.codecs.network_folder import find_files, read_json, read_tensors


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    config: HubertConfig
    params: Params
    vocabulary: Mapping[str, int]
    blank: int
    delimiter: str
    is_normalised: bool


def read_checkpoint(folder: str | Path) -> Checkpoint:
    """All that an aligner needs from a folder in the layout of the hub."""
    try:
        return _read(Path(folder))
    except AlignmentError:
        raise
    except ValueError as error:
        raise AlignmentError(str(error)) from None


def _read(folder: Path) -> Checkpoint:
    found = find_files(folder)
    config = make_config(found.raw, folder)
    vocabulary = read_json(folder, "vocab.json")
    if not all(isinstance(place, int) for place in vocabulary.values()):
        raise AlignmentError(
            f"{folder}/vocab.json: not one table of symbols; models with adapters by language are "
            "not read, take one whose vocabulary is flat"
        )
    params = make_params(read_tensors(found.files, folder), config, folder, has_head=True)
    size = len(params["head"]["bias"])
    if max(vocabulary.values()) >= size:
        raise AlignmentError(
            f"{folder}/vocab.json: symbol {max(vocabulary.values())} but the model has {size}; "
            "take the vocabulary that came with the weights"
        )
    tokens = read_json(folder, "tokenizer_config.json", is_needed=False)
    return Checkpoint(
        config=config,
        params=params,
        vocabulary=vocabulary,
        blank=found.raw.get("pad_token_id", 0),
        delimiter=tokens.get("word_delimiter_token") or "|",
        is_normalised=found.is_normalised,
    )
