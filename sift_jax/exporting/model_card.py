"""README.md of an export: what it is, of what it is made, how it is loaded, and what the check
found."""

from __future__ import annotations

import dataclasses

from sift_jax.exporting.lineage import Stage
from sift_jax.models.no_encoder import NoEncoder
from sift_jax.models.speech_lm import SpeechLMConfig

# what others load has no int8: said where a model was trained beside it
DEQUANTIZED = (
    " The decoder's projections were in {kind} while this was trained, with a scale for each output "
    "channel, and are written here as the numbers that it computed with."
)

USES = {
    "sift": (
        "sift_jax",
        'import sift_jax\n\nmodel = sift_jax.load("{hub}{place}")\n'
        'model.ask("x.wav", "How fast does she speak?")',
        "Everything, LoRA merged: speech encoder, projector and decoder. `decoder/` alone is what "
        "AutoModelForCausalLM loads. As a start of further training: `Sources.model`.",
    ),
    "merged": (
        "transformers",
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        'model = AutoModelForCausalLM.from_pretrained("{place}")\n'
        'tokenizer = AutoTokenizer.from_pretrained("{place}")',
        (
            "The decoder alone, LoRA merged: it reads text and hears nothing. The rest is in the "
            "format `sift`."
        ),
    ),
    "peft": (
        "peft",
        "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n"
        "base = AutoModelForCausalLM.from_pretrained({base})\n"
        "base.resize_token_embeddings({rows})\n"
        'model = PeftModel.from_pretrained(base, "{place}")',
        (
            "The decoder's LoRA, and in `projector/` the projector in the names of sift_jax: PEFT "
            "has no place for it."
        ),
    ),
    "qwen2_audio": (
        "transformers",
        "from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration\n\n"
        'model = Qwen2AudioForConditionalGeneration.from_pretrained("{place}")\n'
        'processor = AutoProcessor.from_pretrained("{place}")',
        "Everything, LoRA merged, under the names of Qwen2-Audio's published checkpoints. vLLM "
        "reads these; it was not run here.",
    ),
    "transformers": (
        "transformers",
        "from transformers import AutoModelForCausalLM, AutoProcessor\n\n"
        'model = AutoModelForCausalLM.from_pretrained("{place}", trust_remote_code=True)\n'
        'processor = AutoProcessor.from_pretrained("{place}", trust_remote_code=True)\n'
        'content = [{{"type": "audio", "path": "x.wav"}}, '
        '{{"type": "text", "text": "How fast does she speak?"}}]\n'
        "inputs = processor.apply_chat_template(\n"
        '    [{{"role": "user", "content": content}}],\n'
        "    add_generation_prompt=True, tokenize=True, return_dict=True,\n"
        ")\n"
        "answer = model.generate(**inputs, max_new_tokens=64)\n"
        'answer = answer[:, inputs["input_ids"].shape[1] :]\n'
        "print(processor.batch_decode(answer, skip_special_tokens=True)[0])",
        "Everything, LoRA merged. The code is in this folder (`*_sift.py`): read it before you let "
        "transformers run it. `sift_jax.load` reads the folder, too.",
    ),
}

CARD = """---
library_name: {library}
---
# A speech language model trained with sift_jax

{hearing},
{decoder.architecture} decoder of {decoder.layers} layers (width {decoder.width}, vocabulary {decoder.vocab_size}).
{params:,} parameters, step {step}, stored as {dtype}.

{what}

```python
{use}
```

## Made of

{sources}

The licences of the base models and of the training data hold for what is made of them: read both before you pass this
folder on. SIFT-50M is under CDLA-Sharing-1.0. sift_jax knows no licence of yours and sets none here.

## Trained on

{training}

## Checked

After writing, this folder was read again and its logits compared with the checkpoint's on a fixed random input with
audio: they differ by at most {difference:.2e} (largest absolute logit {largest:.2f}).
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Findings:
    """What the writing and the check gave."""

    params: int
    step: int | None
    dtype: str
    base: str | None
    difference: float
    largest: float


def _list_sources(history: list[Stage]) -> str:
    names = {"encoder": "speech encoder", "decoder": "decoder", "model": "whole model"}
    lines = []
    for field, name in names.items():
        found = list(
            dict.fromkeys(getattr(stage, field) for stage in history if getattr(stage, field))
        )
        lines += [f"* {name}: `{place}`" for place in found]
    if lines:
        return "\n".join(lines)
    return (
        "* nothing pretrained is named in the run's config"
        if history
        else "* the run's config is not beside it"
    )


def _list_training(history: list[Stage]) -> str:
    if not history:
        return "The run's config is not beside the checkpoint, so nothing can be said."
    lines = []
    for stage in history:
        rates = ", ".join(f"{name} {rate:g}" for name, rate in stage.rates.items())
        trained = ", ".join(f"`{pattern}`" for pattern in stage.trainable)
        lines.append(
            f"* `{stage.run}`: up to {stage.steps or '?'} steps of the mixture "
            f"{stage.mixture or '?'} ({rates or 'rates not given'}); trained: "
            f"{trained or 'not given'}"
        )
    return "\n".join(lines)


def _describe_hearing(config: SpeechLMConfig) -> str:
    encoder, projector = config.encoder, config.projector
    if isinstance(encoder, NoEncoder):
        return "No encoder: recordings come as units of a codec (`units.json`), among the tokens"
    fusion = f", {config.cross.layers} layers of cross-attention to it" if config.cross else ""
    return (
        f"Speech encoder of {encoder.layers} layers (width {encoder.width}, {encoder.mel_bins} mel "
        f"bins, windows of\n{encoder.window_seconds:g} s), {projector.kind} projector over "
        f"{projector.frames} frames{fusion}"
    )


def _name_base(base: str | None, repo: str | None) -> str:
    """What stands between the brackets of from_pretrained for the decoder under an adapter."""
    if base:
        return f'"{base}"'
    return f'"{repo}", subfolder="base"' if repo else '"THIS_FOLDER/base"'


def make_card(
    format_name: str,
    config: SpeechLMConfig,
    history: list[Stage],
    findings: Findings,
    *,
    repo: str | None = None,
) -> str:
    """`repo` is its name on the hub; without one the folder has to be filled in."""
    place = repo or "THIS_FOLDER"
    library, use, what = USES[format_name]
    if config.quantized:
        what += DEQUANTIZED.format(kind=config.quantized)
    return CARD.format(
        library=library,
        hearing=_describe_hearing(config),
        decoder=config.decoder,
        params=findings.params,
        step="unknown" if findings.step is None else findings.step,
        dtype=findings.dtype,
        what=what,
        use=use.format(
            base=_name_base(findings.base, repo),
            rows=config.decoder.vocab_size,
            place=place,
            hub="hf://" if repo else "",
        ),
        sources=_list_sources(history),
        training=_list_training(history),
        difference=findings.difference,
        largest=findings.largest,
    )
