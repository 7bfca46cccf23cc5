"""Audio classifiers of `transformers`, from a folder: nothing is fetched, and nothing unpickled.

folder: config.json with the labels, preprocessor_config.json, model.safetensors
waves ─ windows of 5 s, in batches ─► probabilities of the classes, the mean over the windows of each wave
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data_prep.metadata.expert_networks import ExpertError, Network, demand, make_network

_RATE, WINDOW = 16_000, 80_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classifier:
    """`hear` gives the logits of windows [windows, samples], a column for each of the labels."""

    labels: tuple[str, ...]
    hear: Callable[[np.ndarray], np.ndarray]


def load_classifier(folder: Path) -> Classifier:
    demand("torch", remedy="pip install torch")
    import torch
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    try:
        prepare = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
        model = AutoModelForAudioClassification.from_pretrained(
            folder, local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ExpertError(
            f"{folder}: no audio classifier ({reason}); give a folder with config.json, "
            "preprocessor_config.json and model.safetensors"
        ) from None
    model.eval()

    def hear(windows: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(
                **prepare(list(windows), sampling_rate=_RATE, return_tensors="pt")
            ).logits.numpy()

    return Classifier(
        labels=tuple(model.config.id2label[place] for place in sorted(model.config.id2label)),
        hear=hear,
    )


def make_listener(classifier: Classifier) -> Network:
    """The probability of each of its labels, by name."""

    def hear(windows: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(classifier.labels, softmax(classifier.hear(windows)).T, strict=True))

    return make_network(hear, WINDOW)


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)
