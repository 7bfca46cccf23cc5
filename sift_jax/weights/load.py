"""Parameters from elsewhere: another run of ours, an export, or folders in the Hugging Face layout.

    Sources(run="runs/stage1", step=50_000)                     every parameter of that run; new LoRA stays as made
    Sources(model="Qwen2-Audio-7B-Instruct/")                   a whole model: Qwen2-Audio's, or an export of ours
    Sources(encoder="whisper-medium/", decoder="hf://Qwen/Qwen2.5-7B-Instruct")    folders, or names on the hub
    Sources(encoder="whisper-medium/", decoder="adapters/mine/")    a LoRA of PEFT, with the base that it names

All are read in the layout and dtype of the parameters that are wanted: see stream_tensors.py.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from sift_jax.checkpoints.checkpoint import Checkpoints, read_model_file
from sift_jax.endpoints.hub import find_folder
from sift_jax.field_ranges import CheckedConfig, Text, Whole
from sift_jax.models.hf_config import REMOTE_CODE, read_config
from sift_jax.models.layers import NO_LORA, make_sinusoids
from sift_jax.models.presets import PROJECTORS, read_decoder_preset, read_encoder_preset
from sift_jax.models.quantization import narrow, widen
from sift_jax.models.speech_lm import Params, SpeechLMConfig, describe_params
from sift_jax.weights.adapters import check_lora, find_base, is_adapter, read_adapter
from sift_jax.weights.hf_layouts import read_layout, sort_keys
from sift_jax.weights.key_table import WHISPER_COMPUTED, list_tables, make_adapter_rows
from sift_jax.weights.resize import find_axis, grow, shrink
from sift_jax.weights.same_model import check_preset, check_run_model
from sift_jax.weights.stream_tensors import Origin, Wanted, check_shapes, find_origins, stream
from sift_jax.weights.tensor_files import TensorFolder
from sift_jax.weights.token_rows import KEYS as TOKEN_ROWS
from sift_jax.weights.token_rows import put_token_rows, read_token_rows

PRESETS = {"encoder": read_encoder_preset, "decoder": read_decoder_preset}
Loaded = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sources(CheckedConfig):
    """Where parameters come from before training; None leaves them random. Later fields win over
    earlier ones."""

    run: Text | None
    step: Whole | None
    model: Text | None
    encoder: Text | None
    decoder: Text | None


def describe_part(part: str, config: SpeechLMConfig) -> Wanted:
    """What a folder must hold of a part: all but LoRA."""
    flat = flatten_dict(describe_params(config)[part], sep="/")
    return {path: leaf for path, leaf in flat.items() if "/lora_" not in path}


def load_part(
    part: str,
    source: str | Path,
    config: SpeechLMConfig,
    wanted: Wanted | None = None,
    *,
    kind: str | None = None,
) -> Loaded:
    """A part's parameters by path below the part, as `wanted` describes them (or float32 on one
    device)."""
    folder = find_folder(source)
    kind = kind or read_layout(folder, part)
    if part in PRESETS:
        check_preset(PRESETS[part](folder), getattr(config, part), part, source)
    files = TensorFolder(folder)
    parts, unknown = sort_keys(kind, files.keys())
    names = parts.get(part, {})
    ignored = {
        "encoder": WHISPER_COMPUTED,
        "decoder": ("lm_head.weight",) if config.decoder.is_tied else (),
    }
    final = describe_part(part, config) if wanted is None else wanted
    # a kernel that is wanted in int8 is read whole
    wanted = widen(final)
    layers = {path: leaf.shape[0] for path, leaf in wanted.items()}
    rows = list_tables(config)[part]
    try:
        origins = find_origins(
            rows, [*names, *unknown], layers, wanted=wanted, ignored=ignored.get(part, ())
        )
    except ValueError as error:
        raise ValueError(f"{part} of {source}: {error}") from None
    origins = {
        path: dataclasses.replace(origin, keys=tuple(names[key] for key in origin.keys))
        for path, origin in origins.items()
    }
    like = _shrink_vocabulary(origins, files, wanted) if part == "decoder" else wanted
    check_shapes(origins, files, like, part)
    for path in wanted.keys() - final.keys():
        # one kernel of 7B's is 3.8 GB in the dtype of its file, and twice that in float32; layers
        # may lie in files of several dtypes
        if all(files.is_bfloat16(key) for key in origins[path].keys):
            like = {**like, path: like[path].update(dtype=jnp.bfloat16)}
    if part == "encoder" and WHISPER_COMPUTED[0] in names:
        check_positions(files, names[WHISPER_COMPUTED[0]])
    loaded: Loaded = {}
    for path, origin in origins.items():
        x = stream(origin, files, like[path])
        if like[path].shape != wanted[path].shape:
            x = grow(f"{part}/{path}", x, wanted[path])
        loaded |= narrow(path, x, final)
    return loaded


def _shrink_vocabulary(origins: dict[str, Origin], files: TensorFolder, wanted: Wanted) -> Wanted:
    """As wanted, but for a vocabulary that has fewer rows in the folder than here: see
    ModelConfig.extra_tokens."""
    shapes = {
        path: origin.shape(files)
        for path, origin in origins.items()
        if path in ("embedding", "head")
    }
    small = {
        p
        for p, shape in shapes.items()
        if find_axis(f"decoder/{p}", shape, tuple(wanted[p].shape)) is not None
    }
    return {
        path: shrink(leaf, shapes[path]) if path in small else leaf for path, leaf in wanted.items()
    }


def check_positions(files: TensorFolder, key: str) -> None:
    """Whisper's positions are fixed sines, computed here; a model that has learnt others is another
    model."""
    found = files.read(key).astype(np.float32)
    # published in half precision, too
    if found.ndim != 2 or np.abs(found - np.asarray(make_sinusoids(*found.shape))).max() > 0.02:
        raise ValueError(
            f"{files.folder}: {key} holds no sinusoids, and learnt positions are not "
            "supported; take Whisper's"
        )


def load_decoder(
    source: str | Path, config: SpeechLMConfig, wanted: Wanted | None = None
) -> Loaded:
    return load_part("decoder", source, config, wanted)


def load_adapter(source: str | Path, config: SpeechLMConfig) -> Loaded:
    """The LoRA of a PEFT adapter's folder, by path below the decoder; rows of tokens are
    token_rows.py's."""
    files = TensorFolder(find_folder(source))
    described = flatten_dict(describe_params(config)["decoder"], sep="/")
    wanted = {path: leaf for path, leaf in described.items() if "/lora_" in path}
    origins = find_origins(
        make_adapter_rows(), files.keys(), config.decoder.layers, wanted=wanted, ignored=TOKEN_ROWS
    )
    check_shapes(origins, files, wanted, "decoder")
    return {path: stream(origin, files, wanted[path]) for path, origin in origins.items()}


def load_adapted(
    source: str, config: SpeechLMConfig, wanted: Wanted, wanted_lora: Wanted
) -> Loaded:
    """The decoder under a PEFT adapter, and the adapter as our LoRA; see adapters.py."""
    adapter = read_adapter(source)
    check_lora(adapter, config.lora)
    decoder = load_decoder(find_base(adapter), config, wanted)
    files = TensorFolder(adapter.folder)
    try:
        origins = find_origins(
            make_adapter_rows(),
            files.keys(),
            config.decoder.layers,
            wanted=wanted_lora,
            ignored=TOKEN_ROWS,
        )
    except ValueError as error:
        raise ValueError(
            f"adapter {source}: {error}; or set ModelConfig.lora_targets to the projections that "
            "it has, or merge it first with python -m sift_jax.import_weights"
        ) from None
    check_shapes(origins, files, wanted_lora, "decoder")
    decoder |= {path: stream(origin, files, wanted_lora[path]) for path, origin in origins.items()}
    return put_token_rows(decoder, read_token_rows(adapter.folder))


def is_export(folder: Path) -> bool:
    return (folder / "model.json").is_file() and (folder / "decoder").is_dir()


def _read_kind(folder: Path) -> str | None:
    """The model_type of a config.json, if there is one."""
    has_config = (folder / "config.json").is_file()
    return read_config(folder)[0].get("model_type") if has_config else None


def is_whole_model(folder: Path) -> bool:
    """Whether load_folder reads it: an export of ours or a folder of Qwen2-Audio."""
    return is_export(folder) or _read_kind(folder) in ("qwen2_audio", REMOTE_CODE)


def load_model(
    source: str | Path, config: SpeechLMConfig, wanted: dict[str, Wanted] | None = None
) -> Loaded:
    """All parts of a whole model, by full path: an export of ours, or a folder of Qwen2-Audio."""
    folder = find_folder(source)
    if is_export(folder):
        own = {"projector": "sift_projector", "cross": "sift_cross"}
        places = {part: (folder / part, own.get(part)) for part in list_tables(config)}
    else:
        places = dict.fromkeys(list_tables(config), (folder, read_layout(folder, "projector")))
    loaded: Loaded = {}
    for part, (place, kind) in places.items():
        found = load_part(part, place, config, wanted[part] if wanted else None, kind=kind)
        loaded |= {f"{part}/{path}": leaf for path, leaf in found.items()}
    return loaded


def read_model_config(source: str | Path) -> SpeechLMConfig:
    """The config of a whole model: what an export's model.json says, or Qwen2-Audio's
    config.json."""
    folder = find_folder(source)
    if is_export(folder) or _read_kind(folder) == REMOTE_CODE:
        return read_model_file(folder)
    read_layout(folder, "projector")
    return SpeechLMConfig(
        encoder=read_encoder_preset(folder),
        projector=PROJECTORS["pooled"],
        decoder=read_decoder_preset(folder),
        cross=None,
        lora=NO_LORA,
        quantized=None,
        windows=1,
        dtype="float32",
        remat="none",
        attention="auto",
        attention_block=512,
    )


def load_folder(source: str | Path) -> tuple[SpeechLMConfig, Params]:
    """A whole model as it is, without a config of ours: an export, or a folder or hub name of
    Qwen2-Audio."""
    config = read_model_config(source)
    return config, unflatten_dict(load_model(source, config), sep="/")


def check_vocabulary(tokens: int, rows: int, source: str) -> None:
    """Ids beyond the embedding would be clamped in silence on the device."""
    if tokens > rows:
        raise ValueError(
            f"{source} has {tokens} tokens, those of audio included, and the decoder's vocabulary "
            f"{rows} rows; if it is that decoder's own tokenizer, train with EXTRA_TOKENS = None "
            "(ModelConfig.extra_tokens), which adds the rows that are lacking; otherwise give "
            "the tokenizer of that decoder"
        )


def load_run(run: str, step: int | None, wanted: Wanted) -> Loaded:
    """A run's parameters by full path. All that this model has of a part must be there, but new
    LoRA, and no more.

    What may grow (the vocabulary, the adapters' rank) is filled up: see resize.py."""
    config = read_model_file(run)
    theirs, final = flatten_dict(describe_params(config), sep="/"), wanted
    if not config.quantized:
        wanted = widen(final)
    check_paths({path: leaf.shape for path, leaf in theirs.items()}, wanted, f"run {run}")
    grown = {path for path, leaf in theirs.items() if leaf.shape != wanted[path].shape}
    like = {
        path: shrink(wanted[path], leaf.shape) if path in grown else wanted[path]
        for path, leaf in theirs.items()
    }
    checkpoints = Checkpoints(run, is_reader=True)
    # in the dtypes that it saved: in float32 a kernel that becomes int8 would be twice as large
    _, params = checkpoints.restore_params(unflatten_dict(like, sep="/"), step, keep_dtypes=True)
    checkpoints.close()
    loaded = flatten_dict(params, sep="/")
    del params
    found: Loaded = {}
    for path in like:
        # nothing else holds the leaf: once narrowed it is gone
        leaf = loaded.pop(path)
        if path in final:
            leaf = leaf.astype(final[path].dtype)
        found |= narrow(path, grow(path, leaf, wanted[path]) if path in grown else leaf, final)
    return found


def check_paths(theirs: dict[str, tuple[int, ...]], wanted: Wanted, source: str) -> None:
    """A part (encoder, …) comes whole and in this model's shapes; only LoRA may be new."""
    parts = {path.split("/")[0] for path in theirs}
    unknown = sorted(set(theirs) - set(wanted))
    kept = sorted(
        p for p in set(wanted) - set(theirs) if p.split("/")[0] in parts and "/lora_" not in p
    )
    if unknown or kept:
        raise ValueError(
            f"{source} does not fit this model: it has {unknown[:3] or 'nothing'} too many and "
            f"lacks {kept[:3] or 'nothing'}; use the model config of that run, new LoRA apart"
        )
    for path, shape in theirs.items():
        is_same = tuple(shape) == tuple(wanted[path].shape)
        if not is_same and find_axis(path, tuple(shape), tuple(wanted[path].shape)) is None:
            raise ValueError(
                f"{source}: parameter {path} is {tuple(shape)} there and "
                f"{tuple(wanted[path].shape)} here; use the model config of that run"
            )


def load_sources(wanted: Params, config: SpeechLMConfig, sources: Sources) -> Loaded:
    """What the sources hold, by full path, as `wanted` (shapes, dtypes, shardings) describes it."""
    flat: Wanted = flatten_dict(wanted, sep="/")
    parts = {
        part: {
            path.removeprefix(f"{part}/"): leaf
            for path, leaf in flat.items()
            if path.startswith(f"{part}/")
        }
        for part in list_tables(config)
    }
    lora = {path: x for path, x in parts["decoder"].items() if "/lora_" in path}
    parts = {
        part: {path: x for path, x in tree.items() if "/lora_" not in path}
        for part, tree in parts.items()
    }
    loaded: Loaded = {}
    if sources.run:
        check_run_model(read_model_file(sources.run), config, sources.run)
        loaded = load_run(sources.run, sources.step, flat)
    if sources.model:
        loaded |= load_model(sources.model, config, parts)
    if sources.encoder and "encoder" not in parts:
        raise ValueError(
            f"Sources.encoder is {sources.encoder}, and this model has no encoder; set ENCODER = "
            "None"
        )
    for part, source in (("encoder", sources.encoder), ("decoder", sources.decoder)):
        if source and part == "decoder" and is_adapter(source):
            found = load_adapted(source, config, parts[part], lora)
        elif source:
            found = load_part(part, source, config, parts[part])
        else:
            continue
        loaded |= {f"{part}/{path}": leaf for path, leaf in found.items()}
    return loaded
