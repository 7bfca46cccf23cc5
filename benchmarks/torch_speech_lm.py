"""The same speech LM as a user of PyTorch writes it: transformers' Whisper and Qwen2, PEFT's LoRA,
dynamic padding.

Batches of questions, each with its own audio, are padded to their longest: mel frames, tokens and
labels alike. That is kinder than usual, where every clip is padded to 30 s.
"""

from __future__ import annotations

import numpy as np
import peft
import torch
import transformers
from flax.traverse_util import flatten_dict

from benchmarks.speech_batches import AUDIO
from sift_jax.audio.whisper_mel import fill_log_mel
from sift_jax.data.row_layout import Group
from sift_jax.exporting.hf_configs import make_decoder_config
from sift_jax.models.speech_lm import SpeechLMConfig
from sift_jax.weights.key_table import QWEN2, WHISPER, to_theirs

IGNORED = -100


class TorchSpeechLM(torch.nn.Module):
    """Encoder, Linear, decoder with LoRA; only the Linear and LoRA train. Without `params` it is
    random."""

    def __init__(
        self,
        config: SpeechLMConfig,
        params: dict | None,
        lora_rank: int,
        lora_alpha: float,
        *,
        dtype=torch.float32,
    ):
        super().__init__()
        e = config.encoder
        sizes = transformers.WhisperConfig(
            d_model=e.width,
            encoder_layers=e.layers,
            encoder_attention_heads=e.heads,
            encoder_ffn_dim=4 * e.width,
            num_mel_bins=e.mel_bins,
            decoder_layers=1,
        )
        self.encoder = transformers.models.whisper.modeling_whisper.WhisperEncoder(sizes)
        self.projector = torch.nn.Linear(e.width, config.decoder.width)
        described = {**make_decoder_config(config, stop_id=0), "pad_token_id": 0}
        decoder_config = transformers.AutoConfig.for_model(described.pop("model_type"), **described)
        # sdpa is the fastest that needs no package of its own; on a GPU it takes cuDNN's or flash
        # kernels
        decoder = transformers.AutoModelForCausalLM.from_config(
            decoder_config, dtype=dtype, attn_implementation="sdpa"
        )
        if params is not None:
            _load(self.encoder, WHISPER, params["encoder"], ("embed_positions.weight",))
            _load(decoder, QWEN2, params["decoder"], ("lm_head.weight",))
            linear = params["projector"]["linear"]
            with torch.no_grad():
                self.projector.weight.copy_(torch.from_numpy(np.array(linear["kernel"]).T))
                self.projector.bias.copy_(torch.from_numpy(np.array(linear["bias"])))
        decoder.tie_weights()
        self.encoder.to(dtype)
        adapter = peft.LoraConfig(
            r=lora_rank, lora_alpha=lora_alpha, target_modules=["q_proj", "v_proj"]
        )
        self.encoder.requires_grad_(False)
        self.decoder = peft.get_peft_model(decoder, adapter)

    def encode(self, mel: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Whisper's encoder over a window of any length, deaf to what lies behind a clip's end."""
        e = self.encoder
        x = torch.nn.functional.gelu(e.conv2(torch.nn.functional.gelu(e.conv1(mel)))).permute(
            0, 2, 1
        )
        x = x + e.embed_positions.weight[: x.shape[1]]
        is_heard = torch.arange(x.shape[1], device=x.device)[None] < ((frames + 1) // 2)[:, None]
        mask = torch.zeros_like(is_heard, dtype=x.dtype).masked_fill(
            ~is_heard, torch.finfo(x.dtype).min
        )
        mask = mask[:, None, None, :].expand(-1, 1, x.shape[1], -1)
        for layer in e.layers:
            x = layer(x, mask)
        return e.layer_norm(x)

    def forward(self, mel, frames, ids, is_real, labels, slots):
        with torch.no_grad():
            heard = self.encode(mel.to(self.encoder.conv1.weight.dtype), frames)
        speech = self.projector(heard.to(self.projector.weight.dtype))
        x = self.decoder.get_input_embeddings()(ids)
        index = slots.clamp(min=0)[:, :, None].expand(-1, -1, x.shape[-1])
        x = torch.where((slots >= 0)[:, :, None], torch.gather(speech, 1, index).to(x.dtype), x)
        return self.decoder(inputs_embeds=x, attention_mask=is_real, labels=labels).loss


def _load(module: torch.nn.Module, rows, params: dict, may_lack: tuple[str, ...]) -> None:
    flat = {
        path: np.asarray(x)
        for path, x in flatten_dict(params, sep="/").items()
        if "lora" not in path
    }
    state = {key: torch.from_numpy(value.copy()) for key, value in to_theirs(rows, flat)}
    missing, unknown = module.load_state_dict(state, strict=False)
    if unknown or set(missing) - set(may_lack):
        raise ValueError(
            f"weights do not fit {type(module).__name__}: lacking {missing}, unknown {unknown}"
        )


def collate(groups: list[Group], mel_bins: int) -> dict[str, torch.Tensor]:
    """A batch of groups with one question and one clip each, padded to its longest."""
    mels = []
    for group in groups:
        mel = np.zeros((len(group.clips[0]) // 160 + 1, mel_bins), np.float32)
        frames = fill_log_mel(group.clips[0].astype(np.float32) / 32768.0, mel)
        mels.append(mel[:frames])
    wholes = [(group.prefix, group.questions[0]) for group in groups]
    length = max(len(prefix) + len(question) for prefix, question in wholes)
    window = max(len(mel) for mel in mels)
    b = len(groups)
    mel_bfs = np.zeros((b, mel_bins, window), np.float32)
    ids, labels = np.full((b, length), AUDIO, np.int64), np.full((b, length), IGNORED, np.int64)
    slots, is_real = np.full((b, length), -1, np.int64), np.zeros((b, length), np.int64)
    for i, ((prefix, question), mel) in enumerate(zip(wholes, mels, strict=True)):
        mel_bfs[i, :, : len(mel)] = mel.T
        stop = len(prefix) + len(question)
        ids[i, :stop] = np.concatenate([prefix.tokens, question.tokens])
        slots[i, :stop] = np.concatenate([prefix.frame, question.frame])
        is_target = np.concatenate([prefix.is_target, question.is_target])
        labels[i, :stop][is_target] = ids[i, :stop][is_target]
        is_real[i, :stop] = 1
    arrays = {"mel": mel_bfs, "ids": ids, "is_real": is_real, "labels": labels, "slots": slots}
    arrays["frames"] = np.array([len(mel) for mel in mels])
    return {key: torch.from_numpy(x) for key, x in arrays.items()}


def make_step(model: torch.nn.Module, *, is_bf16: bool, device: str = "cpu"):
    """One training step: forward, backward, clip, AdamW."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, betas=(0.9, 0.98), weight_decay=0.01)

    def step(batch: dict[str, torch.Tensor]) -> float:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=is_bf16):
            loss = model(**batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step
