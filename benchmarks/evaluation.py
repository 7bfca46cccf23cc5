"""EvalSIFT's closed questions: items per second against the same loop written with transformers'
`generate`.

    python -m benchmarks.evaluation [--items=256] [--rows=32] [--rounds=3] [--threads=2]      after make quickstart
    python -m benchmarks.evaluation --items=10000 --rounds=1                                  the whole size

    ours    sift_jax.evaluation.predict, as `python -m sift_jax.evaluate` calls it, its file of answers included
    theirs  audio and log-mel by the same functions, the exported WhisperEncoder, projector and Qwen2ForCausalLM,
            batches of so many rows in the order of the items, padded to the longest, `generate` on embeddings

The same weights in float32 on both sides, greedy, the same stop tokens; answers are compared. Both
take turns, so that another load on the machine slows both. Loading and compiling are outside;
reading and decoding audio is inside. Items are whole utterances with all their questions:
EvalSIFT's, then those of training. Needs torch (`make parity`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.sides import measure, take_cores

CLOSED = tuple(
    f"closed_ended/{name}"
    for name in ("acoustic_level", "content_level", "word_align", "comparison")
)


def parse_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Times an evaluation against transformers' generate."
    )
    parser.add_argument(
        "--run", type=Path, default=Path("runs/quickstart"), help="the quickstart's folder"
    )
    parser.add_argument("--items", type=int, default=256, help="questions that are answered")
    parser.add_argument("--rows", type=int, default=32, help="of a batch, for both")
    parser.add_argument("--new", type=int, default=48, help="tokens at most")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement")
    parser.add_argument("--threads", type=int, default=2, help="cores for both")
    return parser.parse_args()


def read_items(root: Path, count: int) -> list:
    """The first `count` closed questions by recording."""
    from sift_jax.evaluation.suites import SuiteConfig, read_suite

    items = []
    for split in ("EvalSIFT", "train"):
        if len(items) < count:
            config = SuiteConfig(
                name="evalsift",
                root=str(root),
                subsets=CLOSED,
                split=split,
                languages=(),
                audio_dirs=(),
                limit=0,
                seed=0,
                cache_dir="",
                prompts="",
                constraints=(),
                protocol="official",
            )
            items += sorted(read_suite(config).items, key=lambda item: item.audio)
    if len(items) < count:
        raise SystemExit(
            f"error: {root} has {len(items)} closed questions; set --items={len(items)}"
        )
    return items[:count]


def make_ours(model, items: list, flags: argparse.Namespace) -> Callable[[], list[str]]:
    from sift_jax.decoding.text_answers import TextGenerator, make_prompt
    from sift_jax.evaluation.model_inputs import SET_ASIDE, ClipReader, make_questions
    from sift_jax.evaluation.predict import PredictionFile, predict

    decoding = make_decoding(flags)
    speaker = TextGenerator(model, rows=flags.rows)

    def call() -> list[str]:
        # a new reader: what was heard in the last round is not known again
        reader = ClipReader(model.config.encoder.window_seconds, SET_ASIDE)
        questions, aside = make_questions(
            model, items, reader, most_clips=0, max_new_tokens=flags.new
        )
        if aside:
            raise SystemExit(f"error: {aside[0].id}: {aside[0].reason}")
        with tempfile.TemporaryDirectory() as out:
            file = PredictionFile(Path(out), "model")
            file.path.parent.mkdir()
            predict(
                speaker,
                questions,
                lambda q: make_prompt(model, list(q.messages), reader),
                file,
                decoding=decoding,
                seed=0,
            )
            answers = file.read(items)
            file.finish(items, answers)
        return [answers[item.id] for item in items]

    return call


def make_decoding(flags: argparse.Namespace):
    import dataclasses

    from sift_jax.decoding.sampling import GREEDY

    return dataclasses.replace(GREEDY, max_new_tokens=flags.new)


def load_theirs(folder: Path, threads: int):
    """(encoder, projector, decoder) of an export, as classes of transformers and torch."""
    import torch
    import transformers
    from safetensors.torch import load_file

    torch.set_num_threads(threads)
    config = json.loads((folder / "encoder/config.json").read_text())
    config.pop("model_type")
    encoder = transformers.models.whisper.modeling_whisper.WhisperEncoder(
        transformers.WhisperConfig(**config, attn_implementation="sdpa")
    ).eval()
    tensors = load_file(folder / "encoder/model.safetensors")
    missing, unknown = encoder.load_state_dict(
        {
            key.removeprefix("encoder.").removeprefix("model.encoder."): x
            for key, x in tensors.items()
        },
        strict=False,
    )
    if unknown or set(missing) - {"embed_positions.weight"}:
        raise SystemExit(
            f"error: {folder}/encoder does not fit WhisperEncoder: lacking {missing}, unknown "
            f"{unknown}"
        )
    found = load_file(folder / "projector/model.safetensors")
    weight = next(x for key, x in found.items() if key.endswith("weight"))
    projector = torch.nn.Linear(weight.shape[1], weight.shape[0]).eval()
    projector.load_state_dict({key.rpartition(".")[2]: x for key, x in found.items()})
    decoder = transformers.AutoModelForCausalLM.from_pretrained(
        folder / "decoder", dtype=torch.float32
    ).eval()
    return encoder, projector, decoder


def encode_theirs(encoder, projector, clips: list, pool: int, mel_bins: int):
    """Frames of each clip: Whisper's layers, silence behind a clip masked, averaged before the last
    norm."""
    import numpy as np
    import torch

    from sift_jax.audio.whisper_mel import HOP, fill_log_mel

    longest = max(-(-len(clip) // HOP) for clip in clips) + 2
    mel = np.zeros((len(clips), longest + longest % 2, mel_bins), np.float32)
    frames = [fill_log_mel(clip, mel[i]) for i, clip in enumerate(clips)]
    for i, n in enumerate(frames):
        mel[i, n:] = 0
    halved = [(n + 1) // 2 for n in frames]
    x = torch.nn.functional.gelu(encoder.conv1(torch.from_numpy(mel).transpose(1, 2)))
    x = torch.nn.functional.gelu(encoder.conv2(x)).transpose(1, 2)
    x = x + encoder.embed_positions.weight[: x.shape[1]]
    seen = torch.arange(x.shape[1])[None] < torch.tensor(halved)[:, None]
    mask = torch.zeros(len(clips), 1, x.shape[1], x.shape[1]).masked_fill(
        ~seen[:, None, None], -1e30
    )
    for layer in encoder.layers:
        x = layer(x, mask)
        x = x[0] if isinstance(x, tuple) else x
    x = x[:, : x.shape[1] - x.shape[1] % pool]
    x = projector(encoder.layer_norm(x.reshape(len(clips), -1, pool, x.shape[2]).mean(dim=2)))
    return [x[i, : max(1, n // pool)] for i, n in enumerate(halved)]


def make_theirs(model, items: list, flags: argparse.Namespace) -> Callable[[], list[str]]:
    import torch

    from sift_jax.audio.files import read_audio
    from sift_jax.decoding.text_answers import make_prompt

    encoder, projector, decoder = load_theirs(flags.run / "export", flags.threads)
    stops = list(model.tokenizer.stop_ids)
    pool, mel_bins = model.config.projector.frames, model.config.encoder.mel_bins

    @torch.inference_mode()
    def answer(batch: list) -> list[str]:
        prompts = [make_prompt(model, list(item.messages), read_audio) for item in batch]
        heard = encode_theirs(
            encoder, projector, [clip for p in prompts for clip in p.clips], pool, mel_bins
        )
        waiting, rows = iter(heard), []
        for prompt in prompts:
            row = decoder.get_input_embeddings()(torch.from_numpy(prompt.tokens).long())
            for a in range(len(prompt.clips)):
                row[torch.from_numpy(prompt.clip == a)] = next(waiting)
            rows.append(row)
        longest = max(map(len, rows))
        x = torch.zeros(len(rows), longest, rows[0].shape[1])
        mask = torch.zeros(len(rows), longest, dtype=torch.long)
        for b, row in enumerate(rows):
            x[b, longest - len(row) :], mask[b, longest - len(row) :] = row, 1
        said = decoder.generate(
            inputs_embeds=x,
            attention_mask=mask,
            max_new_tokens=flags.new,
            do_sample=False,
            eos_token_id=stops,
            pad_token_id=stops[0],
        )
        ended = [
            list(itertools.takewhile(lambda token: token not in stops, row))
            for row in said.tolist()
        ]
        return [model.tokenizer.decode(row).strip() for row in ended]

    starts = range(0, len(items), flags.rows)
    return lambda: [text for start in starts for text in answer(items[start : start + flags.rows])]


def main() -> None:
    flags = parse_flags()
    take_cores(flags.threads, flag="threads")
    os.environ["JAX_PLATFORMS"] = "cpu"
    from sift_jax.pretrained import Model

    model = Model.load(flags.run / "export")
    items = read_items(flags.run / "data", flags.items)
    calls = {
        "sift_jax": make_ours(model, items, flags),
        "transformers": make_theirs(model, items, flags),
    }
    answers: dict[str, list[str]] = {}

    def keep(name: str) -> None:
        answers[name] = calls[name]()

    taken = measure({name: partial(keep, name) for name in calls}, flags.rounds)
    same = sum(a == b for a, b in zip(*answers.values(), strict=True))
    clips = len({name for item in items for name in item.audio})
    print(
        f"{len(items)} closed questions about {clips} recordings, {flags.rows} rows, "
        f"{flags.threads} cores, {flags.rounds} rounds; the same answers: {same} of {len(items)}"
    )
    found: dict[str, float] = {
        "items": len(items),
        "clips": clips,
        "rows": flags.rows,
        "same_answers": same,
    }
    for kind in ("wall", "cpu"):
        rates = {name: len(items) / statistics.median(taken[name][kind]) for name in calls}
        found |= {f"{name}_{kind}": round(rate, 2) for name, rate in rates.items()}
        found[f"ratio_{kind}"] = round(rates["sift_jax"] / rates["transformers"], 2)
        print(
            f"  {kind:4}  sift_jax {rates['sift_jax']:7.1f}   transformers "
            f"{rates['transformers']:7.1f} items a second   ratio {found[f'ratio_{kind}']:5.2f}"
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
