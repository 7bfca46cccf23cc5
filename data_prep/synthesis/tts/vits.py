"""A local neural engine: any VITS of `transformers`, in a folder; nothing is fetched, and nothing
unpickled.

    folder: config.json, vocab.json, tokenizer_config.json, model.safetensors      (facebook/mms-tts-eng and its kin)
    sentence, speaker, draw ─►  float32 [n] at the model's rate ─►  at 16 kHz

A model of many speakers has as many voices. Those that want phonemes also need the package
`phonemizer`, which is GPL and not among our extras; the models of MMS read letters.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from data_prep.synthesis.tts.engine import RATE, EngineError, Voice, share_voices
from sift_jax.audio.files import AudioError, resample


class Vits:
    """One sentence at a time on the CPU, or on the accelerator that torch finds."""

    calls = 1

    def __init__(self, folder: Path | None):
        if folder is None or not (folder / "config.json").is_file():
            raise EngineError(
                f"--voice_model={folder}: no model there; give the folder of a VITS of "
                "transformers, as `hf download facebook/mms-tts-eng --local-dir=…` leaves it"
            )
        if importlib.util.find_spec("torch") is None:
            raise EngineError(
                "--engine=local runs on torch, which is not installed; pip install torch"
            )
        import torch
        from transformers import VitsModel, VitsTokenizer

        try:
            self.tokenizer = VitsTokenizer.from_pretrained(folder, local_files_only=True)
            self.model = VitsModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            ).eval()
        except (OSError, ValueError, TypeError, ImportError) as error:
            reason = str(error).partition("\n")[0]
            raise EngineError(
                f"{folder}: no VITS ({reason}); give a folder with config.json, vocab.json, "
                f"tokenizer_config.json and model.safetensors"
            ) from None
        if self.tokenizer.phonemize and importlib.util.find_spec("phonemizer") is None:
            raise EngineError(
                f"{folder} reads phonemes, for which it needs the package phonemizer (GPL); "
                "install it, or take a model that reads letters, such as facebook/mms-tts-eng"
            )
        self.torch, self.name = torch, folder.name
        self.model.to("cuda" if torch.cuda.is_available() else "cpu")

    def list_voices(self, language: str, split: str) -> Sequence[Voice]:
        return share_voices(
            [f"{self.name}_{number}" for number in range(max(1, self.model.config.num_speakers))],
            split,
        )

    def speak(
        self, texts: Sequence[str], voice: Voice, language: str, draw: int
    ) -> Iterator[np.ndarray]:
        return (self._say(text, voice, draw) for text in texts)

    def _say(self, text: str, voice: Voice, draw: int) -> np.ndarray:
        tokens = self.tokenizer(text, return_tensors="pt").to(self.model.device)
        if tokens["input_ids"].shape[1] < 2:
            raise AudioError(
                f"{text[:60]!r} has no letter that {self.name} knows; leave it out",
                "nothing is said",
            )
        speaker = int(voice.name.rpartition("_")[2]) if self.model.config.num_speakers > 1 else None
        self.torch.manual_seed(draw % 2**63)
        with self.torch.no_grad():
            wave = self.model(**tokens, speaker_id=speaker).waveform[0].float().cpu().numpy()
        return resample(wave, self.model.config.sampling_rate, RATE)

    def stop(self) -> None:
        """It waits for nobody."""
