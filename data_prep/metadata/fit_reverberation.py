"""Fits the weights of the reverberation estimate on simulated rooms and writes reverberation.json.

1,000 training plans of the embedded corpus (a seed of its own) ─► features [1000, 27], true C50 [1000] ─► ridge

python -m data_prep.metadata.fit_reverberation
"""

import json

import numpy as np
import scipy.stats

from data_prep.corpora.splits import TRAIN
from data_prep.embedded.corpus import make_plans, synthesize
from data_prep.embedded.voices import LANGUAGES
from data_prep.metadata.reverberation import WEIGHTS_PATH, compute_features

_SEED, _A_LANGUAGE, _RIDGE = 20_260, 200, 10.0


def fit_weights() -> dict[str, object]:
    """Ridge regression of C50 on the standardised features."""
    rows, truth = [], []
    for language in LANGUAGES:
        for plan in make_plans(language, TRAIN, _A_LANGUAGE, seed=_SEED):
            wave, utterance = synthesize(plan)
            rows.append(compute_features(wave, utterance.words[0].start, utterance.words[-1].end))
            truth.append(utterance.truth["reverberation"])
    features, target = np.array(rows), np.array(truth)
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    scaled = (features - mean) / scale
    weights = np.linalg.solve(
        scaled.T @ scaled + _RIDGE * np.eye(scaled.shape[1]), scaled.T @ (target - target.mean())
    )
    correlation = float(scipy.stats.spearmanr(scaled @ weights, target)[0])
    return {
        "bias": round(float(target.mean()), 4),
        "rank_correlation_of_fit": round(correlation, 4),
        **{
            key: [round(float(x), 5) for x in value]
            for key, value in (("mean", mean), ("scale", scale), ("weights", weights))
        },
    }


def main() -> None:
    """Rewrites the stored weights."""
    table = fit_weights()
    WEIGHTS_PATH.write_text(json.dumps(table, indent=1) + "\n")
    print(f"wrote {WEIGHTS_PATH}: rank correlation of the fit {table['rank_correlation_of_fit']}")


if __name__ == "__main__":
    main()
