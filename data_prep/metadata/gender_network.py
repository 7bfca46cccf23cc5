"""Gender heard by a network: any audio classifier of `transformers` that tells female from male
voices.

waves ─► P(female) of female and male, the mean over the windows of each wave
"""

from pathlib import Path

import numpy as np

from data_prep.corpora.recording import name_gender
from data_prep.metadata.classifiers import WINDOW, load_classifier, softmax
from data_prep.metadata.expert_networks import ExpertError, Network, make_network
from sift_jax.sift.labels import GENDERS

FEMALE_SHARE = "female_share"


def make_gender_network(folder: Path) -> Network:
    """The classifier in a folder."""
    classifier = load_classifier(folder)
    places = {name_gender(label): place for place, label in enumerate(classifier.labels)}
    if not set(GENDERS) <= places.keys():
        raise ExpertError(
            f"{folder}: its labels are {', '.join(classifier.labels)}; take a classifier of "
            "female and male voices"
        )
    order = [places[gender] for gender in GENDERS]

    def hear(windows: np.ndarray) -> dict[str, np.ndarray]:
        return {FEMALE_SHARE: softmax(classifier.hear(windows)[:, order])[:, 0]}

    return make_network(hear, WINDOW)
