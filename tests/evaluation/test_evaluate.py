"""EvalSIFT of a run, from its checkpoint to the files that it leaves."""

import json
import math

from tiny_run import make_data

from sift_jax.decoding.answer import Model
from sift_jax.decoding.sampling import GREEDY
from sift_jax.evaluation.evaluate import EvaluationConfig, evaluate, measure_audio_gain
from sift_jax.evaluation.report.folder import read_evaluation


def test_the_audio_gain_of_a_run_is_measured_on_any_split(corpus, trained_run):
    model = Model.load(trained_run)
    gains = [measure_audio_gain(model, make_data(corpus), split, ()) for split in ("dev", "EvalSIFT")]
    assert all(math.isfinite(gain) and gain != 0 for gain in gains)


def test_an_evaluation_leaves_predictions_and_results(corpus, trained_run, tmp_path):
    run = EvaluationConfig(out_dir=str(tmp_path), checkpoint=str(trained_run), step=None, data_dir=str(corpus.root),
                           split="EvalSIFT", limit=1, rows=4, train_dirs={"run": str(trained_run)})
    evaluate(run=run, data=make_data(corpus), decoding=GREEDY, config_text="a = 1\n")
    results = json.loads((tmp_path / "results.json").read_text())
    counts = results["suites"]["evalsift"]["counts"]
    assert results["model"]["step"] == 6 and math.isfinite(results["audio_gain"]) and counts["set_aside"] == 0
    evaluation = read_evaluation(tmp_path)
    answered = {system: len(found) for system, found in evaluation.predictions.items()}
    assert answered == dict.fromkeys(("model", "majority", "untrained"), counts["items"]) and counts["items"] > 0
    assert (tmp_path / "report.html").is_file()
