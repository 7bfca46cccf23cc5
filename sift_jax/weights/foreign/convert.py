"""A file of another program to a folder that the project reads, written beside its place and then
named.

GGUF         ─┐
model.bin    ─┼─► (config.json, tensors, tokenizer) ─► out.part/ ─► read as a preset ─► out/
OpenAI's .pt ─┤
*.bin        ─┤  PyTorch's, of a decoder's folder
PEFT's LoRA  ─┤  merged into its base
BEATs        ─┤  beside a Whisper
SALMONN      ─┘  a whole model
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.endpoints.hub import find_folder
from sift_jax.models.hf_config import read_config, read_decoder_preset, read_encoder_preset
from sift_jax.weights.adapters import find_base, is_adapter, merge_tensors, read_adapter
from sift_jax.weights.foreign import gguf_decoder
from sift_jax.weights.foreign.ctranslate2_file import read_variables
from sift_jax.weights.foreign.ctranslate2_whisper import list_whisper_tensors
from sift_jax.weights.foreign.gguf_file import MAGIC, GgufFile
from sift_jax.weights.foreign.gguf_tokenizer import write_tokenizer
from sift_jax.weights.foreign.openai_whisper import list_openai_tensors
from sift_jax.weights.foreign.salmonn import (
    describe_encoder,
    is_beats,
    is_salmonn,
    list_encoder_tensors,
    write_salmonn,
)
from sift_jax.weights.foreign.torch_file import (
    is_torch_file,
    list_torch_files,
    list_torch_tensors,
    read_torch_file,
)
from sift_jax.weights.foreign.whisper_config import make_whisper_config
from sift_jax.weights.tensor_writer import write_tensors

DTYPES = ("float16", "bfloat16", "float32")
MAX_BYTES = 2 * 10**9
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "normalizer.json",
    "preprocessor_config.json",
)
# of a Whisper: which heads follow the words
GENERATION = "generation_config.json"
Tensors = Iterator[tuple[str, np.ndarray]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What a file holds; `write_text` puts its tokenizer into a folder."""

    config: dict[str, Any]
    tensors: Tensors
    write_text: Callable[[Path], None]
    check: Callable[[Path], Any]
    said: str


def import_weights(
    source: str | Path,
    out: str | Path,
    *,
    dtype: str,
    tokenizer: str | None = None,
    base: str | None = None,
    encoder: str | None = None,
) -> str:
    """Writes the folder and says what it is; `base` is the decoder under an adapter, where it is
    not the one that the adapter names, or under a SALMONN, whose `encoder` is a folder, too."""
    source, out = Path(source), Path(out)
    if dtype not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}; choose one of {', '.join(DTYPES)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists already; choose another --out, or delete it")
    held = read_torch_file(source) if source.is_file() and is_torch_file(source) else None
    needs_base = is_adapter(source) or is_salmonn(held)
    if base is not None and not needs_base:
        raise ValueError(
            f"--base is the decoder under an adapter of PEFT or a SALMONN, which {source} is not"
        )
    if (encoder is None) == (is_beats(held) or is_salmonn(held)):
        raise ValueError(
            f"--encoder is the Whisper beside a BEATs, or the encoder of a SALMONN; {source} "
            + ("needs it" if encoder is None else "is neither")
        )
    draft = out.with_name(out.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        if encoder is not None and is_salmonn(held):
            size, said = _write_whole(held, source, draft, encoder, base, dtype, tokenizer)
        else:
            found = _open_adapter(source, base) if needs_base else _open(source, held, encoder)
            size, said = _write_found(found, draft, dtype, tokenizer), found.said
        if out.exists():
            out.rmdir()
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return f"{out} written: {said}, {size / 1e6:,.0f} MB of {dtype}"


def _write_found(found: Found, draft: Path, dtype: str, tokenizer: str | None) -> int:
    size = write_tensors(
        draft, _check_range(found.tensors, dtype), dtype=dtype, max_bytes=MAX_BYTES
    )
    config = {**found.config, "dtype": dtype, "torch_dtype": dtype}
    (draft / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    found.check(draft)
    if tokenizer is None:
        found.write_text(draft)
    else:
        _copy_tokenizer(Path(tokenizer), draft)
    return size


def _write_whole(
    held: Any,
    source: Path,
    draft: Path,
    encoder: str,
    base: str | None,
    dtype: str,
    tokenizer: str | None,
) -> tuple[int, str]:
    if base is None or tokenizer is not None:
        raise ValueError(
            f"{source} is a SALMONN: give the folder of its Vicuna as --base, whose tokenizer is "
            "taken, and no --tokenizer"
        )
    return write_salmonn(
        held, source, draft, encoder=encoder, base=base, dtype=dtype, max_bytes=MAX_BYTES
    )


def _open(source: Path, held: Any, encoder: str | None) -> Found:
    """By what the file begins with, whatever its name; `held` is what a .pt of PyTorch's holds."""
    if source.is_dir() and list_torch_files(source):
        return _open_torch_folder(source)
    if source.is_dir():
        source = source / "model.bin"
    if not source.is_file():
        raise ValueError(
            f"no file {source}; give a GGUF, CTranslate2's folder of a Whisper, OpenAI's .pt, "
            "BEATs' or SALMONN's, or the folder of a PEFT adapter"
        )
    with source.open("rb") as file:
        start = file.read(4)
    if start == MAGIC:
        return _open_gguf(source)
    if encoder is not None:
        return _open_beats(source, held, encoder)
    if held is not None:
        return _make_whisper(source, dict(list_openai_tensors(held, source)), None)
    return _open_ctranslate2(source)


def _open_adapter(source: Path, base: str | None) -> Found:
    adapter = read_adapter(source)
    named = find_base(adapter, base)
    folder = find_folder(named)
    has_text = any((source / name).is_file() for name in TOKENIZER_FILES)
    return Found(
        config=read_config(folder)[0],
        tensors=merge_tensors(adapter, named),
        write_text=lambda out: _copy_tokenizer(source if has_text else folder, out),
        check=read_decoder_preset,
        said=f"{named} with the adapter of rank {adapter.rank} merged",
    )


def _open_torch_folder(source: Path) -> Found:
    return Found(
        config=read_config(source)[0],
        tensors=list_torch_tensors(source),
        write_text=lambda out: _copy_tokenizer(source, out),
        check=read_decoder_preset,
        said=f"the decoder of {source}, of PyTorch's files",
    )


def _open_gguf(source: Path) -> Found:
    file = GgufFile(source)
    config = gguf_decoder.make_config(file)
    names = sorted({tensor.packing.name for tensor in file.tensors.values()})
    return Found(
        config=config,
        tensors=gguf_decoder.list_tensors(file, config),
        write_text=lambda folder: write_tokenizer(file, folder),
        check=read_decoder_preset,
        said=(
            f"a {config['model_type']} of {config['num_hidden_layers']} layers, unpacked from "
            f"{', '.join(names)}"
        ),
    )


def _open_ctranslate2(source: Path) -> Found:
    variables = read_variables(source)
    tensors = dict(list_whisper_tensors(variables, source))
    return _make_whisper(source, tensors, source.parent)


def _open_beats(source: Path, held: Any, whisper: str) -> Found:
    folder = find_folder(whisper)
    config = describe_encoder(held, source, folder)
    return Found(
        config=config,
        tensors=list_encoder_tensors(held, source, folder),
        write_text=lambda out: None,
        check=read_encoder_preset,
        said=f"{whisper} and a BEATs of {config['beats']['layers']} layers beside it",
    )


def _make_whisper(source: Path, tensors: dict[str, np.ndarray], beside: Path | None) -> Found:
    config = make_whisper_config(tensors, source) | (_find_heads(beside) if beside else {})
    return Found(
        config=config,
        tensors=iter(tensors.items()),
        write_text=lambda folder: (
            _copy_tokenizer(beside, folder, is_needed=False) if beside else None
        ),
        check=read_encoder_preset,
        said=f"a Whisper of {config['encoder_layers']} and {config['decoder_layers']} layers",
    )


def _find_heads(folder: Path) -> dict[str, Any]:
    """CTranslate2 has the heads that follow the words in its config.json."""
    path = folder / "config.json"
    try:
        heads = (
            json.loads(path.read_text(encoding="utf-8")).get("alignment_heads")
            if path.is_file()
            else None
        )
    except (ValueError, AttributeError):
        raise ValueError(f"{path} is not a JSON object; download it again") from None
    return {"alignment_heads": heads} if heads else {}


def _copy_tokenizer(source: Path, folder: Path, *, is_needed: bool = True) -> None:
    names = [name for name in TOKENIZER_FILES if (source / name).is_file()]
    if is_needed and not names:
        raise ValueError(f"{source} holds no tokenizer; give a folder with a tokenizer.json")
    if (source / GENERATION).is_file():
        names.append(GENERATION)
    for name in names:
        shutil.copyfile(source / name, folder / name)


def _check_range(tensors: Tensors, dtype: str) -> Tensors:
    largest = 65_504.0 if dtype == "float16" else np.inf
    for name, value in tensors:
        if not np.all(np.abs(value) <= largest):
            raise ValueError(f"{name} has numbers that {dtype} does not hold; give --dtype=float32")
        yield name, value
