"""Gender heard by a network: any audio classifier of `transformers` that tells female from male voices.

    folder: config.json with the labels, preprocessor_config.json, model.safetensors
    waves ─ windows of 5 s, in batches ─► P(female) of female and male, the mean over the windows of each wave
"""

from pathlib import Path

import numpy as np

from data_prep.corpora.recording import name_gender
from data_prep.metadata.networks import ExpertError, Network, demand, make_network
from sift_jax.sift.labels import GENDERS

FEMALE_SHARE = "female_share"
_RATE, _WINDOW = 16_000, 80_000


def make_gender_network(folder: Path) -> Network:
    """The classifier in a folder; nothing is fetched, and nothing unpickled."""
    demand("torch", remedy="pip install torch")
    import torch
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    try:
        prepare = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
        model = AutoModelForAudioClassification.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ExpertError(f"{folder}: no audio classifier ({reason}); give a folder with config.json, "
                          "preprocessor_config.json and model.safetensors") from None
    model.eval()
    places = {name_gender(label): place for place, label in model.config.id2label.items()}
    if not set(GENDERS) <= places.keys():
        raise ExpertError(f"{folder}: its labels are {', '.join(model.config.id2label.values())}; take a classifier "
                          "of female and male voices")
    order = [places[gender] for gender in GENDERS]

    def hear(windows: np.ndarray) -> dict[str, np.ndarray]:
        with torch.no_grad():
            logits = model(**prepare(list(windows), sampling_rate=_RATE, return_tensors="pt")).logits[:, order]
        return {FEMALE_SHARE: torch.softmax(logits, dim=-1)[:, 0].numpy()}

    return make_network(hear, _WINDOW)
