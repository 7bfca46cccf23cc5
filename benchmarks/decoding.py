"""Cached greedy decoding: tokens per second against `generate` of transformers, in one run, with
the same weights.

    python -m benchmarks.decoding [--rows=1] [--decoder=smollm2-135m|small|…] [--new=64]
    [--rounds=5] [--threads=2]

Random weights in the geometry of a real decoder, in float32 on both sides. Both take turns, so that
another load on the machine slows both. A round is a whole call, prefill included, and a call that
ends with the first token: the difference is what every further token takes. What is done once for
many calls (compiling here, fusing the weights here, loading there) is outside. The tokens of both
are compared. Needs torch (`make parity` installs it).
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
from functools import partial

from benchmarks.sides import measure, take_cores


def parse_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times decoding against transformers' generate.")
    parser.add_argument("--rows", type=int, default=1, help="sequences that are decoded at once")
    parser.add_argument(
        "--decoder", default="smollm2-135m", help="a preset's name, or small: 20M parameters"
    )
    parser.add_argument("--prompt", type=int, default=64, help="tokens")
    parser.add_argument("--new", type=int, default=64, help="tokens")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each measurement")
    parser.add_argument("--threads", type=int, default=2, help="cores for both")
    return parser.parse_args()


def make_ours(flags: argparse.Namespace, *, codes: int = 0):
    """(prompt ids, model's config, decoder's parameters, a call that returns so many new ids).

    With `codes` the answer is that many units of speech, which the last id of the prompt opens.
    """
    import jax
    import numpy as np

    from benchmarks.small_decoder import find_decoder
    from sift_jax.decoding.generate import Prompt, lay_out_prompts, prepare, speak
    from sift_jax.decoding.sampling import GREEDY
    from sift_jax.decoding.speech_constraints import SpeechRules
    from sift_jax.models.presets import ModelConfig, make_model_config
    from sift_jax.models.speech_lm import init_params

    model = ModelConfig(
        encoder="test",
        frame_mask=None,
        projector="linear",
        projector_frames=None,
        decoder="test",
        extra_tokens=0,
        lora_rank=0,
        lora_alpha=1.0,
        lora_targets=(),
        quantized=None,
        soft_tokens=False,
        dtype="float32",
        remat="none",
        attention="auto",
        attention_block=512,
        fusion="splice",
    )
    decoder = find_decoder(flags.decoder)
    decoder = dataclasses.replace(decoder, vocab_size=decoder.vocab_size + (codes and codes + 2))
    config = dataclasses.replace(make_model_config(model), decoder=decoder)
    params = jax.jit(init_params, static_argnums=0)(config, jax.random.key(0))
    shape = (flags.rows, flags.prompt)
    text = config.decoder.vocab_size - (codes and codes + 2)
    ids = np.random.default_rng(0).integers(10, text, shape).astype(np.int32)
    rules = SpeechRules(begin=text, codes=codes, turn_end=0, is_only=True) if codes else None
    if rules:
        ids[:, -1] = rules.begin
    batch = lay_out_prompts([Prompt.of_text(row) for row in ids], config, tokens=flags.prompt)
    prepared = prepare(config, params, rows=flags.rows, speech=rules)
    key = jax.random.key(0)

    def call(new: int) -> np.ndarray:
        decoding = dataclasses.replace(GREEDY, max_new_tokens=new)
        return speak(config, prepared, batch, key, decoding=decoding, stop_ids=(-1,), speech=rules)

    return ids, config, params["decoder"], call


def make_network(threads: int, config, params):
    """The class of transformers with the same weights, on so many threads."""
    import numpy as np
    import torch
    import transformers
    from flax.traverse_util import flatten_dict

    from sift_jax.exporting.hf_configs import make_decoder_config
    from sift_jax.weights.key_table import QWEN2, to_theirs

    torch.set_num_threads(threads)
    sizes = {
        **make_decoder_config(config, stop_id=0),
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": 0,
    }
    config = transformers.AutoConfig.for_model(sizes.pop("model_type"), **sizes)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    tensors = to_theirs(
        QWEN2, {path: np.asarray(x) for path, x in flatten_dict(params, sep="/").items()}
    )
    missing, unknown = model.load_state_dict(
        {k: torch.from_numpy(v.copy()) for k, v in tensors}, strict=False
    )
    if unknown or set(missing) - {"lm_head.weight"}:
        raise ValueError(
            f"weights do not fit {type(model).__name__}: lacking {missing}, unknown {unknown}"
        )
    model.tie_weights()
    return model


def make_theirs(flags: argparse.Namespace, ids, config, params, *, processors=()):
    """What make_ours calls, for that class; `processors` change its logits."""
    import numpy as np
    import torch

    model = make_network(flags.threads, config, params)
    prompt = torch.from_numpy(ids).long()
    mask = torch.ones_like(prompt)

    def call(new: int) -> np.ndarray:
        said = model.generate(
            prompt,
            attention_mask=mask,
            max_new_tokens=new,
            do_sample=False,
            logits_processor=list(processors),
        )
        return said[:, ids.shape[1] :].numpy()

    return call


def main() -> None:
    flags = parse_flags()
    take_cores(flags.threads, flag="threads")
    os.environ["JAX_PLATFORMS"] = "cpu"
    ids, config, params, ours = make_ours(flags)
    theirs = make_theirs(flags, ids, config, params)
    is_same = (ours(flags.new) == theirs(flags.new)).all(axis=1)
    lengths = (flags.new, 1)
    calls = {
        (who, new): partial(call, new)
        for new in lengths
        for who, call in (("ours", ours), ("theirs", theirs))
    }
    taken = measure(calls, flags.rounds)
    print(
        f"{flags.decoder}, {flags.rows} rows, prompts of {flags.prompt} and {flags.new} new "
        f"tokens, {flags.threads} cores, {flags.rounds} rounds; rows with the same tokens: "
        f"{is_same.sum()} of {flags.rows}"
    )
    for kind in ("wall", "cpu"):
        for name, figure in (("median", statistics.median), ("minimum", min)):
            seconds = {key: figure(found[kind]) for key, found in taken.items()}
            whole = [seconds[who, flags.new] for who in ("ours", "theirs")]
            first = [seconds[who, 1] for who in ("ours", "theirs")]
            further = [x - y for x, y in zip(whole, first, strict=True)]
            print_rates(f"{kind:4} {name:7} whole calls   ", flags.rows * flags.new, *whole)
            print_rates(f"{kind:4} {name:7} further tokens", flags.rows * (flags.new - 1), *further)


def print_rates(title: str, tokens: int, fast: float, slow: float) -> None:
    print(
        f"  {title}  sift_jax {tokens / fast:7.1f}   transformers {tokens / slow:7.1f} tokens a "
        f"second   ratio {slow / fast:5.2f}"
    )


if __name__ == "__main__":
    main()
